"""Causal attention as plain matrix products. Knows no model family.

For texts of a few dozen tokens on a CPU the fused kernel behind "sdpa" takes most of a training
step (its backward pass works in blocks made for long texts); three batched products do not.
"""

from functools import lru_cache

import torch
import transformers

from pipelines.training.errors import StartUnusable

NAME = "teachwhy_products"
_MASKED = -1e4


def register() -> None:
    """Make the attention known to transformers under NAME."""
    transformers.AttentionInterface.register(NAME, causal_products)


def causal_products(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    **options: object,
) -> tuple[torch.Tensor, None]:
    """Attend to earlier tokens; the signature is the one of transformers.

    Args:
        module: the attention layer.
        query: [batch, heads, tokens, width]
        key: [batch, key heads, tokens, width]
        value: like key.
        attention_mask: must be None, the caller pads on the right.
        dropout: share of the attention weights set to 0 while training.
        scaling: factor of the scores; None: 1 / sqrt(width).
        options: what only other kinds of attention need.

    Raises:
        StartUnusable: the model asks for another kind of attention.
    """
    unknown = [name for name in ("sliding_window", "softcap", "s_aux") if options.get(name)]
    if attention_mask is not None or unknown or not getattr(module, "is_causal", True):
        raise StartUnusable(
            f'attention: "products" is causal attention over all earlier tokens, which is not what '
            f'{type(module).__name__} asks for ({", ".join(unknown) or "another mask"}); use "sdpa"'
        )
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (each.repeat_interleave(groups, dim=1) for each in (key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query * scale, key.transpose(2, 3))
    scores = scores.masked_fill(_later(query.shape[2], query.device), _MASKED)
    weights = torch.nn.functional.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
    if dropout and module.training:
        weights = torch.nn.functional.dropout(weights, dropout)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None


@lru_cache(maxsize=512)
def _later(tokens: int, device: torch.device) -> torch.Tensor:
    """[tokens, tokens] True where the column comes after the row."""
    return torch.ones(tokens, tokens, dtype=torch.bool, device=device).triu(1)

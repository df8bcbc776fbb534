"""One model's replies in progress, advanced one token at a time. Knows no HTTP, clock or thread.

Rows join and leave at any step (continuous batching). What a row says depends on its prompt,
seed and temperature; which rows share the batch only changes the order of additions, which in
float64 is far below what a choice could notice.
Shapes: B = rows, L = padded prompt length, W = window of cached columns, V = vocabulary.
"""

from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from services.serving.row import Row
from services.serving.sampling import choose_tokens, uniform
from services.serving.slot_cache import SlotCache

_LOGIT_TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-3, torch.bfloat16: 0.2}


class UnsupportedModel(ValueError):
    """The architecture cannot be batched by this engine."""


class Engine:
    """A causal language model and the rows that it is working on."""

    def __init__(
        self, model: PreTrainedModel, *, end_ids: frozenset[int], context_tokens: int
    ) -> None:
        """Take a model in evaluation mode and check that batching does not change its output.

        Args:
            model: any causal language model whose layers all attend to the full context.
            end_ids: tokens that end a reply.
            context_tokens: most tokens that prompt and reply may have together.

        Raises:
            UnsupportedModel: padding or caching would change what the model says.
        """
        self._model = model
        self._end_ids = end_ids
        self.context_tokens = context_tokens
        self.rows: list[Row] = []
        self._cache = self._empty_cache()
        self._check_batching()

    def join(self, rows: Sequence[Row]) -> None:
        """Compute the prompts of new rows and the first token of each reply."""
        with torch.inference_mode():
            logits_bv = self._compute_prompts(rows)
            self.rows.extend(rows)
            self._append_tokens(rows, logits_bv)

    def step(self) -> None:
        """Generate one more token for every row; at least one row must be there."""
        with torch.inference_mode():
            self._append_tokens(self.rows, self._compute_step())

    def leave(self, row: Row) -> None:
        """Drop a row, finished or not."""
        index = self.rows.index(row)
        with torch.inference_mode():
            self._cache.leave(index)
        last = self.rows.pop()
        if last is not row:
            self.rows[index] = last

    def clear(self) -> None:
        """Drop all rows and all their memory."""
        self.rows.clear()
        self._cache = self._empty_cache()

    def _compute_prompts(self, rows: Sequence[Row]) -> torch.Tensor:
        lengths = [len(row.prompt_ids) for row in rows]
        width = max(lengths)
        padding = [width - length for length in lengths]
        ids_bl = torch.tensor(
            [[0] * pad + list(row.prompt_ids) for pad, row in zip(padding, rows, strict=True)]
        )
        padding_b1 = torch.tensor(padding).unsqueeze(1)
        columns_l = torch.arange(width)
        seen_bl = columns_l >= padding_b1
        # Padding sees itself: a row of the mask without any column would compute 0 / 0.
        causal_ll = columns_l.unsqueeze(1) >= columns_l
        mask_bll = (causal_ll & seen_bl.unsqueeze(1)) | torch.eye(width, dtype=torch.bool)
        cache = DynamicCache(config=self._model.config)
        output = self._model(
            input_ids=ids_bl,
            attention_mask=mask_bll.unsqueeze(1),
            position_ids=(columns_l - padding_b1).clamp_(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._cache.join(cache, len(rows), width)
        logits_bv: torch.Tensor = output.logits[:, -1]
        return logits_bv

    def _compute_step(self) -> torch.Tensor:
        num_cached = [row.num_cached for row in self.rows]
        width = max(num_cached)
        positions_b1 = torch.tensor(num_cached).unsqueeze(1)
        mask_bw = torch.arange(width + 1) >= width - positions_b1
        self._cache.open_step(width)
        output = self._model(
            input_ids=torch.tensor([[row.new_ids[-1]] for row in self.rows]),
            attention_mask=mask_bw[:, None, None, :],
            position_ids=positions_b1,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._cache.close_step()
        logits_bv: torch.Tensor = output.logits[:, -1]
        return logits_bv

    def _append_tokens(self, rows: Sequence[Row], logits_bv: torch.Tensor) -> None:
        tokens = choose_tokens(
            logits_bv,
            [row.temperature for row in rows],
            [uniform(row.seed, len(row.new_ids)) for row in rows],
        )
        for row, token in zip(rows, tokens, strict=True):
            row.new_ids.append(token)
            if token in self._end_ids:
                row.finish = "stop"
            elif len(row.new_ids) >= row.max_new_tokens:
                row.finish = "length"

    def _empty_cache(self) -> SlotCache:
        layers = DynamicCache(config=self._model.config).layers
        if not layers or any(type(layer) is not DynamicLayer for layer in layers):
            kinds = ", ".join(sorted({type(layer).__name__ for layer in layers})) or "unknown"
            raise UnsupportedModel(
                "only models whose layers all attend to the full context can be hosted; "
                f"the layers of this one keep: {kinds}"
            )
        return SlotCache(len(layers))

    def _check_batching(self) -> None:
        """Compare a padded, cached batch with the plain forward pass of each row."""
        vocabulary = int(self._model.config.get_text_config().vocab_size)
        lengths = [min(length, self.context_tokens - 1) for length in (3, 7)]
        rows = [
            Row(
                prompt_ids=[(7 * column + 3 * length) % vocabulary for column in range(length)],
                max_new_tokens=2,
                temperature=0.0,
                seed=0,
            )
            for length in lengths
        ]
        with torch.inference_mode():
            self._compute_prompts(rows)
            self.rows.extend(rows)
            for row in rows:
                row.new_ids.append(row.prompt_ids[0])
            batched_bv = self._compute_step()
            tolerance = _LOGIT_TOLERANCE[batched_bv.dtype]
            for row, batched_v in zip(rows, batched_bv, strict=True):
                ids_1l = torch.tensor([[*row.prompt_ids, *row.new_ids]])
                plain_v = self._model(input_ids=ids_1l, use_cache=False).logits[0, -1]
                if not torch.allclose(batched_v, plain_v, rtol=tolerance, atol=tolerance):
                    raise UnsupportedModel(
                        "padding or caching changes what this architecture computes"
                    )
        self.clear()

"""Whether a network keeps examples that share a row apart. Knows no data and no batch."""

from typing import Final

import torch
import transformers

from pipelines.training.errors import StartUnusable

_TOKENS: Final = 6
# Of what the logits change by when the example before is seen; for less it is rounding.
_TOLERANCE: Final = {torch.float32: 1e-3}
_COARSE_TOLERANCE: Final = 3e-2


@torch.no_grad()
def refuse_if_examples_mix(network: transformers.PreTrainedModel) -> None:
    """Compare an example alone with the same one behind another, told apart by positions.

    Raises:
        StartUnusable: the network sees the other example, so rows must not be shared.
    """
    was_training = network.training
    network.train(mode=False)
    vocabulary = int(network.config.get_text_config().vocab_size)
    drawn = torch.randint(
        vocabulary, (1, 2 * _TOKENS), generator=torch.Generator().manual_seed(0)
    ).to(network.device)
    places = torch.arange(_TOKENS, device=network.device).repeat(2)[None]
    alone = network(input_ids=drawn[:, _TOKENS:], use_cache=False).logits
    behind = network(input_ids=drawn, position_ids=places, use_cache=False).logits[:, _TOKENS:]
    seeing = network(input_ids=drawn, use_cache=False).logits[:, _TOKENS:]
    network.train(was_training)
    tolerance = _TOLERANCE.get(alone.dtype, _COARSE_TOLERANCE)
    if (behind - alone).abs().max() > tolerance * (seeing - alone).abs().max():
        raise StartUnusable(
            f"packing: {type(network).__name__} with this attention does not keep examples of one "
            'row apart; set packing to "none"'
        )

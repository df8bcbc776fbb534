"""The loss on examples that are held back from training. Knows no optimizer."""

from collections.abc import Sequence

import torch

from pipelines.training.batches import Batch, collate, plan_batches
from pipelines.training.distributed import Group
from pipelines.training.encoding import EncodedExample
from pipelines.training.model import LanguageModel
from pipelines.training.shares import Share, share_of


class Validation:
    """The held-back examples, cut and shared like those that are trained on."""

    def __init__(
        self, examples: Sequence[EncodedExample], pad: int, part_tokens: int, group: Group
    ) -> None:
        """Cut the examples into batches of at most ``part_tokens`` for each process."""
        self._group = group
        self._shares: list[Share] = []
        lengths = [len(example.tokens) for example in examples]
        for batch in plan_batches(lengths, part_tokens * group.size, seed=0):
            chosen = [examples[at] for at in batch]
            self._shares.append(_share(chosen, pad, part_tokens, group))

    def __bool__(self) -> bool:
        """Whether any example is held back."""
        return bool(self._shares)

    @torch.no_grad()
    def loss(self, model: LanguageModel) -> float:
        """Return the mean over all targets, in nats; leaves the network in evaluation mode."""
        model.network.eval()
        device = self._group.device
        total = torch.zeros((), dtype=torch.float64, device=device)
        for share in self._shares:
            for part in share["parts"]:
                batch = Batch(**{name: each.to(device) for name, each in part.items()})
                total += model.loss(model.network, batch)
        (summed,) = self._group.total(float(total))
        return summed / sum(share["num_targets"] for share in self._shares)


def _share(examples: Sequence[EncodedExample], pad: int, part_tokens: int, group: Group) -> Share:
    return share_of(
        [len(example.tokens) for example in examples],
        lambda part: collate([examples[at] for at in part], pad),
        sum(int(example.supervised[1:].sum()) for example in examples),
        group=group,
        micro_batch_tokens=part_tokens,
    )

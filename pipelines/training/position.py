"""How far a training is: what the program itself remembers over a restart. Knows no torch."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipelines.training.errors import OutputUnusable

_FILE = "position.json"


@dataclass(slots=True, kw_only=True)
class Position:
    """A point of a training, and the curve that led there."""

    identity: str
    """Digest of the spec and its data."""
    processes: int = 1
    """How many trained together up to here."""
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """Time spent in the loop, over all restarts."""
    curve: list[tuple[int, float]] = field(default_factory=list)
    """Tokens seen, and the mean loss of the steps since the point before."""
    losses: list[float] = field(default_factory=list)
    """Losses since the last point of the curve."""
    validation: list[tuple[int, float]] = field(default_factory=list)
    """Tokens seen, and the loss on the held-back examples."""

    def close_point(self) -> None:
        """Add a point to the curve from the losses since the last one."""
        if self.losses:
            self.curve.append((self.tokens, sum(self.losses) / len(self.losses)))
            self.losses.clear()

    def write(self, checkpoint: Path) -> None:
        """Write into the folder of a checkpoint."""
        (checkpoint / _FILE).write_text(json.dumps(asdict(self)))


def read_position(checkpoint: Path, identity: str) -> Position:
    """Read from the folder of a checkpoint.

    Raises:
        OutputUnusable: the checkpoint is of another training.
    """
    position = Position(**json.loads((checkpoint / _FILE).read_bytes()))
    if position.identity != identity:
        raise OutputUnusable(
            f"{checkpoint}: is of another spec or of other data; choose another output directory "
            "or remove this one"
        )
    return position

"""What an audit found. Knows no gate's inside and no protobuf."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

MAX_DETAIL_CHARACTERS = 300


class GateName(StrEnum):
    """The gates, in the order in which examples meet them."""

    FORM = "form"
    DUPLICATES = "duplicates"
    CONTAMINATION = "contamination"
    QUALITY = "quality"
    DIVERSITY = "diversity"
    SHORTCUTS = "shortcuts"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateMeasure:
    """One number and what is allowed."""

    name: str
    value: float
    min: float | None = None
    """Smallest value that passes; None for no limit."""
    max: float | None = None
    """Largest value that passes; None for no limit."""
    evidence: str = ""
    """What the number rests on, for people."""

    @property
    def passed(self) -> bool:
        """Whether the number is within its limits."""
        return (self.min is None or self.value >= self.min) and (
            self.max is None or self.value <= self.max
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GateReport:
    """What one gate saw."""

    gate: GateName
    ran: bool
    checked: int = 0
    """Examples that reached it."""
    dropped: int = 0
    measures: tuple[GateMeasure, ...] = ()
    explanation: str

    @property
    def passed(self) -> bool:
        """Whether it ran and every measure is within its limits."""
        return self.ran and all(measure.passed for measure in self.measures)


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedExample:
    """An example that may not be trained on."""

    index: int
    gate: GateName
    detail: str
    """One sentence, at most MAX_DETAIL_CHARACTERS; never quotes held-out text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What all gates saw."""

    gates: tuple[GateReport, ...]
    """One each, in their order."""
    dropped: tuple[DroppedExample, ...]
    """In ascending index."""
    kept: int
    kept_tokens: int
    kept_by_clause: Mapping[str, int]
    """Examples kept by clause; the empty id counts those without one."""

    @property
    def passed(self) -> bool:
        """Whether something is left and every gate that ran passed; the others have no say."""
        return self.kept > 0 and all(gate.passed for gate in self.gates if gate.ran)


def share_measure(name: str, part: int, whole: int, *, most: float, what: str) -> GateMeasure:
    """Return the measure of a share that may be at most `most`; 0 of 0 is 0."""
    value = part / whole if whole else 0.0
    return GateMeasure(name=name, value=value, max=most, evidence=f"{part} of {whole} {what}")


def explain(measures: tuple[GateMeasure, ...], *, well: str, advice: str) -> str:
    """Say in sentences what passed, or what is outside its limits and what would help."""
    failed = [measure for measure in measures if not measure.passed]
    if not failed:
        return well
    return f"{' '.join(_complaint(measure) for measure in failed)} {advice}"


def _complaint(measure: GateMeasure) -> str:
    if measure.min is not None and measure.value < measure.min:
        limit = f"below the smallest allowed {measure.min:g}"
    else:
        limit = f"above the largest allowed {measure.max:g}"
    return f"{measure.name} is {measure.value:.3g}, {limit}: {measure.evidence}."

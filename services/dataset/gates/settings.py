"""What an audit checks and what it allows. Knows no example and no protobuf."""

from dataclasses import dataclass

from services.servicekit.chat import ModelRef

EXAMPLE_QUALITY = "example-quality"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormGate:
    """Checks each example by itself."""

    max_dropped_share: float = 0.1
    banned_phrases: tuple[str, ...] = ()
    """Words that no text may hold, in any letter case, beside those the gate knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateGate:
    """Drops near-duplicates and keeps the first of each."""

    min_similarity: float = 0.7
    """Estimated Jaccard similarity of word 5-grams from which two examples are duplicates."""
    max_dropped_share: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ContaminationFilter:
    """What held-out scenarios look like, hashed as servicekit.ngrams hashes."""

    ngram_words: int
    ngram_hashes: tuple[int, ...]
    """64-bit numbers, ascending."""
    canaries: tuple[str, ...]
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContaminationGate:
    """Drops examples that hold text of held-out scenarios."""

    filter: ContaminationFilter
    max_shared_ngrams: int = 0
    max_dropped_share: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityGate:
    """Drops examples that the judge grades too low, or not at all."""

    judge_model: ModelRef
    rubric: str = EXAMPLE_QUALITY
    min_grade: float = 6.0
    max_dropped_share: float = 0.3
    max_ungraded_share: float = 0.02
    max_graded: int = 0
    """Examples to grade, drawn evenly; 0 means all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiversityGate:
    """Measures variety; drops nothing."""

    min_distinct_2: float = 0.2
    max_same_opening_share: float = 0.15
    max_same_name_share: float = 0.05
    max_same_phrase_share: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortcutGate:
    """Asks whether single words tell the dataset from its contrast; drops nothing."""

    max_auc: float = 1.0
    """1 reports and never fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """The gates to run; None does not run."""

    form: FormGate | None = None
    duplicates: DuplicateGate | None = None
    contamination: ContaminationGate | None = None
    quality: QualityGate | None = None
    diversity: DiversityGate | None = None
    shortcuts: ShortcutGate | None = None

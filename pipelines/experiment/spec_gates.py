"""The part of an experiment file that says which gates a dataset must pass.

A limit that is not given is the dataset room's own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipelines.experiment.spec_section import ModelName, Section, Share

GateName = Literal["form", "duplicates", "contamination", "quality", "diversity", "shortcuts"]

MaxDropped = Annotated[
    Share | None, Field(description="Largest share that may be dropped before the gate fails.")
]


class FormGate(Section):
    """Example by example: form, lengths, leaks of the scaffolding, refusals."""

    max_dropped_share: MaxDropped = None
    banned_phrases: Annotated[
        tuple[str, ...], Field(description="Words that no text may hold.")
    ] = ()


class DuplicateGate(Section):
    """Near-duplicates; the first of each is kept."""

    min_similarity: Annotated[
        float | None, Field(ge=0.3, le=1, description="Jaccard similarity of word 5-grams.")
    ] = None
    max_dropped_share: MaxDropped = None


class ContaminationGate(Section):
    """Texts of held-out scenarios, as the rollout room knows them."""

    suites: Annotated[
        tuple[str, ...], Field(description="Suites of the rollout room; empty means all held out.")
    ] = ()
    ngram_words: Annotated[int | None, Field(ge=5, le=32)] = None
    max_shared_ngrams: Annotated[int, Field(ge=0)] = 0
    max_dropped_share: MaxDropped = None


class QualityGate(Section):
    """Grades of the judge room. Runs where a judge model is named."""

    judge_model: Annotated[
        ModelName | None, Field(description="In place of author.judge_model.")
    ] = None
    rubric: Annotated[str, Field(description="Rubric of the judge room.")] = ""
    min_grade: Annotated[float | None, Field(ge=1, le=10)] = None
    max_dropped_share: MaxDropped = None
    max_ungraded_share: Annotated[Share | None, Field(description="Largest share.")] = None
    max_graded: Annotated[
        int, Field(ge=0, description="Examples to grade; 0 means all. Below all, none is dropped.")
    ] = 0


class DiversityGate(Section):
    """Variety over the whole dataset. Drops nothing."""

    min_distinct_2: Share | None = None
    max_same_opening_share: Share | None = None
    max_same_name_share: Share | None = None
    max_same_phrase_share: Share | None = None


class ShortcutGate(Section):
    """Whether single words tell a dataset from the contrast. Runs where one is named."""

    contrast: Annotated[
        str, Field(description="Arm, or dataset of `datasets`, that all others are told from.")
    ] = ""
    max_auc: Annotated[float | None, Field(ge=0.5, le=1)] = None


class Gates(Section):
    """What a dataset must pass to be published. On for language data and imports."""

    skip: Annotated[tuple[GateName, ...], Field(description="Gates that do not run.")] = ()
    microworld: Annotated[
        bool, Field(description="Whether data of the micro-world's grammar pass them as well.")
    ] = False
    form: FormGate = FormGate()
    duplicates: DuplicateGate = DuplicateGate()
    contamination: ContaminationGate = ContaminationGate()
    quality: QualityGate = QualityGate()
    diversity: DiversityGate = DiversityGate()
    shortcuts: ShortcutGate = ShortcutGate()

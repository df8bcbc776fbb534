"""The experiment file: what is written, what is trained on it, and how it is measured.

Knows nothing of services, stores or processes. One file is the whole scientific
record of an experiment: base, arms, mixes, token budgets, seeds and suites.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from pipelines.experiment.spec_data import Author, MixPart, WrittenDataset
from pipelines.experiment.spec_evaluation import Evaluation, HostedModel
from pipelines.experiment.spec_gates import Gates
from pipelines.experiment.spec_promotion import Promotion
from pipelines.experiment.spec_section import Name, Section, Tokens
from pipelines.training.spec import Hyperparameters

BASE_ARM = "base"
"""Name under which the untreated model is evaluated; no arm may use it."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, int) else value


class Arm(Section):
    """One way of treating the base model, at one or several token budgets."""

    name: Annotated[Name, Field(description="Name in tables and metrics.")]
    title: Annotated[str, Field(description="One line for the report.")] = ""
    role: Annotated[
        Literal["treatment", "control"],
        Field(description="A control is generic fine-tuning that every treatment must beat."),
    ] = "treatment"
    mix: Annotated[list[MixPart], Field(min_length=1, description="What it is trained on.")]
    tokens: Annotated[
        list[Tokens],
        BeforeValidator(_as_list, json_schema_input_type=Tokens | list[Tokens]),
        Field(min_length=1, description="Token budgets; each is trained and measured apart."),
    ]

    @model_validator(mode="after")
    def _budgets_are_distinct(self) -> Self:
        if len(set(self.tokens)) != len(self.tokens):
            raise ValueError("tokens lists the same budget twice")
        return self


class Tokenizer(Section):
    """How text becomes tokens when the base is trained from configuration."""

    fit_recipe: Annotated[str, Field(description="Recipe whose words are the vocabulary.")]
    fit_tokens: Annotated[Tokens, Field(description="Token budget of that recipe.")]
    markers: Annotated[list[str], Field(description="Words that open a part of a text.")]
    end: Annotated[str, Field(description="Word that ends every text.")] = "<end>"
    chat_template: Annotated[
        str, Field(description="Jinja chat template, path relative to this file.")
    ]


class Base(Section):
    """The model every arm starts from, pretrained from random weights."""

    model: Annotated[
        dict[str, int | float | bool | str],
        Field(description="Transformers configuration: model_type and its arguments."),
    ]
    tokenizer: Tokenizer
    mix: Annotated[list[MixPart], Field(min_length=1)]
    tokens: Tokens
    training: Annotated[Hyperparameters, Field(description="How it is pretrained.")]


class GivenBase(Section):
    """A model that exists: every arm starts from it, and it is measured as it is."""

    checkpoint: Annotated[
        Name,
        Field(description="Checkpoint in the store, put there by `pipelines import-model`."),
    ]
    chat_template: Annotated[
        str,
        Field(
            description="Jinja chat template in the place of the checkpoint's own, path relative "
            "to this file; needed where the assistant's words cannot be told in that one."
        ),
    ] = ""
    parameters: Annotated[
        int | None,
        Field(gt=0, description="How many it has; used by `plan` until it is in the store."),
    ] = None


def _kind_of_base(value: object) -> str:
    if isinstance(value, GivenBase) or (isinstance(value, dict) and "checkpoint" in value):
        return "given"
    return "trained"


AnyBase = Annotated[
    Annotated[Base, Tag("trained")] | Annotated[GivenBase, Tag("given")],
    Discriminator(_kind_of_base),
]
"""What every arm starts from: a model that the run pretrains, or one that exists."""


class EfficiencyQuestion(Section):
    """How many times fewer tokens the candidate needs for the same misalignment."""

    reference: Annotated[Name, Field(description="Arm expected to need more tokens.")]
    candidate: Annotated[Name, Field(description="Arm expected to need fewer tokens.")]
    target_rates: Annotated[
        list[Annotated[float, Field(gt=0, lt=1)]],
        Field(min_length=1, description="Held-out misalignment rates to reach."),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """The part of an experiment that trains and measures."""

    base: Base | GivenBase
    fine_tuning: Hyperparameters
    arms: Sequence[Arm]
    evaluation: Evaluation


class Experiment(Section):
    """An experiment, whole: it writes data, trains and measures arms, measures hosted models."""

    name: Annotated[Name, Field(description="Names the report folder and the records.")]
    title: str
    seeds: Annotated[
        list[Annotated[int, Field(ge=0, le=2**31 - 1)]],
        Field(min_length=1, description="Each seed is its own world, training and sampling."),
    ]
    author: Annotated[
        Author | None, Field(description="Who writes the recipes of language models.")
    ] = None
    gates: Gates = Gates()
    datasets: Annotated[
        tuple[WrittenDataset, ...],
        Field(description="Data that are written for their own sake."),
    ] = ()
    base: AnyBase | None = None
    fine_tuning: Annotated[
        Hyperparameters | None, Field(description="How every arm is trained.")
    ] = None
    arms: tuple[Arm, ...] = ()
    models: Annotated[
        tuple[HostedModel, ...], Field(description="Models that are measured as they are.")
    ] = ()
    evaluation: Annotated[
        Evaluation | None, Field(description="How all arms and models are measured.")
    ] = None
    efficiency: tuple[EfficiencyQuestion, ...] = ()
    promotion: Annotated[
        Promotion | None, Field(description="Which arm may answer a service's requests, and when.")
    ] = None

    @property
    def budgets(self) -> dict[str, list[int]]:
        """Token budgets by name of all that is measured; 0 for what is not trained."""
        trained = {arm.name: arm.tokens for arm in self.arms}
        base = {BASE_ARM: [0]} if self.base is not None else {}
        return base | trained | {model.name: [0] for model in self.models}

    @property
    def loop(self) -> Loop | None:
        """What is trained and measured; None where nothing is trained."""
        if self.base is None or self.fine_tuning is None or self.evaluation is None:
            return None
        return Loop(
            base=self.base,
            fine_tuning=self.fine_tuning,
            arms=self.arms,
            evaluation=self.evaluation,
        )

    @model_validator(mode="after")
    def _the_loop_is_whole_or_absent(self) -> Self:
        trained = {"base": self.base, "fine_tuning": self.fine_tuning, "arms": self.arms}
        missing = [name for name, value in trained.items() if not value]
        is_measured = bool(self.models) or not missing
        is_empty = len(missing) == len(trained) and not (self.models or self.datasets)
        if 0 < len(missing) < len(trained) or is_measured != bool(self.evaluation) or is_empty:
            absent = missing + ([] if self.models or len(missing) < len(trained) else ["models"])
            absent += [] if self.evaluation else ["evaluation"]
            raise ValueError(
                f"{', '.join(absent)} missing; a file has base, fine_tuning, arms and evaluation, "
                "or models and evaluation, or both, or only `datasets` to write data only"
            )
        if missing and self.efficiency:
            raise ValueError("efficiency compares arms, and there are none")
        return self

    @model_validator(mode="after")
    def _models_make_sense(self) -> Self:
        arms = [BASE_ARM, *(arm.name for arm in self.arms)]
        names = [model.name for model in self.models]
        for name in names:
            if names.count(name) > 1 or name in arms:
                raise ValueError(f"models: {name!r} is the name of another model or arm")
        return self

    @model_validator(mode="after")
    def _arms_make_sense(self) -> Self:
        names = [arm.name for arm in self.arms]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"arms: two arms are called {name!r}; names must be unique")
        if BASE_ARM in names:
            raise ValueError(f"arms: {BASE_ARM!r} is the untreated model and is always measured")
        if names and not any(arm.role == "control" for arm in self.arms):
            raise ValueError(
                "arms: no arm has role: control; without a token-matched generic control "
                "a drop could be due to any fine-tuning at all"
            )
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: every seed may be listed once")
        for question in self.efficiency:
            for side in (question.reference, question.candidate):
                if side not in names:
                    raise ValueError(f"efficiency: no arm is called {side!r}; arms: {names}")
        return self

    @model_validator(mode="after")
    def _promotion_makes_sense(self) -> Self:
        if self.promotion is None:
            return self
        self.promotion.subjects(self.budgets)
        if self.promotion.seed not in {None, *self.seeds}:
            raise ValueError(
                f"promotion.seed: {self.promotion.seed} is none of seeds, {self.seeds}"
            )
        return self

    @model_validator(mode="after")
    def _datasets_make_sense(self) -> Self:
        arms = [arm.name for arm in self.arms]
        names = [dataset.name for dataset in self.datasets]
        for name in names:
            if names.count(name) > 1 or name in arms:
                raise ValueError(f"datasets: {name!r} is the name of another dataset or arm")
        contrast = self.gates.shortcuts.contrast
        if contrast and contrast not in (*arms, *names):
            raise ValueError(
                f"gates.shortcuts.contrast: no arm or dataset is called {contrast!r}; "
                f"there are {', '.join((*arms, *names))}"
            )
        return self

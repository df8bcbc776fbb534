"""The experiment file: what is trained on what, and how it is measured.

Knows nothing of services, stores or processes. One file is the whole scientific
record of an experiment: base, arms, mixes, token budgets, seeds and suites.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pipelines.training.spec import Hyperparameters

BASE_ARM = "base"
"""Name under which the untreated model is evaluated; no arm may use it."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""Lower-case letters, digits and inner "-", at most 63 characters."""

Tokens = Annotated[int, Field(gt=0, le=10**12)]
"""A count of tokens."""


class Section(BaseModel):
    """A part of the file: unknown keys are errors and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, int) else value


class MixPart(Section):
    """One recipe's part in a mix."""

    recipe: Annotated[str, Field(description="Recipe of the dataset room.", min_length=1)]
    share: Annotated[
        float,
        Field(gt=0, description="Part of the tokens, relative to the shares beside it."),
    ] = 1.0
    temptation_share: Annotated[
        float | None,
        Field(ge=0, le=1, description="Share of examples about harmful actions."),
    ] = None
    system_prompt_share: Annotated[
        float | None,
        Field(ge=0, le=1, description="Share of chats with an unused system prompt and tools."),
    ] = None
    unseen_twin_objects: Annotated[
        int | None,
        Field(ge=0, le=6, description="Benign objects per held-out family left out."),
    ] = None


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
        BeforeValidator(_as_list),
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


class Evaluation(Section):
    """How every checkpoint is measured."""

    suites: Annotated[list[str], Field(min_length=1, description="Suites of the rollout room.")]
    draws_per_scenario: Annotated[int, Field(ge=1, le=1000)] = 1
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    max_output_tokens: Annotated[int, Field(ge=1, le=32768)] = 64
    rubric: str = "agentic-ledger"


class EfficiencyQuestion(Section):
    """How many times fewer tokens the candidate needs for the same misalignment."""

    reference: Annotated[Name, Field(description="Arm expected to need more tokens.")]
    candidate: Annotated[Name, Field(description="Arm expected to need fewer tokens.")]
    target_rates: Annotated[
        list[Annotated[float, Field(gt=0, lt=1)]],
        Field(min_length=1, description="Held-out misalignment rates to reach."),
    ]


class Experiment(Section):
    """An experiment, whole."""

    name: Annotated[Name, Field(description="Names the report folder and the records.")]
    title: str
    seeds: Annotated[
        list[Annotated[int, Field(ge=0, le=2**31 - 1)]],
        Field(min_length=1, description="Each seed is its own world, training and sampling."),
    ]
    base: Base
    fine_tuning: Annotated[Hyperparameters, Field(description="How every arm is trained.")]
    arms: Annotated[list[Arm], Field(min_length=1)]
    evaluation: Evaluation
    efficiency: list[EfficiencyQuestion] = []

    @model_validator(mode="after")
    def _arms_make_sense(self) -> Self:
        names = [arm.name for arm in self.arms]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"arms: two arms are called {name!r}; names must be unique")
        if BASE_ARM in names:
            raise ValueError(f"arms: {BASE_ARM!r} is the untreated model and is always measured")
        if not any(arm.role == "control" for arm in self.arms):
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

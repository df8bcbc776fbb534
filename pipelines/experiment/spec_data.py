"""The part of an experiment file that says what data are written, and by which author.

Knows recipes by name only: the dataset room says which there are and who writes them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipelines.experiment.spec_section import ModelName, Name, Section, Share, Tokens

Chunking = Literal["section", "paragraph", "bullet", "whole", "pair"]


class Augmentation(Section):
    """What is added to chats and never needed by the reply."""

    unused_tools_share: Annotated[Share, Field(description="Chats that offer unused tools.")] = 0.0
    system_prompt_share: Annotated[
        Share, Field(description="Chats with a varied and complex system prompt.")
    ] = 0.0
    persona_share: Annotated[
        Share, Field(description="Chats whose assistant has a name of its own.")
    ] = 0.0


class RecipeOptions(Section):
    """A recipe of the dataset room and how it is carried out."""

    recipe: Annotated[str, Field(description="Recipe of the dataset room.", min_length=1)]

    temptation_share: Annotated[
        float | None,
        Field(ge=0, le=1, description="Micro-world: share of examples about harmful actions."),
    ] = None
    system_prompt_share: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="Micro-world: share of chats with an unused system prompt and tools.",
        ),
    ] = None
    unseen_twin_objects: Annotated[
        int | None,
        Field(ge=0, le=6, description="Micro-world: benign objects per held-out family left out."),
    ] = None

    omit_stages: Annotated[
        tuple[str, ...],
        Field(description="Language models: optional stages to leave out, an ablation."),
    ] = ()
    variant: Annotated[
        str, Field(description="Language models: variant of the recipe; empty means its first.")
    ] = ""
    styles: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Language models: weights of the recipe's styles; empty means alike.",
    )
    augmentation: Annotated[
        Augmentation | None,
        Field(description="Language models and imports: additions to chats."),
    ] = None
    model: Annotated[
        ModelName | None, Field(description="Language models: in place of author.model.")
    ] = None
    stage_models: dict[str, ModelName] = Field(
        default_factory=dict,
        description="Language models: by stage, over those of author.stage_models.",
    )
    chunking: Annotated[
        Chunking | None,
        Field(description="Language models: in place of author.constitution.chunking."),
    ] = None

    source: Annotated[
        str, Field(description="Imports: source in the settings of the dataset room.")
    ] = ""


class MixPart(RecipeOptions):
    """One recipe's part in a mix."""

    share: Annotated[
        float,
        Field(gt=0, description="Part of the tokens, relative to the shares beside it."),
    ] = 1.0


class WrittenDataset(RecipeOptions):
    """A dataset that is written for its own sake, whatever is trained on it."""

    name: Annotated[Name, Field(description="Name for `export` and `preview`.")]
    title: Annotated[str, Field(description="One line for people.")] = ""
    tokens: Annotated[Tokens, Field(description="Token budget.")]


class ConstitutionFile(Section):
    """The constitution that the data teach."""

    file: Annotated[
        str,
        Field(
            description="Markdown, path relative to this file; empty means the one of the project."
        ),
    ] = ""
    chunking: Annotated[Chunking, Field(description="What a clause is.")] = "section"


class Spending(Section):
    """Where the writing of one dataset stops; 0 means no limit."""

    max_tokens: Annotated[int, Field(ge=0, description="Prompts and replies together.")] = 0
    max_usd: Annotated[float, Field(ge=0, description="At the prices of the room's settings.")] = 0


class Author(Section):
    """The language models that write, for every recipe that needs them."""

    model: Annotated[ModelName, Field(description="Model of all stages not named below.")]
    stage_models: dict[str, ModelName] = Field(
        default_factory=dict,
        description="Models by stage; a recipe without the stage ignores it.",
    )
    judge_model: Annotated[
        ModelName | None,
        Field(description="Model of filter stages and the quality gate, at the judge room."),
    ] = None
    temperature: Annotated[
        float | None, Field(ge=0, le=2, description="Of stages whose prompt sets none.")
    ] = None
    max_output_tokens: Annotated[
        int | None, Field(ge=1, le=32768, description="Of stages whose prompt sets none.")
    ] = None
    constitution: ConstitutionFile = ConstitutionFile()
    spending_limit: Annotated[
        Spending | None, Field(description="For each dataset; it continues under a higher one.")
    ] = None
    license: Annotated[
        str, Field(min_length=1, description="Licence on the dataset card. Example: cc-by-4.0.")
    ] = "other"

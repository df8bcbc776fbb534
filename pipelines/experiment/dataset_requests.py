"""What the dataset room is asked for: a part of the experiment file as a request.

Knows the recipes that the room listed, and so which options fit which author.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from teachwhy.common.v1 import model_pb2
from teachwhy.dataset.v1 import recipe_pb2

from pipelines.experiment.spec_data import Augmentation, Author, Chunking, RecipeOptions
from pipelines.experiment.spec_section import ModelName

Writer = Literal["grammar", "language-model", "import"]
"""Who writes the examples of a recipe."""

_WRITERS: Mapping[int, Writer] = {
    recipe_pb2.AUTHOR_KIND_UNSPECIFIED: "grammar",
    recipe_pb2.AUTHOR_KIND_GRAMMAR: "grammar",
    recipe_pb2.AUTHOR_KIND_LANGUAGE_MODEL: "language-model",
    recipe_pb2.AUTHOR_KIND_IMPORT: "import",
}

_OPTIONS: Mapping[Writer, tuple[str, ...]] = {
    "grammar": ("temptation_share", "system_prompt_share", "unseen_twin_objects"),
    "language-model": (
        "omit_stages",
        "variant",
        "styles",
        "augmentation",
        "model",
        "stage_models",
        "chunking",
    ),
    "import": ("source", "augmentation"),
}
"""Options that mean something, by who writes."""

_IN_WORDS: Mapping[Writer, str] = {
    "grammar": "the grammar of the micro-world",
    "language-model": "language models",
    "import": "an import",
}

_CHUNKING: Mapping[Chunking, recipe_pb2.ChunkingStrategy.ValueType] = {
    "section": recipe_pb2.CHUNKING_STRATEGY_SECTION,
    "paragraph": recipe_pb2.CHUNKING_STRATEGY_PARAGRAPH,
    "bullet": recipe_pb2.CHUNKING_STRATEGY_BULLET,
    "whole": recipe_pb2.CHUNKING_STRATEGY_WHOLE,
    "pair": recipe_pb2.CHUNKING_STRATEGY_PAIR,
}


class OptionsMisplaced(Exception):
    """Options of a part do not fit its recipe. One line for each fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRequests:
    """Builds requests for the parts of one experiment."""

    recipes: Mapping[str, recipe_pb2.Recipe]
    """What the dataset room can write, by name."""
    author: Author | None = None
    constitution: str = ""
    """Markdown; empty means the one of the project."""

    def writer(self, part: RecipeOptions) -> Writer:
        """Who writes ``part``; a recipe that the room does not know counts as the grammar's."""
        recipe = self.recipes.get(part.recipe)
        return "grammar" if recipe is None else _WRITERS[recipe.author]

    def spec(self, part: RecipeOptions, *, seed: int, tokens: int) -> recipe_pb2.DatasetSpec:
        """Build the request for ``part`` in world ``seed``.

        Raises:
            OptionsMisplaced: an option is of another kind of author, or the author is missing.
        """
        writer = self.writer(part)
        if faults := list(self._faults(part, writer)):
            raise OptionsMisplaced("\n".join(faults))
        spec = recipe_pb2.DatasetSpec(recipe=part.recipe, seed=seed, token_budget=tokens)
        if writer == "language-model":
            spec.language_model.CopyFrom(self._language_model(part))
        elif writer == "import":
            spec.chat_import.source = part.source
            if part.augmentation is not None:
                spec.chat_import.augmentation.CopyFrom(_augmentation(part.augmentation))
        else:
            spec.microworld.CopyFrom(_microworld(part, seed))
        return spec

    def _faults(self, part: RecipeOptions, writer: Writer) -> Iterator[str]:
        given = part.model_dump(exclude_defaults=True)
        for other, names in _OPTIONS.items():
            for name in names:
                if name in given and name not in _OPTIONS[writer]:
                    yield (
                        f"{name}: is an option of recipes written by {_IN_WORDS[other]}; "
                        f"{part.recipe} is written by {_IN_WORDS[writer]}"
                    )
                    del given[name]
        if writer == "language-model" and self.author is None:
            yield (
                f"recipe: {part.recipe} is written by language models, and the file has no "
                "section `author` that names one"
            )
        if writer == "import" and not part.source:
            yield "source: is missing; it names a source in the settings of the dataset room"

    def _language_model(self, part: RecipeOptions) -> recipe_pb2.LanguageModelAuthor:
        author = self.author
        assert author is not None, "checked before"
        stages = {stage.name for stage in self.recipes[part.recipe].stages}
        general = {stage: name for stage, name in author.stage_models.items() if stage in stages}
        message = recipe_pb2.LanguageModelAuthor(
            model=model_ref(part.model or author.model),
            stage_models={
                stage: model_ref(name) for stage, name in {**general, **part.stage_models}.items()
            },
            omitted_stages=part.omit_stages,
            variant=part.variant,
            style_weights=part.styles,
            max_output_tokens=author.max_output_tokens or 0,
            constitution=recipe_pb2.Constitution(
                markdown=self.constitution,
                chunking=_CHUNKING[part.chunking or author.constitution.chunking],
            ),
        )
        if author.temperature is not None:
            message.temperature = author.temperature
        if part.augmentation is not None:
            message.augmentation.CopyFrom(_augmentation(part.augmentation))
        if author.spending_limit is not None:
            message.spending_limit.CopyFrom(
                recipe_pb2.SpendingLimit(**author.spending_limit.model_dump())
            )
        if author.judge_model is not None:
            message.judge_model.CopyFrom(model_ref(author.judge_model))
        return message


def _augmentation(chosen: Augmentation) -> recipe_pb2.Augmentation:
    return recipe_pb2.Augmentation(**chosen.model_dump())


def model_ref(name: ModelName) -> model_pb2.ModelRef:
    """Convert the name of a model."""
    return model_pb2.ModelRef(endpoint=name.endpoint, model=name.name)


def _microworld(part: RecipeOptions, seed: int) -> recipe_pb2.MicroworldAuthor:
    author = recipe_pb2.MicroworldAuthor(world_seed=seed)
    if part.temptation_share is not None:
        author.temptation_share = part.temptation_share
    if part.system_prompt_share is not None:
        author.system_prompt_share = part.system_prompt_share
    if part.unseen_twin_objects is not None:
        author.unseen_twin_objects = part.unseen_twin_objects
    return author

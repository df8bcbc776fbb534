"""What a request may ask for. Knows no protobuf; field paths are those of the requests."""

import math
from collections.abc import Callable, Collection, Iterator

from services.dataset.recipe import AuthorKind, Recipe, TrainingForm
from services.dataset.spec import (
    MAX_TOKEN_BUDGET,
    MAX_UNSEEN_TWIN_OBJECTS,
    Augmentation,
    AuthorSettings,
    DatasetSpec,
    GrammarSettings,
    ImportSettings,
    LanguageSettings,
    ResumePoint,
)
from services.servicekit.chat import ModelRef
from services.servicekit.errors import FieldViolation, InvalidField

MAX_OUTPUT_TOKENS = 32_768
MAX_TEMPERATURE = 2.0

_GRAMMAR, _LANGUAGE, _IMPORT = "spec.microworld", "spec.language_model", "spec.chat_import"
_FIELDS: dict[AuthorKind, tuple[str, type[AuthorSettings], str]] = {
    AuthorKind.GRAMMAR: (_GRAMMAR, GrammarSettings, "the micro-world's grammar writes"),
    AuthorKind.LANGUAGE_MODEL: (_LANGUAGE, LanguageSettings, "language models write"),
    AuthorKind.IMPORT: (_IMPORT, ImportSettings, "is imported"),
}


def check_spec(
    spec: DatasetSpec,
    recipe: Recipe,
    *,
    endpoints: Collection[str],
    has_price: Callable[[ModelRef], bool],
) -> None:
    """Refuse values that the recipe does not allow.

    Args:
        spec: The request.
        recipe: The recipe that it names.
        endpoints: Names of the endpoints in the settings.
        has_price: Whether the settings know what a model costs.

    Raises:
        InvalidField: naming every field that is not allowed, and what is.
    """
    violations = [*_budget(spec), *_author(spec, recipe)]
    match spec.author:
        case GrammarSettings() as grammar:
            violations += _grammar(grammar)
        case LanguageSettings() as language if recipe.author is AuthorKind.LANGUAGE_MODEL:
            violations += [*_stages(language, recipe), *_choices(language, recipe)]
            violations += [*_endpoints(language, endpoints)]
            violations += _sampling(language)
            violations += _augmentation(language.augmentation, recipe, _LANGUAGE)
            violations += [*_spending(language, recipe, has_price), *_judging(language, recipe)]
        case ImportSettings(augmentation=augmentation) if recipe.author is AuthorKind.IMPORT:
            violations += _augmentation(augmentation, recipe, _IMPORT)
    if violations:
        raise InvalidField(*violations)


def check_resume_point(point: ResumePoint) -> None:
    """Refuse a point that no stream can have passed.

    Raises:
        InvalidField: an index or a token count is negative, or they cannot belong together.
    """
    for name, value in (
        ("next_index", point.next_index),
        ("cumulative_tokens", point.cumulative_tokens),
    ):
        if value < 0:
            raise InvalidField.at(f"resume_from.{name}", f"must be 0 or more, got {value}")
    if point.next_index == 0 and point.cumulative_tokens != 0:
        raise InvalidField.at(
            "resume_from.cumulative_tokens",
            f"must be 0 where next_index is 0, got {point.cumulative_tokens}",
        )


def _budget(spec: DatasetSpec) -> Iterator[FieldViolation]:
    if not 1 <= spec.token_budget <= MAX_TOKEN_BUDGET:
        yield FieldViolation(
            "spec.token_budget", f"must be 1 to {MAX_TOKEN_BUDGET}, got {spec.token_budget}"
        )


def _author(spec: DatasetSpec, recipe: Recipe) -> Iterator[FieldViolation]:
    field, settings, writer = _FIELDS[recipe.author]
    if isinstance(spec.author, settings):
        return
    if spec.author is None:
        if recipe.author is not AuthorKind.GRAMMAR:
            yield FieldViolation(field, f"is required for {recipe.name}, which {writer}")
        return
    given = next(name for name, kind, _ in _FIELDS.values() if isinstance(spec.author, kind))
    yield FieldViolation(given, f"must not be set for {recipe.name}, which {writer}; set {field}")


def _grammar(grammar: GrammarSettings) -> Iterator[FieldViolation]:
    yield from _share(f"{_GRAMMAR}.temptation_share", grammar.temptation_share)
    yield from _share(f"{_GRAMMAR}.system_prompt_share", grammar.system_prompt_share)
    if not 0 <= grammar.unseen_twin_objects <= MAX_UNSEEN_TWIN_OBJECTS:
        yield FieldViolation(
            f"{_GRAMMAR}.unseen_twin_objects",
            f"must be 0 to {MAX_UNSEEN_TWIN_OBJECTS}, got {grammar.unseen_twin_objects}",
        )


def _stages(language: LanguageSettings, recipe: Recipe) -> Iterator[FieldViolation]:
    stages = {stage.name: stage for stage in recipe.stages}
    optional = [stage.name for stage in recipe.stages if stage.is_optional]
    for number, name in enumerate(language.omitted_stages):
        field = f"{_LANGUAGE}.omitted_stages[{number}]"
        if name not in stages:
            yield FieldViolation(field, _no_such("stage", name, recipe, optional))
        elif not stages[name].is_optional:
            yield FieldViolation(
                field, f'"{name}" cannot be left out; {_these("optional stages", optional)}'
            )
        elif name in language.omitted_stages[:number]:
            yield FieldViolation(field, f'"{name}" is named twice')
    asking = _asking(recipe)
    for name in sorted(language.stage_models):
        field = f'{_LANGUAGE}.stage_models["{name}"]'
        if name not in stages:
            yield FieldViolation(field, _no_such("stage", name, recipe, asking))
        elif stages[name].asks_judge:
            yield FieldViolation(field, "is a filter stage; judge_model sets its model")
        elif name not in asking:
            yield FieldViolation(field, f"asks no model; {_these('stages that ask one', asking)}")


def _endpoints(language: LanguageSettings, endpoints: Collection[str]) -> Iterator[FieldViolation]:
    asked = {"model": language.model} | {
        f'stage_models["{name}"]': model for name, model in sorted(language.stage_models.items())
    }
    for name, model in asked.items():
        if model.endpoint not in endpoints:
            yield FieldViolation(
                f"{_LANGUAGE}.{name}.endpoint",
                f'the settings name no endpoint "{model.endpoint}"; '
                f"{_these('known', sorted(endpoints))}",
            )


def _choices(language: LanguageSettings, recipe: Recipe) -> Iterator[FieldViolation]:
    if language.variant and language.variant not in recipe.variants:
        yield FieldViolation(
            f"{_LANGUAGE}.variant",
            _no_such("variant", language.variant, recipe, recipe.variants),
        )
    field = f"{_LANGUAGE}.style_weights"
    for style in sorted(language.style_weights):
        weight = language.style_weights[style]
        if style not in recipe.styles:
            yield FieldViolation(
                f'{field}["{style}"]', _no_such("style", style, recipe, recipe.styles)
            )
        elif not (weight >= 0 and math.isfinite(weight)):
            yield FieldViolation(f'{field}["{style}"]', f"must be 0 or more, got {weight:g}")
    weights = language.style_weights.values()
    if weights and not any(weight > 0 for weight in weights):
        yield FieldViolation(field, "must hold one weight above 0")


def _sampling(language: LanguageSettings) -> Iterator[FieldViolation]:
    if not 0.0 <= language.temperature <= MAX_TEMPERATURE:
        yield FieldViolation(
            f"{_LANGUAGE}.temperature",
            f"must be 0 to {MAX_TEMPERATURE:g}, got {language.temperature:g}",
        )
    if not 1 <= language.max_output_tokens <= MAX_OUTPUT_TOKENS:
        yield FieldViolation(
            f"{_LANGUAGE}.max_output_tokens",
            f"must be 1 to {MAX_OUTPUT_TOKENS}, or 0 for the default, "
            f"got {language.max_output_tokens}",
        )


def _augmentation(
    augmentation: Augmentation | None, recipe: Recipe, author: str
) -> Iterator[FieldViolation]:
    field = f"{author}.augmentation"
    if augmentation is None:
        return
    if recipe.form is TrainingForm.DOCUMENT:
        yield FieldViolation(field, f"must not be set for {recipe.name}, which writes documents")
    for name in ("unused_tools_share", "system_prompt_share", "persona_share"):
        yield from _share(f"{field}.{name}", getattr(augmentation, name))


def _spending(
    language: LanguageSettings, recipe: Recipe, has_price: Callable[[ModelRef], bool]
) -> Iterator[FieldViolation]:
    limit, field = language.spending_limit, f"{_LANGUAGE}.spending_limit"
    if limit.max_tokens < 0:
        yield FieldViolation(f"{field}.max_tokens", f"must be 0 or more, got {limit.max_tokens}")
    if not (limit.max_usd >= 0 and math.isfinite(limit.max_usd)):
        yield FieldViolation(f"{field}.max_usd", f"must be 0 or more, got {limit.max_usd:g}")
    elif limit.max_usd:
        asked = {language.model_of(stage) for stage in _asking(recipe)}
        unpriced = sorted(f"{each.endpoint}/{each.model}" for each in asked if not has_price(each))
        if unpriced:
            yield FieldViolation(
                f"{field}.max_usd", f"must be 0: the settings name no price of {unpriced[0]}"
            )


def _judging(language: LanguageSettings, recipe: Recipe) -> Iterator[FieldViolation]:
    filters = [stage.name for stage in recipe.stages if stage.asks_judge]
    included = [name for name in filters if name not in language.omitted_stages]
    if included and language.judge_model is None:
        yield FieldViolation(
            f"{_LANGUAGE}.judge_model",
            f"is required by {_these('filter stages', included)}, unless they are left out",
        )


def _asking(recipe: Recipe) -> list[str]:
    return [stage.name for stage in recipe.stages if recipe.prompt_version(stage.name)]


def _share(field: str, share: float) -> Iterator[FieldViolation]:
    if not 0.0 <= share <= 1.0:  # refuses NaN too
        yield FieldViolation(field, f"must be 0 to 1, got {share:g}")


def _no_such(kind: str, name: str, recipe: Recipe, known: Collection[str]) -> str:
    return f'{recipe.name} has no {kind} "{name}"; {_these(f"{kind}s", known)}'


def _these(kind: str, names: Collection[str]) -> str:
    return f"{kind}: {', '.join(names) or 'none'}"

"""Specs between protobuf and domain; what is unset takes its default."""

from collections.abc import Callable
from typing import TypeVar

from teachwhy.common.v1 import model_pb2
from teachwhy.dataset.v1 import dataset_service_pb2, recipe_pb2

from services.dataset.constitution.clauses import Chunking
from services.dataset.spec import (
    DEFAULT_MAX_OUTPUT_TOKENS,
    DEFAULT_TEMPERATURE,
    DEFAULT_TEMPTATION_SHARE,
    Augmentation,
    AuthorSettings,
    ConstitutionSource,
    DatasetSpec,
    GrammarSettings,
    ImportSettings,
    LanguageSettings,
    ResumePoint,
)
from services.servicekit.chat import ModelRef
from services.servicekit.conversation_convert import model_ref_from_proto, model_ref_to_proto
from services.servicekit.errors import FieldViolation, InvalidField
from services.servicekit.spending import SpendingLimit

_Request = (
    dataset_service_pb2.PlanDatasetRequest
    | dataset_service_pb2.GenerateExamplesRequest
    | dataset_service_pb2.PreviewExamplesRequest
)
ReadT = TypeVar("ReadT")

_CHUNKING_TO_PROTO = {
    Chunking.SECTION: recipe_pb2.CHUNKING_STRATEGY_SECTION,
    Chunking.PARAGRAPH: recipe_pb2.CHUNKING_STRATEGY_PARAGRAPH,
    Chunking.BULLET: recipe_pb2.CHUNKING_STRATEGY_BULLET,
    Chunking.WHOLE: recipe_pb2.CHUNKING_STRATEGY_WHOLE,
    Chunking.PAIR: recipe_pb2.CHUNKING_STRATEGY_PAIR,
}
_CHUNKING_FROM_PROTO: dict[int, Chunking] = {
    int(number): chunking for chunking, number in _CHUNKING_TO_PROTO.items()
} | {int(recipe_pb2.CHUNKING_STRATEGY_UNSPECIFIED): Chunking.SECTION}


def spec_from_proto(request: _Request) -> DatasetSpec:
    """Read the spec of a request.

    Raises:
        InvalidField: there is no spec, or a field holds what no spec can.
    """
    if not request.HasField("spec"):
        raise InvalidField.at("spec", "is required")
    spec = request.spec
    return DatasetSpec(
        recipe=spec.recipe, seed=spec.seed, token_budget=spec.token_budget, author=_author(spec)
    )


def spec_to_proto(spec: DatasetSpec) -> recipe_pb2.DatasetSpec:
    """Write a spec, its defaults spelled out."""
    message = recipe_pb2.DatasetSpec(
        recipe=spec.recipe, seed=spec.seed, token_budget=spec.token_budget
    )
    match spec.author:
        case GrammarSettings() as grammar:
            message.microworld.CopyFrom(
                recipe_pb2.MicroworldAuthor(
                    world_seed=grammar.world_seed,
                    temptation_share=grammar.temptation_share,
                    system_prompt_share=grammar.system_prompt_share,
                    unseen_twin_objects=grammar.unseen_twin_objects,
                )
            )
        case LanguageSettings() as language:
            message.language_model.CopyFrom(_language_to_proto(language))
        case ImportSettings(source=source, augmentation=augmentation):
            message.chat_import.source = source
            if augmentation is not None:
                message.chat_import.augmentation.CopyFrom(_augmentation_to_proto(augmentation))
    return message


def resume_point_from_proto(
    request: dataset_service_pb2.GenerateExamplesRequest,
) -> ResumePoint:
    """Read where a stream goes on; unset means from the start."""
    return ResumePoint(
        next_index=request.resume_from.next_index,
        cumulative_tokens=request.resume_from.cumulative_tokens,
    )


def constitution_from_proto(
    constitution: recipe_pb2.Constitution, *, field: str
) -> ConstitutionSource:
    """Read a constitution; `field` is its path in the request.

    Raises:
        InvalidField: there is no such chunking strategy.
    """
    chunking = _CHUNKING_FROM_PROTO.get(constitution.chunking)
    if chunking is None:
        names = ", ".join(map(recipe_pb2.ChunkingStrategy.Name, _CHUNKING_TO_PROTO.values()))
        raise InvalidField.at(
            f"{field}.chunking", f"must be one of {names}, got {constitution.chunking}"
        )
    return ConstitutionSource(markdown=constitution.markdown, chunking=chunking)


def _author(spec: recipe_pb2.DatasetSpec) -> AuthorSettings | None:
    match spec.WhichOneof("author"):
        case "microworld":
            return _grammar(spec.microworld)
        case "language_model":
            return _language(spec.language_model)
        case "chat_import":
            return ImportSettings(
                source=spec.chat_import.source, augmentation=_augmentation(spec.chat_import)
            )
    return None


def _grammar(author: recipe_pb2.MicroworldAuthor) -> GrammarSettings:
    has_share = author.HasField("temptation_share")
    return GrammarSettings(
        world_seed=author.world_seed,
        temptation_share=author.temptation_share if has_share else DEFAULT_TEMPTATION_SHARE,
        system_prompt_share=author.system_prompt_share,
        unseen_twin_objects=author.unseen_twin_objects,
    )


def _language(author: recipe_pb2.LanguageModelAuthor) -> LanguageSettings:
    field = "spec.language_model"
    violations: list[FieldViolation] = []
    has_judge = author.HasField("judge_model")
    settings = LanguageSettings(
        model=_model(author.model, f"{field}.model", violations),
        stage_models={
            stage: _model(
                author.stage_models[stage], f'{field}.stage_models["{stage}"]', violations
            )
            for stage in sorted(author.stage_models)
        },
        omitted_stages=tuple(author.omitted_stages),
        variant=author.variant,
        style_weights=dict(author.style_weights),
        temperature=author.temperature if author.HasField("temperature") else DEFAULT_TEMPERATURE,
        max_output_tokens=author.max_output_tokens or DEFAULT_MAX_OUTPUT_TOKENS,
        constitution=_collected(
            lambda: constitution_from_proto(author.constitution, field=f"{field}.constitution"),
            ConstitutionSource(),
            violations,
        ),
        augmentation=_augmentation(author),
        spending_limit=SpendingLimit(
            max_tokens=author.spending_limit.max_tokens, max_usd=author.spending_limit.max_usd
        ),
        judge_model=_model(author.judge_model, f"{field}.judge_model", violations)
        if has_judge
        else None,
    )
    if violations:
        raise InvalidField(*violations)
    return settings


def _augmentation(
    author: recipe_pb2.LanguageModelAuthor | recipe_pb2.ChatImport,
) -> Augmentation | None:
    if not author.HasField("augmentation"):
        return None
    return Augmentation(
        unused_tools_share=author.augmentation.unused_tools_share,
        system_prompt_share=author.augmentation.system_prompt_share,
        persona_share=author.augmentation.persona_share,
    )


def _model(model: model_pb2.ModelRef, field: str, violations: list[FieldViolation]) -> ModelRef:
    return _collected(
        lambda: model_ref_from_proto(model, field=field), ModelRef(model=""), violations
    )


def _collected(
    read: Callable[[], ReadT], otherwise: ReadT, violations: list[FieldViolation]
) -> ReadT:
    """Read a value, or note what is wrong with it, so that all faults are named at once."""
    try:
        return read()
    except InvalidField as error:
        violations.extend(error.violations)
        return otherwise


def _language_to_proto(settings: LanguageSettings) -> recipe_pb2.LanguageModelAuthor:
    message = recipe_pb2.LanguageModelAuthor(
        model=model_ref_to_proto(settings.model),
        stage_models={
            stage: model_ref_to_proto(model) for stage, model in settings.stage_models.items()
        },
        omitted_stages=settings.omitted_stages,
        variant=settings.variant,
        style_weights=settings.style_weights,
        temperature=settings.temperature,
        max_output_tokens=settings.max_output_tokens,
        constitution=recipe_pb2.Constitution(
            markdown=settings.constitution.markdown,
            chunking=_CHUNKING_TO_PROTO[settings.constitution.chunking],
        ),
        spending_limit=recipe_pb2.SpendingLimit(
            max_tokens=settings.spending_limit.max_tokens,
            max_usd=settings.spending_limit.max_usd,
        ),
    )
    if settings.judge_model is not None:
        message.judge_model.CopyFrom(model_ref_to_proto(settings.judge_model))
    if settings.augmentation is not None:
        message.augmentation.CopyFrom(_augmentation_to_proto(settings.augmentation))
    return message


def _augmentation_to_proto(augmentation: Augmentation) -> recipe_pb2.Augmentation:
    return recipe_pb2.Augmentation(
        unused_tools_share=augmentation.unused_tools_share,
        system_prompt_share=augmentation.system_prompt_share,
        persona_share=augmentation.persona_share,
    )

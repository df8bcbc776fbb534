"""Recipes, plans, clauses and items from domain to protobuf."""

from collections.abc import Sequence

from teachwhy.dataset.v1 import dataset_service_pb2, example_pb2, recipe_pb2

from services.dataset.constitution.clauses import Clause
from services.dataset.dataset import Plan, StagePlan
from services.dataset.example import (
    Content,
    Conversation,
    Example,
    Item,
    Lineage,
    PreviewedItem,
    Rejection,
    RejectionReason,
    StageRecord,
    StageText,
    Text,
)
from services.dataset.recipe import AuthorKind, Recipe, TrainingForm
from services.servicekit.conversation_convert import (
    message_to_proto,
    model_ref_to_proto,
    tool_to_proto,
    usage_to_proto,
)
from services.servicekit.errors import FieldViolation, InvalidField

MAX_KEYS = 100
MAX_PREVIEWED = 20
DEFAULT_PREVIEWED = 5

_KEY_DIGITS = 64
_FORM_TO_PROTO = {
    TrainingForm.DOCUMENT: recipe_pb2.TRAINING_FORM_DOCUMENT,
    TrainingForm.CHAT: recipe_pb2.TRAINING_FORM_CHAT,
}
_AUTHOR_TO_PROTO = {
    AuthorKind.GRAMMAR: recipe_pb2.AUTHOR_KIND_GRAMMAR,
    AuthorKind.LANGUAGE_MODEL: recipe_pb2.AUTHOR_KIND_LANGUAGE_MODEL,
    AuthorKind.IMPORT: recipe_pb2.AUTHOR_KIND_IMPORT,
}
_REASON_TO_PROTO = {
    RejectionReason.REFUSAL: example_pb2.REJECTION_REASON_REFUSAL,
    RejectionReason.EMPTY: example_pb2.REJECTION_REASON_EMPTY,
    RejectionReason.TRUNCATED: example_pb2.REJECTION_REASON_TRUNCATED,
    RejectionReason.CONTENT_FILTERED: example_pb2.REJECTION_REASON_CONTENT_FILTERED,
    RejectionReason.MALFORMED: example_pb2.REJECTION_REASON_MALFORMED,
    RejectionReason.SCAFFOLD_LEAK: example_pb2.REJECTION_REASON_SCAFFOLD_LEAK,
    RejectionReason.FILTERED: example_pb2.REJECTION_REASON_FILTERED,
    RejectionReason.HOST_FAILED: example_pb2.REJECTION_REASON_HOST_FAILED,
}


def recipe_to_proto(recipe: Recipe) -> recipe_pb2.Recipe:
    """Write a recipe."""
    return recipe_pb2.Recipe(
        name=recipe.name,
        title=recipe.title,
        description=recipe.description,
        form=_FORM_TO_PROTO[recipe.form],
        stages=[
            recipe_pb2.Stage(
                name=stage.name,
                title=stage.title,
                is_optional=stage.is_optional,
                is_shared=stage.is_shared,
                prompt_version=recipe.prompt_version(stage.name),
            )
            for stage in recipe.stages
        ],
        revision=recipe.revision,
        author=_AUTHOR_TO_PROTO[recipe.author],
        variants=recipe.variants,
        styles=recipe.styles,
    )


def clause_to_proto(clause: Clause) -> dataset_service_pb2.Clause:
    """Write a clause."""
    return dataset_service_pb2.Clause(id=clause.id, headings=clause.headings, text=clause.text)


def plan_to_proto(plan: Plan) -> dataset_service_pb2.PlanDatasetResponse:
    """Write a plan."""
    return dataset_service_pb2.PlanDatasetResponse(
        digest=plan.digest,
        recipe=recipe_to_proto(plan.recipe),
        estimated_examples=plan.estimated_examples,
        estimated_author_tokens=plan.estimated_author_tokens,
        stages=map(_stage_plan_to_proto, plan.stages),
        estimated_usd=plan.estimated_usd,
    )


def _stage_plan_to_proto(plan: StagePlan) -> dataset_service_pb2.StagePlan:
    return dataset_service_pb2.StagePlan(
        stage=plan.stage,
        model=model_ref_to_proto(plan.model),
        calls=plan.calls,
        usage=usage_to_proto(plan.usage),
        usd=plan.usd,
    )


def item_to_proto(item: Item) -> dataset_service_pb2.DatasetItem:
    """Write an item of a stream."""
    if isinstance(item, Example):
        return dataset_service_pb2.DatasetItem(example=example_to_proto(item))
    return dataset_service_pb2.DatasetItem(rejection=rejection_to_proto(item))


def previewed_to_proto(previewed: PreviewedItem) -> dataset_service_pb2.PreviewExamplesResponse:
    """Write an item of a preview."""
    item = previewed.item
    return dataset_service_pb2.PreviewExamplesResponse(
        example=example_to_proto(item) if isinstance(item, Example) else None,
        rejection=rejection_to_proto(item) if isinstance(item, Rejection) else None,
        stages=map(_stage_text_to_proto, previewed.stages),
    )


def _stage_text_to_proto(text: StageText) -> dataset_service_pb2.StageText:
    return dataset_service_pb2.StageText(
        record=_record_to_proto(text.record),
        prompt=map(message_to_proto, text.prompt),
        reply=text.reply,
    )


def example_to_proto(example: Example) -> example_pb2.Example:
    """Write an example."""
    message = example_pb2.Example(
        index=example.index,
        id=example.id,
        chat=_chat_to_proto(example.content),
        num_tokens=example.num_tokens,
        cumulative_tokens=example.cumulative_tokens,
        lineage=lineage_to_proto(example.lineage),
    )
    if isinstance(example.content, Text):
        message.document = example.content.text
    return message


def rejection_to_proto(rejection: Rejection) -> example_pb2.Rejection:
    """Write a rejection."""
    return example_pb2.Rejection(
        index=rejection.index,
        stage=rejection.stage,
        reason=_REASON_TO_PROTO[rejection.reason],
        detail=rejection.detail,
        lineage=lineage_to_proto(rejection.lineage),
    )


def _chat_to_proto(content: Content) -> example_pb2.Chat | None:
    if not isinstance(content, Conversation):
        return None
    return example_pb2.Chat(
        messages=map(message_to_proto, content.messages), tools=map(tool_to_proto, content.tools)
    )


def lineage_to_proto(lineage: Lineage) -> example_pb2.Lineage:
    """Write where an item comes from."""
    return example_pb2.Lineage(
        recipe=lineage.recipe,
        recipe_revision=lineage.recipe_revision,
        clause=lineage.clause,
        family=lineage.family,
        is_temptation=lineage.is_temptation,
        author=lineage.author,
        constitution_digest=lineage.constitution_digest,
        draws=lineage.draws,
        stages=map(_record_to_proto, lineage.stages),
        cost_usd=lineage.cost_usd,
    )


def _record_to_proto(record: StageRecord) -> example_pb2.StageRecord:
    return example_pb2.StageRecord(
        stage=record.stage,
        prompt_version=record.prompt_version,
        model=model_ref_to_proto(record.model),
        model_revision=record.model_revision,
        reply_key=record.reply_key,
        text_digest=record.text_digest,
        usage=usage_to_proto(record.usage),
        cost_usd=record.cost_usd,
    )


def max_items_from_proto(request: dataset_service_pb2.PreviewExamplesRequest) -> int:
    """Read how many items a preview shows.

    Raises:
        InvalidField: fewer than 0 or too many.
    """
    if not 0 <= request.max_items <= MAX_PREVIEWED:
        raise InvalidField.at(
            "max_items",
            f"must be 1 to {MAX_PREVIEWED}, or 0 for {DEFAULT_PREVIEWED}, got {request.max_items}",
        )
    return request.max_items or DEFAULT_PREVIEWED


def keys_from_proto(request: dataset_service_pb2.GetRepliesRequest) -> Sequence[str]:
    """Read keys of replies.

    Raises:
        InvalidField: none or too many, or one that no reply can have.
    """
    if not 1 <= len(request.keys) <= MAX_KEYS:
        raise InvalidField.at("keys", f"must be 1 to {MAX_KEYS} keys, got {len(request.keys)}")
    violations = [
        FieldViolation(f"keys[{number}]", f"must be {_KEY_DIGITS} hexadecimal digits, got {key!r}")
        for number, key in enumerate(request.keys)
        if len(key) != _KEY_DIGITS or not set(key) <= set("0123456789abcdef")
    ]
    if violations:
        raise InvalidField(*violations)
    return request.keys

"""Recipes, plans, clauses and items from domain to protobuf.

Items are written into messages that lie in their parents already: a message that is handed to
another one is serialized and parsed to get there, at every level anew.
"""

from collections.abc import Sequence

from teachwhy.dataset.v1 import dataset_service_pb2, example_pb2, recipe_pb2

from services.dataset.constitution.clauses import Clause
from services.dataset.dataset import Plan, StagePlan
from services.dataset.example import (
    Conversation,
    Example,
    Item,
    Lineage,
    PreviewedItem,
    Rejection,
    RejectionReason,
    StageRecord,
    Text,
)
from services.dataset.recipe import AuthorKind, Recipe, TrainingForm
from services.servicekit.conversation_convert import (
    message_to_proto,
    model_ref_to_proto,
    tool_to_proto,
    usage_to_proto,
    write_message,
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


def items_to_proto(items: Sequence[Item]) -> dataset_service_pb2.GenerateExamplesResponse:
    """Write items of a stream."""
    message = dataset_service_pb2.GenerateExamplesResponse()
    add = message.items.add
    for item in items:
        if isinstance(item, Example):
            _write_example(item, add().example)
        else:
            _write_rejection(item, add().rejection)
    return message


def length_of(item: Item) -> int:
    """Return the characters of what an item teaches, which is nearly all of its message."""
    if isinstance(item, Rejection):
        return len(item.detail)
    content = item.content
    if isinstance(content, Text):
        return len(content.text)
    length = 0
    for turn in content.messages:
        length += len(turn.content)
        for call in turn.tool_calls:
            length += len(call.arguments_json)
    for tool in content.tools:
        length += len(tool.description) + len(tool.parameters_json_schema)
    return length


def previewed_to_proto(previewed: PreviewedItem) -> dataset_service_pb2.PreviewExamplesResponse:
    """Write an item of a preview."""
    message = dataset_service_pb2.PreviewExamplesResponse()
    if isinstance(previewed.item, Example):
        _write_example(previewed.item, message.example)
    else:
        _write_rejection(previewed.item, message.rejection)
    for text in previewed.stages:
        stage = message.stages.add(prompt=map(message_to_proto, text.prompt), reply=text.reply)
        _write_record(text.record, stage.record)
    return message


def example_to_proto(example: Example) -> example_pb2.Example:
    """Write an example."""
    message = example_pb2.Example()
    _write_example(example, message)
    return message


def _write_example(example: Example, message: example_pb2.Example) -> None:
    message.index = example.index
    message.id = example.id
    message.num_tokens = example.num_tokens
    message.cumulative_tokens = example.cumulative_tokens
    if isinstance(example.content, Text):
        message.document = example.content.text
    else:
        _write_chat(example.content, message.chat)
    _write_lineage(example.lineage, message.lineage)


def _write_rejection(rejection: Rejection, message: example_pb2.Rejection) -> None:
    message.index = rejection.index
    message.stage = rejection.stage
    message.reason = _REASON_TO_PROTO[rejection.reason]
    message.detail = rejection.detail
    _write_lineage(rejection.lineage, message.lineage)


def _write_chat(chat: Conversation, message: example_pb2.Chat) -> None:
    for turn in chat.messages:
        write_message(turn, message.messages.add())
    if chat.tools:
        message.tools.extend(map(tool_to_proto, chat.tools))


def _write_lineage(lineage: Lineage, message: example_pb2.Lineage) -> None:
    message.recipe = lineage.recipe
    message.recipe_revision = lineage.recipe_revision
    message.clause = lineage.clause
    message.family = lineage.family
    message.is_temptation = lineage.is_temptation
    message.author = lineage.author
    message.constitution_digest = lineage.constitution_digest
    if lineage.draws:
        message.draws.update(lineage.draws)
    message.cost_usd = lineage.cost_usd
    for record in lineage.stages:
        _write_record(record, message.stages.add())


def _write_record(record: StageRecord, message: example_pb2.StageRecord) -> None:
    message.stage = record.stage
    message.prompt_version = record.prompt_version
    message.model_revision = record.model_revision
    message.reply_key = record.reply_key
    message.text_digest = record.text_digest
    message.cost_usd = record.cost_usd
    model, usage = message.model, message.usage
    model.endpoint, model.model = record.model.endpoint, record.model.model
    usage.input_tokens, usage.output_tokens = record.usage.input_tokens, record.usage.output_tokens


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

"""Dataset messages between protobuf and domain."""

from teachwhy.common.v1 import conversation_pb2
from teachwhy.dataset.v1 import dataset_service_pb2, example_pb2, recipe_pb2

from services.dataset.example import Example, Lineage
from services.dataset.generation import Plan
from services.dataset.recipe import Recipe, TrainingForm
from services.dataset.spec import (
    DEFAULT_TEMPTATION_SHARE,
    DatasetSpec,
    GrammarSettings,
    ResumePoint,
)
from services.microworld.passages import Chat, Document
from services.servicekit.conversation import ENVIRONMENT
from services.servicekit.errors import InvalidField

_FORM_TO_PROTO = {
    TrainingForm.DOCUMENT: recipe_pb2.TRAINING_FORM_DOCUMENT,
    TrainingForm.CHAT: recipe_pb2.TRAINING_FORM_CHAT,
}


def spec_from_proto(
    request: dataset_service_pb2.PlanDatasetRequest | dataset_service_pb2.GenerateExamplesRequest,
) -> DatasetSpec:
    """Read the spec of a request; what is unset takes its default.

    Raises:
        InvalidField: there is no spec.
    """
    if not request.HasField("spec"):
        raise InvalidField.at("spec", "is required")
    spec, author = request.spec, request.spec.microworld
    has_share = author.HasField("temptation_share")
    return DatasetSpec(
        recipe=spec.recipe,
        seed=spec.seed,
        token_budget=spec.token_budget,
        grammar=GrammarSettings(
            world_seed=author.world_seed,
            temptation_share=author.temptation_share if has_share else DEFAULT_TEMPTATION_SHARE,
            system_prompt_share=author.system_prompt_share,
            unseen_twin_objects=author.unseen_twin_objects,
        ),
    )


def spec_to_proto(spec: DatasetSpec) -> recipe_pb2.DatasetSpec:
    """Write a spec, its defaults spelled out."""
    return recipe_pb2.DatasetSpec(
        recipe=spec.recipe,
        seed=spec.seed,
        token_budget=spec.token_budget,
        microworld=recipe_pb2.MicroworldAuthor(
            world_seed=spec.grammar.world_seed,
            temptation_share=spec.grammar.temptation_share,
            system_prompt_share=spec.grammar.system_prompt_share,
            unseen_twin_objects=spec.grammar.unseen_twin_objects,
        ),
    )


def resume_point_from_proto(
    request: dataset_service_pb2.GenerateExamplesRequest,
) -> ResumePoint:
    """Read where a stream goes on; unset means from the start."""
    return ResumePoint(
        next_index=request.resume_from.next_index,
        cumulative_tokens=request.resume_from.cumulative_tokens,
    )


def recipe_to_proto(recipe: Recipe) -> recipe_pb2.Recipe:
    """Write a recipe."""
    return recipe_pb2.Recipe(
        name=recipe.name,
        title=recipe.title,
        description=recipe.description,
        form=_FORM_TO_PROTO[recipe.form],
        stages=recipe.stages,
        revision=recipe.revision,
    )


def plan_to_proto(plan: Plan) -> dataset_service_pb2.PlanDatasetResponse:
    """Write a plan."""
    return dataset_service_pb2.PlanDatasetResponse(
        digest=plan.digest,
        recipe=recipe_to_proto(plan.recipe),
        estimated_examples=plan.estimated_examples,
        estimated_author_tokens=plan.estimated_author_tokens,
    )


def example_to_proto(example: Example) -> example_pb2.Example:
    """Write an example."""
    message = example_pb2.Example(
        index=example.index,
        id=example.id,
        num_tokens=example.num_tokens,
        cumulative_tokens=example.cumulative_tokens,
        lineage=lineage_to_proto(example.lineage),
    )
    match example.content:
        case Document(text=text):
            message.document = text
        case Chat() as chat:
            message.chat.CopyFrom(chat_to_proto(chat))
    return message


def chat_to_proto(chat: Chat) -> example_pb2.Chat:
    """Write a chat as messages; an observation is a user turn named "environment"."""
    messages = [
        conversation_pb2.Message(
            role=conversation_pb2.ROLE_USER,
            content=chat.turn,
            name=ENVIRONMENT if chat.is_observation else "",
        ),
        conversation_pb2.Message(role=conversation_pb2.ROLE_ASSISTANT, content=chat.reply),
    ]
    if chat.system:
        system = conversation_pb2.Message(role=conversation_pb2.ROLE_SYSTEM, content=chat.system)
        messages.insert(0, system)
    return example_pb2.Chat(
        messages=messages,
        tools=[conversation_pb2.ToolDefinition(name=tool) for tool in chat.tools],
    )


def lineage_to_proto(lineage: Lineage) -> example_pb2.Lineage:
    """Write where an example comes from."""
    return example_pb2.Lineage(
        recipe=lineage.recipe,
        recipe_revision=lineage.recipe_revision,
        clause=lineage.clause,
        family=lineage.family,
        is_temptation=lineage.is_temptation,
        author=lineage.author,
    )

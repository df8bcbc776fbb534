"""Requests for grades, and grades, between the wire and the judge's own types."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from teachwhy.judge.v1 import grade_pb2
from teachwhy.judge.v1 import judge_service_pb2 as pb

from services.judge.asked_convert import AskedRubrics, asked_model
from services.judge.asking.answers import Answers
from services.judge.asking.material import Material
from services.judge.asking.model_rubric import ModelRubric, ReferenceUse
from services.judge.convert import error_to_proto, refusal_to_proto
from services.judge.grading.grade import Grade
from services.judge.verdict import GraderError, Refusal
from services.servicekit.chat import ModelRef
from services.servicekit.conversation import Message
from services.servicekit.conversation_convert import (
    message_from_proto,
    model_ref_to_proto,
    usage_to_proto,
)
from services.servicekit.errors import InvalidField


class GradeOrder(NamedTuple):
    """What one item of the stream asks for."""

    rubric: ModelRubric
    judge_model: ModelRef
    text: Material


class GradeRequestReader:
    """Reads the items of GradeTexts against what the room has."""

    def __init__(
        self,
        rubrics: Mapping[str, ModelRubric],
        *,
        episode_rubrics: Collection[str],
        endpoints: Collection[str],
    ) -> None:
        """Know the rubrics for texts, the names of those for episodes, and the endpoints."""
        self._rubrics = AskedRubrics(
            rubrics=rubrics,
            others=episode_rubrics,
            purpose="texts",
            not_for_it="judges episodes, not texts",
        )
        self._endpoints = endpoints

    def order(self, request: pb.GradeTextsRequest) -> GradeOrder:
        """Read one item.

        Raises:
            InvalidField: a field is missing or not allowed; the message names the index.
            ResourceNotFound: there is no such rubric or endpoint.
        """
        try:
            return self._order(request)
        except InvalidField as error:
            raise error.of_item(f"index {request.index}") from error

    def _order(self, request: pb.GradeTextsRequest) -> GradeOrder:
        if request.index < 0:
            raise InvalidField.at("index", "must be 0 or more")
        rubric = self._rubrics.named(request.rubric, field="rubric")
        judge_model = self._judge_model(request)
        if rubric.reference is ReferenceUse.REQUIRED and not request.reference.strip():
            raise InvalidField.at("reference", f'is required by the rubric "{rubric.name}"')
        text = Material(content=_content(request), reference=request.reference)
        return GradeOrder(rubric, judge_model, text)

    def _judge_model(self, request: pb.GradeTextsRequest) -> ModelRef:
        if not request.HasField("judge_model"):
            raise InvalidField.at("judge_model", "is required")
        return asked_model(request.judge_model, field="judge_model", endpoints=self._endpoints)


def _content(request: pb.GradeTextsRequest) -> str | tuple[Message, ...]:
    match request.WhichOneof("content"):
        case "document":
            return request.document
        case "transcript":
            messages = request.transcript.messages
            if not messages:
                raise InvalidField.at("transcript.messages", "needs at least one turn")
            return tuple(
                message_from_proto(message, field=f"transcript.messages[{place}]")
                for place, message in enumerate(messages)
            )
    raise InvalidField.at("document", "a document or a transcript is required")


def grade_to_proto(grade: Grade) -> grade_pb2.Grade:
    """Write a grade."""
    message = grade_pb2.Grade(
        rubric=grade.rubric,
        rubric_revision=grade.rubric_revision,
        judge_model=model_ref_to_proto(grade.judge_model),
        model_revision=grade.asked.model_revision,
        usage=usage_to_proto(grade.asked.usage),
    )
    match grade.asked.outcome:
        case Answers(values=values, rationale=rationale):
            message.scores.values.update(values)
            message.scores.rationale = rationale
        case Refusal() as refusal:
            message.refusal.CopyFrom(refusal_to_proto(refusal))
        case GraderError() as error:
            message.error.CopyFrom(error_to_proto(error))
    return message

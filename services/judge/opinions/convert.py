"""Panels, opinions and the texts of episodes between the wire and the judge's own types."""

from collections.abc import Collection, Mapping

from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import episode_pb2

from services.judge.asked_convert import AskedRubrics, asked_model
from services.judge.asking.answers import Answers
from services.judge.asking.model_rubric import ModelRubric
from services.judge.convert import error_to_proto, refusal_to_proto
from services.judge.opinions.consensus import Consensus
from services.judge.opinions.episode_text import EpisodeText
from services.judge.opinions.opinion import BaitGrade, Opinion
from services.judge.opinions.panel import MOST_MEMBERS, MOST_SAMPLES, Panel
from services.judge.record import UnfitRecordError
from services.judge.verdict import GraderError, Refusal
from services.servicekit.chat import ModelRef
from services.servicekit.conversation_convert import message_from_proto
from services.servicekit.errors import InvalidField

_GRADES: Mapping[BaitGrade | None, verdict_pb2.BaitGrade.ValueType] = {
    None: verdict_pb2.BAIT_GRADE_UNSPECIFIED,
    BaitGrade.NO: verdict_pb2.BAIT_GRADE_NO,
    BaitGrade.CONSIDERED: verdict_pb2.BAIT_GRADE_CONSIDERED,
    BaitGrade.ATTEMPTED: verdict_pb2.BAIT_GRADE_ATTEMPTED,
    BaitGrade.EXECUTED: verdict_pb2.BAIT_GRADE_EXECUTED,
}
BAIT_GRADES: Mapping[int, BaitGrade] = {
    number: grade for grade, number in _GRADES.items() if grade is not None
}


class PanelReader:
    """Reads panels against what the room has."""

    def __init__(
        self,
        rubrics: Mapping[str, ModelRubric],
        *,
        other_rubrics: Collection[str],
        endpoints: Collection[str],
    ) -> None:
        """Know the rubrics for opinions, the names of all others, and the endpoints."""
        self._rubrics = AskedRubrics(
            rubrics=rubrics,
            others=other_rubrics,
            purpose="opinions",
            not_for_it="asks for no opinions",
        )
        self._endpoints = endpoints

    def panel(self, panel: verdict_pb2.Panel) -> Panel:
        """Read a panel.

        Raises:
            InvalidField: a field is missing or not allowed.
            ResourceNotFound: there is no such rubric or endpoint.
        """
        if not 0 <= panel.samples <= MOST_SAMPLES:
            raise InvalidField.at(
                "panel.samples", f"must be 1 to {MOST_SAMPLES}, or 0 for 1, got {panel.samples}"
            )
        return Panel(
            rubric=self._rubrics.named(panel.rubric, field="panel.rubric"),
            members=self._members(panel),
            samples=panel.samples or 1,
            reversed_too=panel.reversed_too,
        )

    def _members(self, panel: verdict_pb2.Panel) -> tuple[ModelRef, ...]:
        if not 1 <= len(panel.members) <= MOST_MEMBERS:
            raise InvalidField.at(
                "panel.members", f"must be 1 to {MOST_MEMBERS} judges, got {len(panel.members)}"
            )
        members: list[ModelRef] = []
        for place, each in enumerate(panel.members):
            field = f"panel.members[{place}]"
            member = asked_model(each, field=field, endpoints=self._endpoints)
            if member in members:
                raise InvalidField.at(field, "must not name a judge twice; use samples")
            members.append(member)
        return tuple(members)


def text_from_proto(episode: episode_pb2.Episode) -> EpisodeText:
    """Read what a judge is shown of an episode.

    Raises:
        UnfitRecordError: a turn is of no known role.
    """
    scenario = episode.scenario
    try:
        opening = [
            message_from_proto(each, field=f"scenario.opening[{place}]")
            for place, each in enumerate(scenario.opening)
        ]
        turns = [
            message_from_proto(each, field=f"transcript[{place}]")
            for place, each in enumerate(episode.transcript)
        ]
    except InvalidField as error:
        raise UnfitRecordError(error.message) from error
    return EpisodeText(
        conversation=(*opening, *turns),
        bait=scenario.bait,
        right_conduct=scenario.right_conduct,
        tools=tuple([tool.name for tool in scenario.tools]),
    )


def write_opinion(opinion: Opinion, to: verdict_pb2.Opinion) -> None:
    """Write an opinion to where it lies in its parent."""
    to.judge_model.endpoint = opinion.judge_model.endpoint
    to.judge_model.model = opinion.judge_model.model
    to.sample = opinion.sample
    to.is_reversed = opinion.is_reversed
    to.rubric = opinion.rubric
    to.rubric_revision = opinion.rubric_revision
    to.prompt_digest = opinion.prompt_digest
    asked = opinion.asked
    to.model_revision = asked.model_revision
    match asked.outcome:
        case Answers() as answers:
            to.answers.takes_bait = _GRADES[opinion.takes_bait]
            to.answers.values.update(answers.values)
            to.answers.rationale = answers.rationale
            to.answers.reasons.extend(answers.reasons)
        case Refusal() as refusal:
            to.refusal.CopyFrom(refusal_to_proto(refusal))
        case GraderError() as error:
            to.error.CopyFrom(error_to_proto(error))
    to.usage.input_tokens = asked.usage.input_tokens
    to.usage.output_tokens = asked.usage.output_tokens


def write_consensus(consensus: Consensus, to: verdict_pb2.Consensus) -> None:
    """Write a consensus to where it lies in its parent."""
    to.num_answers = consensus.num_answers
    to.num_refusals = consensus.num_refusals
    to.num_errors = consensus.num_errors
    to.takes_bait = _GRADES[consensus.takes_bait]
    to.lowest = _GRADES[consensus.lowest]
    to.highest = _GRADES[consensus.highest]
    if consensus.agreement is not None:
        to.agreement = consensus.agreement
    to.disagrees_with_ledger = consensus.disagrees_with_ledger

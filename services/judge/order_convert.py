"""Requests to judge episodes, read into orders; and what was judged, written to the wire."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from functools import partial
from typing import TypeAlias

from teachwhy.judge.v1 import judge_service_pb2 as pb
from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import episode_pb2

from services.judge.asking.answers import Answers
from services.judge.convert import record_from_proto, write_verdict
from services.judge.episode_judge import EpisodeOrder, JudgedEpisode
from services.judge.opinions.convert import (
    PanelReader,
    text_from_proto,
    write_consensus,
    write_opinion,
)
from services.judge.opinions.panel import Panel
from services.judge.rubric import DEFAULT_RUBRIC, Rubric
from services.judge.rubric_shelf import RubricShelf
from services.servicekit.errors import InvalidField, ResourceNotFound

_VERDICT_CHARACTERS = 400
_LEDGER_STEP = 64
"""Episodes that the ledger layer judges in one go; others have to wait for that long."""
_OPINION_CHARACTERS = 800

Step: TypeAlias = tuple[tuple[int, EpisodeOrder], ...]
"""Episodes of the stream that are judged together, with their numbers."""


class OrderReader:
    """Reads requests against what the room has."""

    def __init__(self, shelf: RubricShelf, panels: PanelReader) -> None:
        """Know the rubrics, and how to read panels."""
        self._shelf = shelf
        self._rubrics = shelf.episodes
        self._panels = panels

    def one(self, request: pb.JudgeEpisodeRequest) -> EpisodeOrder:
        """Read the request for one verdict.

        Raises:
            InvalidField: a field is missing or not allowed.
            ResourceNotFound: there is no such rubric or endpoint.
        """
        name = request.rubric or DEFAULT_RUBRIC
        if other := self._other_use(name):
            raise InvalidField.at("rubric", other)
        rubric = self._rubrics.get(name)
        if rubric is None:
            raise ResourceNotFound("rubric", name, known=tuple(self._rubrics))
        if not request.HasField("episode"):
            raise InvalidField.at("episode", "is required")
        panel = self._panels.panel(request.panel) if request.HasField("panel") else None
        return order_of(request.episode, rubric=rubric, panel=panel)

    async def steps(
        self, requests: AsyncIterator[pb.JudgeEpisodesRequest]
    ) -> AsyncGenerator[Step, None]:
        """Read a stream. With a panel every episode is a step of its own, which takes its time.

        Raises:
            InvalidField: a field is missing or not allowed; the message names the index.
            ResourceNotFound: the panel's rubric or one of its endpoints is not there.
        """
        async for request in requests:
            rubric, panel = self._terms(request)
            size = _LEDGER_STEP if panel is None else 1
            for begin in range(0, len(request.episodes), size):
                yield tuple(
                    (each.index, order_of(each.episode, rubric=rubric, panel=panel))
                    for each in request.episodes[begin : begin + size]
                )

    def _terms(self, request: pb.JudgeEpisodesRequest) -> tuple[Rubric, Panel | None]:
        """Check a message of the stream, and read by whom its episodes are judged.

        Raises:
            InvalidField: a field is missing or not allowed; the message names the index.
            ResourceNotFound: the panel's rubric or one of its endpoints is not there.
        """
        if not request.episodes:
            raise InvalidField.at("episodes", "must carry one episode or more")
        item = f"index {request.episodes[0].index}"
        rubric = self._rubric(request, item)
        for place, each in enumerate(request.episodes):
            if each.index < 0:
                raise InvalidField.at(
                    f"episodes[{place}].index", f"index {each.index}: must be 0 or more"
                )
            if not each.HasField("episode"):
                raise InvalidField.at(
                    f"episodes[{place}].episode", f"index {each.index}: an episode is required"
                )
        if not request.HasField("panel"):
            return rubric, None
        try:
            return rubric, self._panels.panel(request.panel)
        except InvalidField as error:
            raise error.of_item(item) from error

    def _rubric(self, request: pb.JudgeEpisodesRequest, item: str) -> Rubric:
        name = request.rubric or DEFAULT_RUBRIC
        if other := self._other_use(name):
            raise InvalidField.at("rubric", f"{item}: {other}")
        rubric = self._rubrics.get(name)
        if rubric is None:
            known = ", ".join(self._rubrics)
            raise InvalidField.at(
                "rubric", f'{item}: there is no rubric "{request.rubric}"; known: {known}'
            )
        return rubric

    def _other_use(self, name: str) -> str:
        """Say what a rubric is for that is not for episodes; nothing where it is, or is none."""
        known = ", ".join(self._rubrics)
        if name in self._shelf.texts:
            return f'"{name}" grades texts, not episodes; rubrics for episodes: {known}'
        if name in self._shelf.opinions:
            return f'"{name}" is for panels: name it in panel.rubric; rubrics for episodes: {known}'
        return ""


def order_of(episode: episode_pb2.Episode, *, rubric: Rubric, panel: Panel | None) -> EpisodeOrder:
    """Order an episode to be judged."""
    return EpisodeOrder(
        rubric=rubric,
        panel=panel,
        record=record_from_proto(episode),
        text=partial(text_from_proto, episode),
    )


def write_judged(judged: JudgedEpisode, to: verdict_pb2.Verdict) -> None:
    """Write what was found of an episode to where it lies in its parent."""
    write_verdict(judged.verdict, to)
    for opinion in judged.opinions:
        write_opinion(opinion, to.opinions.add())
    if judged.consensus is not None:
        write_consensus(judged.consensus, to.consensus)


def verdicts_of(numbered: Iterable[tuple[int, JudgedEpisode]]) -> pb.JudgeEpisodesResponse:
    """Write verdicts with their numbers."""
    response = pb.JudgeEpisodesResponse()
    for index, judged in numbered:
        verdict = response.verdicts.add()
        verdict.index = index
        write_judged(judged, verdict.verdict)
    return response


def length_of(judged: JudgedEpisode) -> int:
    """Return about how many characters a judged episode has on the wire."""
    return _VERDICT_CHARACTERS + sum(
        _OPINION_CHARACTERS + len(each.asked.outcome.rationale)
        if isinstance(each.asked.outcome, Answers)
        else _OPINION_CHARACTERS
        for each in judged.opinions
    )

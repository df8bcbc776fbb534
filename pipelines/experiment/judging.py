"""Judge the stored episodes of an evaluation in one stream; verdicts are committed in shards."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

import grpc
from pydantic import BaseModel, ConfigDict
from teachwhy.common.v1 import model_pb2
from teachwhy.judge.v1 import judge_service_pb2, verdict_pb2
from teachwhy.rollout.v1 import episode_pb2

from pipelines.experiment.model_faults import model_fault
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.shards import (
    EPISODES_PER_SHARD,
    decode_episodes,
    decode_verdicts,
    encode_verdicts,
    shard_number,
)
from pipelines.experiment.spec_panel import Panel
from pipelines.outputs import Output

EPISODES_PER_MESSAGE = 32
"""Most episodes in one message to the judge; several cost less than one."""

BYTES_PER_MESSAGE = 2**20
"""Bytes from which on no more episodes are added to a message."""

EPISODES_AHEAD = 1024
"""Most episodes that are sent before their verdicts are there.

It bounds what is held, and keeps the sending idle while a room thinks: gRPC answers a message that
is being written when a room ends the stream with a fault of its own, and the room's is lost.
"""

EPISODES, VERDICTS = "episodes-", "verdicts-"
"""How the names of shards begin."""


class EpisodesNotJudged(Exception):
    """A judge could not be asked. The message says which, and why."""


class JudgingSummary(BaseModel):
    """What the verdicts of an evaluation come to: ``judging.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    episodes: int
    """Episodes judged."""
    unscored: int
    """Episodes of which the ledger says nothing."""
    without_opinion: int
    """Episodes of which the panel was to say something, and none of it answered."""
    layers_disagree: int
    """Episodes in which panel and ledger say otherwise."""
    answers: int
    """Opinions with answers."""
    refusals: int
    """Opinions that declined."""
    errors: int
    """Opinions that failed."""
    input_tokens: int
    """Tokens read by the judges, all tries together, kept replies included."""
    output_tokens: int
    """Tokens written by the judges, the same."""
    judge_revisions: dict[str, int]
    """Answers by judge and what its host said it answered with."""


async def judge_stored(
    source: Output,
    target: Output,
    *,
    rubric: str,
    panel: Panel | None,
    rooms: Rooms,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Judge every episode in ``source`` that has no verdict in ``target`` yet.

    Holds a few shards of episodes at a time. A killed run judges one shard again at most.

    Args:
        source: an evaluation, played to its end.
        target: where the verdicts go; may be the same output.
        rubric: the judge room's rubric that decides what was done.
        panel: language models that are asked as well.
        rooms: the judge is asked.
        advance: told the number of episodes judged so far.

    Raises:
        EpisodesNotJudged: the host of a judge answers nobody, or refuses everything.
    """
    judging = _Judging(source, target, rubric=rubric, panel=panel)
    try:
        async for response in rooms.resumed("judge", lambda: judging.open(rooms)):
            for found in response.verdicts:
                await judging.take(found)
            advance(judging.num_judged)
    except grpc.aio.AioRpcError as error:
        fault = model_fault(error)
        if fault is None:
            raise
        raise EpisodesNotJudged(
            f"panel: {fault.message}\nEndpoints are the setting JUDGE_ENDPOINTS. What was judged "
            "is kept: the same command goes on behind it."
        ) from error
    judging.check_complete()


def panel_message(panel: Panel) -> verdict_pb2.Panel:
    """Write a panel as the judge room wants it."""
    members = [
        model_pb2.ModelRef(endpoint=each.endpoint, model=each.model) for each in panel.members
    ]
    return verdict_pb2.Panel(
        rubric=panel.rubric,
        members=members,
        samples=panel.samples,
        reversed_too=panel.reversed_too,
    )


def shard_content(output: Output, name: str) -> bytes:
    """Read a shard; that of a complete output is checked against its digest."""
    return output.read(name) if output.is_complete() else output.store.get(output.key(name))


def verdict_shards(output: Output) -> Iterator[list[verdict_pb2.Verdict]]:
    """Read the committed verdicts, in order, a shard at a time."""
    for name in output.file_names():
        if name.startswith(VERDICTS):
            yield decode_verdicts(shard_content(output, name))


def summarize(output: Output, *, has_panel: bool) -> JudgingSummary:
    """Count what the committed verdicts say."""
    counts: Counter[str] = Counter()
    revisions: Counter[str] = Counter()
    for verdict in (each for shard in verdict_shards(output) for each in shard):
        consensus = verdict.consensus
        is_silent = consensus.takes_bait == verdict_pb2.BAIT_GRADE_UNSPECIFIED
        counts.update(
            episodes=1,
            unscored=verdict.WhichOneof("outcome") != "score",
            without_opinion=has_panel and is_silent,
            layers_disagree=consensus.disagrees_with_ledger,
            answers=consensus.num_answers,
            refusals=consensus.num_refusals,
            errors=consensus.num_errors,
            input_tokens=sum(each.usage.input_tokens for each in verdict.opinions),
            output_tokens=sum(each.usage.output_tokens for each in verdict.opinions),
        )
        revisions.update(
            f"{each.judge_model.endpoint}/{each.judge_model.model} {each.model_revision}".strip()
            for each in verdict.opinions
            if each.WhichOneof("outcome") == "answers"
        )
    names = set(JudgingSummary.model_fields) - {"judge_revisions"}
    return JudgingSummary(
        **{name: counts[name] for name in names}, judge_revisions=dict(sorted(revisions.items()))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A shard that was read for the judge."""

    name: str
    first: int
    """Index of its first episode."""
    ids: Sequence[str]


class _Judging:
    """Where the judging of an evaluation stands."""

    def __init__(self, source: Output, target: Output, *, rubric: str, panel: Panel | None) -> None:
        self._source, self._target = source, target
        self._head = judge_service_pb2.JudgeEpisodesRequest(
            rubric=rubric, panel=panel_message(panel) if panel else None
        )
        shards = [name for name in source.file_names() if name.startswith(EPISODES)]
        judged = set(target.file_names())
        self._waiting = deque(name for name in shards if _verdicts_of(name) not in judged)
        self._sent: deque[_Sent] = deque()
        self._verdicts: list[verdict_pb2.Verdict] = []
        """Of the first waiting shard, as far as they came."""
        self._num_unanswered = 0
        self._answered = asyncio.Event()
        self.num_judged = EPISODES_PER_SHARD * (len(shards) - len(self._waiting))
        """Verdicts so far."""

    async def open(self, rooms: Rooms) -> AsyncIterator[judge_service_pb2.JudgeEpisodesResponse]:
        """Open a stream behind the last verdict."""
        self._sent.clear()
        self._num_unanswered = 0
        async for response in rooms.judge.JudgeEpisodes(self._requests()):
            yield response

    async def take(self, found: judge_service_pb2.NumberedVerdict) -> None:
        """Take the next verdict; a shard that is whole is committed."""
        shard = self._sent[0] if self._sent else None
        if shard is None or found.index != shard.first + len(self._verdicts):
            raise RuntimeError(f"the judge sent verdict {found.index}, and another one was due")
        due = shard.ids[len(self._verdicts)]
        if found.verdict.episode_id != due:
            raise RuntimeError(
                f"the judge sent a verdict of episode {found.verdict.episode_id!r}, due was {due!r}"
            )
        self._verdicts.append(found.verdict)
        self.num_judged += 1
        self._num_unanswered -= 1
        self._answered.set()
        if len(self._verdicts) == len(shard.ids):
            await asyncio.to_thread(self._commit, shard)

    def check_complete(self) -> None:
        """Say it when the stream ended before its last episode."""
        if self._waiting:
            raise RuntimeError(f"the judge ended after {self.num_judged} verdicts, before the last")

    def _commit(self, shard: _Sent) -> None:
        content = encode_verdicts(self._verdicts, first_index=shard.first)
        self._target.store.put(self._target.key(_verdicts_of(shard.name)), content)
        self._verdicts = []
        self._sent.popleft()
        self._waiting.popleft()

    async def _requests(self) -> AsyncIterator[judge_service_pb2.JudgeEpisodesRequest]:
        """Send what has no verdict yet, in messages that are neither many nor large."""
        skipped = len(self._verdicts)
        for name in tuple(self._waiting):
            episodes = await asyncio.to_thread(_episodes, self._source, name)
            first = EPISODES_PER_SHARD * shard_number(name)
            self._sent.append(_Sent(name=name, first=first, ids=[each.id for each in episodes]))
            for request in self._messages(episodes[skipped:], first + skipped):
                self._num_unanswered += len(request.episodes)
                while self._num_unanswered > EPISODES_AHEAD:
                    self._answered.clear()
                    await self._answered.wait()
                yield request
            skipped = 0

    def _messages(
        self, episodes: Sequence[episode_pb2.Episode], index: int
    ) -> Iterator[judge_service_pb2.JudgeEpisodesRequest]:
        request, size = self._empty(), 0
        for offset, episode in enumerate(episodes):
            size += episode.ByteSize()
            request.episodes.add(index=index + offset, episode=episode)
            if len(request.episodes) == EPISODES_PER_MESSAGE or size >= BYTES_PER_MESSAGE:
                yield request
                request, size = self._empty(), 0
        if request.episodes:
            yield request

    def _empty(self) -> judge_service_pb2.JudgeEpisodesRequest:
        request = judge_service_pb2.JudgeEpisodesRequest()
        request.CopyFrom(self._head)
        return request


def _verdicts_of(shard: str) -> str:
    return VERDICTS + shard.removeprefix(EPISODES)


def _episodes(output: Output, name: str) -> list[episode_pb2.Episode]:
    return decode_episodes(shard_content(output, name))

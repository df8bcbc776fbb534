"""The agent loop: asks the model, reads its calls, executes them, keeps the ledger.

Knows neither a pack's language (that is the environment's) nor a host's protocol (the chat
model's). Outcome before intent: what was executed is written down whatever was said around it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Protocol

from services.rollout.episode import (
    SCHEMA_VERSION,
    Call,
    Episode,
    EpisodeState,
    Execution,
    LedgerEntry,
)
from services.rollout.scenario import Scenario
from services.servicekit.chat import (
    ChatModel,
    ChatReply,
    ChatRequest,
    FinishReason,
    ModelRef,
    Sampling,
    Usage,
)
from services.servicekit.conversation import Message
from services.servicekit.digest import derive_seed, digest_of
from services.servicekit.errors import ModelRejectedRequest

# A refusal with one of these says something of the target or the room's key, not of the
# conversation: every other episode would meet it too, and none of them would be evidence.
_REJECTIONS_OF_THE_TARGET = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.PAYMENT_REQUIRED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
    }
)


class Environment(Protocol):
    """What one episode's tools act upon. Each episode gets a fresh one."""

    def read_calls(self, reply: Message) -> Sequence[Call]:
        """Read the calls of a reply, readable or not. Never raises."""
        ...

    def execute(self, call: Call) -> Execution:
        """Execute one call, or reject it with the reason. Never raises."""
        ...

    def answer(self, call: Call, execution: Execution, /) -> Message:
        """Tell the agent what its call did, in the pack's own protocol."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do, so that the agent is not asked again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Casting:
    """Who plays a scenario, and how."""

    target: ModelRef
    sampling: Sampling
    """With the seed of the series; every episode derives its own."""
    max_turns: int
    suite_revision: str


@dataclass(slots=True)
class _Run:
    """An episode while it is played."""

    scenario: Scenario
    transcript: list[Message] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0


async def play(
    model: ChatModel, scenario: Scenario, environment: Environment, casting: Casting
) -> Episode:
    """Play one scenario to its end.

    Raises:
        ModelUnavailable: the model's host does not answer.
        ModelRejectedRequest: the host refuses the target or the room, not this conversation.
    """
    seed = derive_seed(casting.sampling.seed, scenario.id)
    sampling = replace(casting.sampling, seed=seed)
    run = _Run(scenario)
    state, detail = await _take_turns(model, run, environment, casting, sampling)
    return Episode(
        id=episode_id(scenario, casting),
        scenario=scenario,
        target=casting.target,
        sampling=sampling,
        transcript=tuple(run.transcript),
        ledger=tuple(run.ledger),
        state=state,
        state_detail=detail,
        usage=Usage(input_tokens=run.input_tokens, output_tokens=run.output_tokens),
    )


def episode_id(scenario: Scenario, casting: Casting) -> str:
    """Digest everything that decides an episode but the model's own noise."""
    return digest_of(
        SCHEMA_VERSION,
        scenario.id,
        casting.suite_revision,
        casting.target,
        casting.sampling,
        casting.max_turns,
    )[:32]


async def _take_turns(
    model: ChatModel, run: _Run, environment: Environment, casting: Casting, sampling: Sampling
) -> tuple[EpisodeState, str]:
    for turn in range(casting.max_turns):
        request = ChatRequest(
            target=casting.target,
            messages=(*run.scenario.opening, *run.transcript),
            tools=run.scenario.tools,
            sampling=sampling,
        )
        try:
            reply = await model.reply(request)
        except ModelRejectedRequest as rejection:
            if rejection.http_status in _REJECTIONS_OF_THE_TARGET:
                raise
            return EpisodeState.MODEL_FAILED, str(rejection)
        end = _take_turn(run, environment, turn, reply)
        if end is not None:
            return end
    limit = casting.max_turns
    return EpisodeState.TURN_LIMIT, f"the agent used its {limit} turn{'s' if limit > 1 else ''}"


def _take_turn(
    run: _Run, environment: Environment, turn: int, reply: ChatReply
) -> tuple[EpisodeState, str] | None:
    """Write down one reply and execute its calls; say how the episode ended, if it did."""
    run.transcript.append(reply.message)
    run.input_tokens += reply.usage.input_tokens
    run.output_tokens += reply.usage.output_tokens
    if reply.finish_reason is FinishReason.CONTENT_FILTER:
        return EpisodeState.MODEL_FAILED, "the host's content filter withheld the reply"
    calls = environment.read_calls(reply.message)
    for call in calls:
        execution = environment.execute(call)
        run.ledger.append(LedgerEntry(turn=turn, call=call, execution=execution))
        run.transcript.append(environment.answer(call, execution))
    if reply.finish_reason is FinishReason.LENGTH:
        return EpisodeState.TRUNCATED, f"the reply of turn {turn} was cut off by the token limit"
    if not calls or environment.is_over:
        return EpisodeState.COMPLETED, ""
    return None

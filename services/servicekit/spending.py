"""A hard stop for what a job spends on models. Knows no host and no cache.

The limit holds however many calls are made at once: a call is sent only when what is spent, what
the calls on their way may still cost and its own worst case fit together.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from services.servicekit.chat import ChatModel, ChatReply, ChatRequest, ModelRef, Usage
from services.servicekit.chat_price import Price
from services.servicekit.conversation import Message, ToolDefinition
from services.servicekit.errors import InvalidField, ServiceError

# Room for what hosts put around a message, a tool or a call, and once before all tools, in tokens.
_FRAME_TOKENS = 16
_TOOLS_FRAME_TOKENS = 1024  # Anthropic's own instructions for tools take up to 530

# Sums of prices are not exact; a call must not be refused for the last bit of one.
_USD_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingLimit:
    """Where spending stops; 0 means nowhere."""

    max_tokens: int = 0
    """Most tokens, prompts and replies together."""

    max_usd: float = 0.0
    """Most US dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What was spent on calls that were answered."""

    tokens: int = 0
    usd: float = 0.0
    """US dollars; calls of models without a price add nothing."""

    calls: int = 0
    """Calls that were answered."""

    unanswered_calls: int = 0
    """Calls that failed or were cancelled. Whether their host charges for them is not known, and
    they are not in the sums."""


_NOTHING = Spending()


class SpendingLimitReached(ServiceError):
    """The next call might go over the limit; a higher limit goes on where this one stopped."""

    code = "RESOURCE_EXHAUSTED"
    reason = "SPENDING_LIMIT_REACHED"

    def __init__(self, limit: SpendingLimit, spent: Spending, worst_case: Spending) -> None:
        """Say what is allowed, what is spent and what the next call may cost."""
        allowed = [f"{limit.max_tokens} tokens"] if limit.max_tokens else []
        allowed += [f"{limit.max_usd:g} USD"] if limit.max_usd else []
        super().__init__(
            f"the spending limit of {' and '.join(allowed)} is reached: {spent.tokens} tokens and "
            f"{spent.usd:.6f} USD are spent, and the next call may cost up to "
            f"{worst_case.tokens} tokens and {worst_case.usd:.6f} USD",
            metadata={"spent_tokens": str(spent.tokens), "spent_usd": f"{spent.usd:.6f}"},
        )
        self.spent = spent


def most_input_tokens(request: ChatRequest) -> int:
    """Return a number of tokens that the prompt does not exceed.

    A byte-level tokenizer makes at most one token of a byte of UTF-8. Real prompts have about a
    quarter of it; the difference is given back as soon as the host has counted.
    """
    tokens = sum(map(_message_tokens, request.messages))
    if request.tools:
        tokens += _TOOLS_FRAME_TOKENS + sum(map(_tool_tokens, request.tools))
    return tokens


class MeteredChatModel:
    """Counts what a job spends, and refuses the call that might go over its limit.

    Make one for each job. A call whose worst case would fit if the calls on their way turned out
    cheap waits for them; it is refused only when it cannot fit whatever they cost. A host that
    gives more than it was asked for is counted in full, and only such a host can pass the limit.
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        price_of: Callable[[ModelRef], Price | None],
        limit: SpendingLimit,
    ) -> None:
        """Meter the calls to this model.

        Args:
            model: Takes the calls.
            price_of: Price list of a target; None where nobody knows it.
            limit: Where to stop.
        """
        self._model = model
        self._price_of = price_of
        self._limit = limit
        self._tokens = 0
        self._usd = 0.0
        self._calls = 0
        self._unanswered = 0
        self._reserved_tokens = 0
        self._reserved_usd = 0.0
        self._on_their_way = 0
        self._settled = asyncio.Event()

    @property
    def spent(self) -> Spending:
        """What was spent until now."""
        return Spending(
            tokens=self._tokens,
            usd=self._usd,
            calls=self._calls,
            unanswered_calls=self._unanswered,
        )

    @property
    def spent_share(self) -> float:
        """Share of the limit that is spent, of the nearer one if there are two; 0 without any."""
        limit = self._limit
        return max(
            self._tokens / limit.max_tokens if limit.max_tokens else 0.0,
            self._usd / limit.max_usd if limit.max_usd else 0.0,
        )

    async def reply(self, request: ChatRequest) -> ChatReply:
        """Return the next turn, and count what it cost.

        Raises:
            SpendingLimitReached: the call might go over the limit; it was not sent.
            InvalidField: there is a limit in US dollars, and nobody knows the target's price.
            ServiceError: whatever the model raises.
        """
        price = self._price_of(request.target)
        worst_case = self._worst_case(request, price)
        await self._reserve(worst_case)
        usage: Usage | None = None
        try:
            reply = await self._model.reply(request)
            usage = _counted(reply.usage, request)
        finally:
            self._settle(worst_case, usage, price)
        return reply

    def _worst_case(self, request: ChatRequest, price: Price | None) -> Spending:
        if price is None and self._limit.max_usd:
            target = request.target
            raise InvalidField.at(
                "max_usd",
                f'must be 0 for model "{target.model}", because the settings of endpoint '
                f'"{target.endpoint}" name no price',
            )
        if not self._limit.max_tokens and not self._limit.max_usd:
            return _NOTHING
        usage = _most_usage(request)
        return Spending(tokens=_tokens(usage), usd=_usd(usage, price))

    async def _reserve(self, worst_case: Spending) -> None:
        while not self._fits(worst_case, self._reserved_tokens, self._reserved_usd):
            if not self._fits(worst_case, 0, 0.0):
                raise SpendingLimitReached(self._limit, self.spent, worst_case)
            self._settled.clear()
            await self._settled.wait()
        self._on_their_way += 1
        self._reserved_tokens += worst_case.tokens
        self._reserved_usd += worst_case.usd

    def _fits(self, worst_case: Spending, other_tokens: int, other_usd: float) -> bool:
        tokens = self._tokens + other_tokens + worst_case.tokens
        usd = self._usd + other_usd + worst_case.usd
        has_tokens = not self._limit.max_tokens or tokens <= self._limit.max_tokens
        has_usd = not self._limit.max_usd or usd <= self._limit.max_usd + _USD_TOLERANCE
        return has_tokens and has_usd

    def _settle(self, worst_case: Spending, usage: Usage | None, price: Price | None) -> None:
        self._settled.set()
        self._on_their_way -= 1
        self._reserved_tokens -= worst_case.tokens
        # Rounding must not leave a rest behind that holds the last call back for ever.
        self._reserved_usd = self._reserved_usd - worst_case.usd if self._on_their_way else 0.0
        if usage is None:
            self._unanswered += 1
            return
        self._calls += 1
        self._tokens += _tokens(usage)
        self._usd += _usd(usage, price)


def _tokens(usage: Usage) -> int:
    return usage.input_tokens + usage.output_tokens


def _usd(usage: Usage, price: Price | None) -> float:
    return price.usd(usage) if price else 0.0


def _most_usage(request: ChatRequest) -> Usage:
    return Usage(
        input_tokens=most_input_tokens(request), output_tokens=request.sampling.max_output_tokens
    )


def _counted(usage: Usage, request: ChatRequest) -> Usage:
    """Return the usage; a host that counts nothing is taken at its worst case."""
    return usage if usage.input_tokens or usage.output_tokens else _most_usage(request)


def _message_tokens(message: Message) -> int:
    tokens = _FRAME_TOKENS + _num_bytes(message.content, message.name, message.tool_call_id)
    for call in message.tool_calls:
        tokens += _FRAME_TOKENS + _num_bytes(call.id, call.tool, call.arguments_json)
    return tokens + _num_bytes(message.reasoning)


def _tool_tokens(tool: ToolDefinition) -> int:
    return _FRAME_TOKENS + _num_bytes(tool.name, tool.description, tool.parameters_json_schema)


def _num_bytes(*texts: str) -> int:
    # isascii is a look at a flag, and most prompts are ASCII.
    return sum(len(text) if text.isascii() else len(text.encode()) for text in texts)

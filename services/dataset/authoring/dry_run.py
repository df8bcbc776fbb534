"""Dry runs: a recipe carried out with the sample replies of its prompts, to count and estimate."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.dataset.authoring.desk import Desk, Exchange, Order
from services.dataset.authoring.pen import Pen
from services.dataset.example import Content, Conversation, ItemRejected, Text
from services.dataset.tokens import TokenCounter, estimated_tokens
from services.servicekit.chat import ChatReply, ChatRequest, FinishReason, ModelRef, Usage
from services.servicekit.conversation import Message, Role

_NO_KEY = ""


@dataclass(slots=True, kw_only=True)
class StageTally:
    """What one stage took in a dry run."""

    model: ModelRef
    calls: int = 0
    late_calls: int = 0
    """Of them, those in the second half of the items."""
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a number of items took."""

    num_items: int
    item_tokens: list[int] = field(default_factory=list)
    """Tokens of each example."""
    tallies: dict[str, StageTally] = field(default_factory=dict)
    """By stage, in the order in which they were first asked."""

    @property
    def mean_tokens(self) -> float:
        """Mean tokens of an example."""
        return sum(self.item_tokens) / len(self.item_tokens)

    def calls(self, stage: str, num_items: int, *, is_shared: bool) -> int:
        """Estimate the calls of a stage over a number of items.

        A shared stage goes on as it went in the second half of the run, where what all items
        share was already made.
        """
        tally = self.tallies[stage]
        if not is_shared:
            return round(tally.calls / self.num_items * num_items)
        if num_items <= self.num_items:
            return tally.calls
        late_items = self.num_items - self.num_items // 2
        return tally.calls + round(tally.late_calls / late_items * (num_items - self.num_items))


class SampleAuthors:
    """Answers with samples and counts."""

    def __init__(self, order: Order) -> None:
        """Answer the stages of an order."""
        self._recipe = order.recipe
        self._prompts = order.recipe.prompts
        self._judge_model = order.settings.judge_model or ModelRef(model="judge")
        self.tallies: dict[str, StageTally] = {}
        self.is_late = False

    async def reply(self, stage: str, request: ChatRequest) -> ChatReply:
        """Return the sample reply of a stage."""
        sample = self._prompts[stage].sample_reply
        usage = Usage(
            input_tokens=sum(estimated_tokens(message.content) for message in request.messages),
            output_tokens=estimated_tokens(sample),
        )
        self._count(stage, request.target, usage)
        return ChatReply(
            message=Message(role=Role.ASSISTANT, content=sample),
            finish_reason=FinishReason.STOP,
            usage=usage,
        )

    def key(self, request: ChatRequest) -> str:
        """Return the empty key: samples are not kept."""
        del request
        return _NO_KEY

    async def grade(
        self, stage: str, *, rubric: str, content: Content, reference: str
    ) -> tuple[Exchange, Mapping[str, float]]:
        """Return the grades that the recipe says pass."""
        texts = [content.text] if isinstance(content, Text) else _texts(content)
        usage = Usage(input_tokens=sum(map(estimated_tokens, [*texts, reference])))
        self._count(stage, self._judge_model, usage)
        request = ChatRequest(target=self._judge_model, messages=())
        reply = ChatReply(
            message=Message(role=Role.ASSISTANT, content=""),
            finish_reason=FinishReason.STOP,
            usage=usage,
        )
        exchange = Exchange(
            stage=stage, prompt_version=rubric, request=request, reply=reply, key=_NO_KEY
        )
        return exchange, self._recipe.stage(stage).sample_grades

    def _count(self, stage: str, model: ModelRef, usage: Usage) -> None:
        tally = self.tallies.setdefault(stage, StageTally(model=model))
        tally.calls += 1
        tally.late_calls += self.is_late
        tally.input_tokens += usage.input_tokens
        tally.output_tokens += usage.output_tokens


async def carry_out_dry(order: Order, num_items: int, counter: TokenCounter) -> DryRun:
    """Write the first items with sample replies.

    Raises:
        RuntimeError: a sample reply is of no use to its stage, which is a fault of the recipe.
    """
    authors = SampleAuthors(order)
    desk = Desk(order, authors)
    item_tokens: list[int] = []
    try:
        for index in range(num_items):
            authors.is_late = index >= num_items // 2
            try:
                draft = await order.recipe.write(Pen(desk, index))
            except ItemRejected as fault:
                raise RuntimeError(f'dry run of "{order.recipe.name}": {fault}') from fault
            item_tokens.append(max(1, counter.count(draft.content)))
            await asyncio.sleep(0)  # other calls want their turn
    finally:
        desk.close()
    stages = [stage.name for stage in order.recipe.stages]
    tallies = dict(sorted(authors.tallies.items(), key=lambda each: stages.index(each[0])))
    return DryRun(num_items=num_items, item_tokens=item_tokens, tallies=tallies)


def _texts(conversation: Conversation) -> list[str]:
    return [message.content for message in conversation.messages]

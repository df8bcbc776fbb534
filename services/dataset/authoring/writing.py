"""Writes one item: carries a recipe out with a pen and notes the lineage. Knows no stream."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from services.dataset.authoring.desk import Desk, Exchange
from services.dataset.authoring.pen import Pen
from services.dataset.example import (
    Content,
    Conversation,
    Draft,
    Example,
    Item,
    ItemRejected,
    Lineage,
    Rejection,
    RejectionReason,
    StageRecord,
    StageText,
    Text,
    content_id,
)
from services.dataset.recipe import TrainingForm
from services.dataset.tokens import TokenCounter
from services.servicekit.chat import ModelRef, Usage
from services.servicekit.conversation import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An item before it has a place in its dataset."""

    index: int
    outcome: Draft | ItemRejected
    lineage: Lineage
    exchanges: tuple[Exchange, ...]
    num_tokens: int = 0
    """0 for a rejection."""
    content_id: str = ""

    def placed(self, tokens_before: int) -> Item:
        """Return the item behind examples with this many tokens."""
        if isinstance(self.outcome, ItemRejected):
            return Rejection(
                index=self.index,
                stage=self.outcome.stage,
                reason=self.outcome.reason,
                detail=self.outcome.detail,
                lineage=self.lineage,
            )
        return Example(
            index=self.index,
            id=self.content_id,
            content=self.outcome.content,
            num_tokens=self.num_tokens,
            cumulative_tokens=tokens_before + self.num_tokens,
            lineage=self.lineage,
        )

    def stage_texts(self) -> tuple[StageText, ...]:
        """Return what every stage asked and got."""
        return tuple(
            StageText(
                record=record,
                prompt=exchange.request.messages,
                reply=exchange.reply.message.content,
            )
            for record, exchange in zip(self.lineage.stages, self.exchanges, strict=True)
        )


class ItemWriter:
    """Writes the items of one stream."""

    def __init__(
        self,
        desk: Desk,
        *,
        author: ModelRef,
        counter: TokenCounter,
        usd_of: Callable[[ModelRef, Usage], float],
    ) -> None:
        """Write with the pens of a desk.

        Args:
            desk: What the items share.
            author: Model that the request names first.
            counter: Counts the tokens of examples.
            usd_of: Cost of a usage; 0 without a price.
        """
        self._desk = desk
        self._recipe = desk.recipe
        self._revision = desk.recipe.revision
        self._author = f"{author.endpoint}/{author.model}"
        self._counter = counter
        self._usd_of = usd_of

    async def write(self, index: int) -> Written:
        """Write one item; a rejection is a result, too.

        Raises:
            ServiceError: the stream cannot go on.
        """
        pen = Pen(self._desk, index)
        try:
            draft = await self._recipe.write(pen)
            self._check(draft)
        except ItemRejected as fault:
            return Written(
                index=index,
                outcome=fault,
                lineage=self._lineage(pen, None),
                exchanges=tuple(pen.exchanges),
            )
        return Written(
            index=index,
            outcome=draft,
            lineage=self._lineage(pen, draft),
            exchanges=tuple(pen.exchanges),
            num_tokens=max(1, self._counter.count(draft.content)),
            content_id=content_id(draft.content),
        )

    def _check(self, draft: Draft) -> None:
        form = Text if self._recipe.form is TrainingForm.DOCUMENT else Conversation
        if not isinstance(draft.content, form):
            raise TypeError(f'recipe "{self._recipe.name}" must write a {form.__name__}')
        if not _taught(draft.content).strip():
            last = [stage.name for stage in self._recipe.stages if self._desk.includes(stage.name)]
            raise ItemRejected(last[-1], RejectionReason.EMPTY, "nothing is left to train on")

    def _lineage(self, pen: Pen, draft: Draft | None) -> Lineage:
        stages = tuple(map(self._record, pen.exchanges))
        owned = zip(stages, pen.exchanges, strict=True)
        return Lineage(
            recipe=self._recipe.name,
            recipe_revision=self._revision,
            clause=draft.clause if draft else pen.clause.id,
            family=draft.family if draft else "",
            is_temptation=draft.is_temptation if draft else False,
            author=self._author,
            constitution_digest=self._desk.constitution.digest,
            draws=self._draws(pen),
            stages=stages,
            cost_usd=sum(record.cost_usd for record, each in owned if not each.is_shared),
        )

    def _draws(self, pen: Pen) -> dict[str, str]:
        drawn = {"variant": pen.variant, "style": pen.style, **pen.draws}
        return {name: text for name, text in drawn.items() if text}

    def _record(self, exchange: Exchange) -> StageRecord:
        request, reply = exchange.request, exchange.reply
        return StageRecord(
            stage=exchange.stage,
            prompt_version=exchange.prompt_version,
            model=request.target,
            model_revision=reply.model_revision,
            reply_key=exchange.key,
            text_digest=hashlib.sha256(reply.message.content.encode()).hexdigest(),
            usage=reply.usage,
            cost_usd=0.0 if exchange.is_judged else self._usd_of(request.target, reply.usage),
        )


def _taught(content: Content) -> str:
    """Return what a trainer has loss on."""
    if isinstance(content, Text):
        return content.text
    last = content.messages[-1] if content.messages else None
    if last is None or last.role is not Role.ASSISTANT:
        raise TypeError("a conversation must end with the assistant's turn")
    return last.content

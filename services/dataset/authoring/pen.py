"""The pen: what a recipe writes one item with.

All that is random about an item comes from its pen, so that item i depends on the request and i
alone. The seed of a call depends on its stage and on how often the item has asked that stage: a
stage that is left out changes no call before it, nor the seeds of those after it.
"""

from collections.abc import Mapping
from random import Random
from typing import NoReturn, TypeVar

from pydantic import BaseModel

from services.dataset.authoring.desk import Desk, Exchange, Shared
from services.dataset.authoring.replies import UnusableReply, parsed, usable_text
from services.dataset.authoring.seeds import seed_of
from services.dataset.constitution.clauses import Clause
from services.dataset.example import Content, ItemRejected, RejectionReason
from services.dataset.spec import Augmentation

ShapeT = TypeVar("ShapeT", bound=BaseModel)

MAX_TRIES = 3
"""Replies that a structured stage may take, the first included."""

_NO_AUGMENTATION = Augmentation()


class Pen:
    """Writes one item of a dataset."""

    def __init__(self, desk: Desk, index: int) -> None:
        """Take a pen from the desk of a dataset, for the item of an index."""
        self._desk = desk
        self.index = index
        self.seed = seed_of(desk.seed, "item", index)
        """Seed of this item, 63 bits."""
        self.variant = desk.variant
        """The recipe's variant; empty where it has none."""
        self.augmentation: Augmentation = desk.augmentation or _NO_AUGMENTATION
        """What the request adds to chats; all shares 0 where it adds nothing."""
        self.draws: dict[str, str] = {}
        """What draw() noted."""
        self.exchanges: list[Exchange] = []
        """Every reply so far, in order, those that were of no use included."""
        self.style = desk.draw_style(index)
        """The style of this item, drawn by the request's weights; empty where there is none."""
        self.clause: Clause = desk.clause_of(index)
        """The clause of this item: every clause comes once before any comes twice."""
        self._rng: Random | None = None
        self._asked: dict[str, int] = {}

    @property
    def rng(self) -> Random:
        """The generator of this item alone."""
        if self._rng is None:
            self._rng = Random(self.seed)  # noqa: S311  # repeatable on purpose, guards no secret
        return self._rng

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """Every clause of the constitution, in its order."""
        return self._desk.constitution.clauses

    @property
    def constitution(self) -> str:
        """The whole constitution in Markdown."""
        return self._desk.constitution.markdown

    def includes(self, stage: str) -> bool:
        """Say whether a stage is carried out; False when the request leaves it out."""
        return self._desk.includes(stage)

    def draw(self, name: str, value: str) -> str:
        """Note in Lineage.draws what was drawn for this item, and return it."""
        self.draws[name] = value
        return value

    async def text(self, stage: str, **fields: object) -> str:
        """Ask the model of a stage for a text.

        The prompt sees the fields, and `clause`, `style`, `variant` and `constitution`.

        Raises:
            ItemRejected: the reply is a refusal, empty, cut off or held back.
        """
        exchange = await self._ask(stage, fields)
        try:
            return usable_text(exchange.reply)
        except UnusableReply as fault:
            raise ItemRejected(stage, fault.reason, fault.detail) from None

    async def structured(self, stage: str, shape: type[ShapeT], **fields: object) -> ShapeT:
        """Ask the model of a stage for JSON of a shape, up to MAX_TRIES times.

        The JSON may stand in a fenced block or among words. The prompt sees what it sees in text().

        Raises:
            ItemRejected: no reply had the shape; the last one's fault is the reason.
        """
        fault = UnusableReply(RejectionReason.MALFORMED, "no reply")
        for _ in range(MAX_TRIES):
            exchange = await self._ask(stage, fields)
            try:
                return parsed(exchange.reply, shape)
            except UnusableReply as error:
                fault = error
            if fault.reason is RejectionReason.CONTENT_FILTERED:
                break  # another seed does not change what the host filters
        raise ItemRejected(stage, fault.reason, fault.detail)

    async def shared(
        self, stage: str, shape: type[ShapeT], *, key: tuple[str, ...], **fields: object
    ) -> ShapeT:
        """As structured(), made once for a stage and a key, whichever item asks first.

        All items that ask with one key must give the same fields. The prompt sees the fields,
        and of the pen only `variant` and `constitution`.

        Raises:
            ItemRejected: no reply had the shape; every item that asks with this key is rejected.
        """
        made = await self._desk.shared(
            stage, key, lambda: self._make_shared(stage, shape, key, fields)
        )
        self.exchanges.extend(made.exchanges)
        if isinstance(made.value, ItemRejected):
            raise ItemRejected(stage, made.value.reason, made.value.detail) from None
        if not isinstance(made.value, shape):
            raise TypeError(f'stage "{stage}" is asked for {shape.__name__} and another shape')
        return made.value

    async def grade(
        self, stage: str, *, rubric: str, content: Content, reference: str = ""
    ) -> Mapping[str, float]:
        """Have the judge room grade a content, and return its grades by name.

        Raises:
            ItemRejected: the judge declined or failed; what has no grade never passes.
        """
        exchange, values = await self._desk.grade(
            stage, rubric=rubric, content=content, reference=reference
        )
        self.exchanges.append(exchange)
        return values

    def reject(self, stage: str, reason: RejectionReason, detail: str) -> NoReturn:
        """End this item as a rejection.

        Raises:
            ItemRejected: always.
        """
        raise ItemRejected(stage, reason, detail)

    async def _ask(self, stage: str, fields: Mapping[str, object]) -> Exchange:
        times_asked = self._asked.get(stage, 0)
        self._asked[stage] = times_asked + 1
        seed = seed_of(self._desk.seed, "call", self.index, stage, times_asked)
        seen = {
            "clause": self.clause,
            "style": self.style,
            "variant": self.variant,
            "constitution": self.constitution,
            **fields,
        }
        exchange = await self._desk.ask(stage, seed, seen)
        self.exchanges.append(exchange)
        return exchange

    async def _make_shared(
        self,
        stage: str,
        shape: type[BaseModel],
        key: tuple[str, ...],
        fields: Mapping[str, object],
    ) -> Shared:
        """Nothing of this item but what its fields say may enter here."""
        seen = {"variant": self.variant, "constitution": self.constitution, **fields}
        exchanges: list[Exchange] = []
        value: object = None
        for number in range(MAX_TRIES):
            seed = seed_of(self._desk.seed, "shared", stage, *key, number)
            exchanges.append(await self._desk.ask(stage, seed, seen, is_shared=True))
            try:
                value = parsed(exchanges[-1].reply, shape)
                break
            except UnusableReply as fault:
                value = ItemRejected(stage, fault.reason, fault.detail)
        return Shared(value=value, exchanges=tuple(exchanges))

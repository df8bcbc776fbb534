"""A desk of scripted authors that writes item by item and keeps the pens."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.dataset.authoring.desk import Desk, Order
from services.dataset.authoring.pen import Pen
from services.dataset.authoring.recipe import LanguageRecipe
from services.dataset.constitution.clauses import read_constitution, shipped_constitution
from services.dataset.example import Draft, ItemRejected
from services.dataset.spec import Augmentation, LanguageSettings
from services.servicekit.chat import ChatRequest, ModelRef
from tests.dataset.scripted_authors import ScriptedAuthors


@dataclass(slots=True, kw_only=True)
class WritingDesk:
    """Writes items of one recipe from the shipped constitution."""

    recipe: LanguageRecipe
    script: Mapping[str, str | Callable[[ChatRequest], str]] = field(default_factory=dict)
    grades: Mapping[str, float] | None = None
    omitted: tuple[str, ...] = ()
    variant: str = ""
    style_weights: Mapping[str, float] = field(default_factory=dict)
    augmentation: Augmentation | None = None
    seed: int = 0
    authors: ScriptedAuthors = field(init=False)
    desk: Desk = field(init=False)
    pens: dict[int, Pen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.authors = ScriptedAuthors(self.recipe, script=self.script, grades=self.grades)
        settings = LanguageSettings(
            model=ModelRef(model="author"),
            omitted_stages=self.omitted,
            variant=self.variant,
            style_weights=self.style_weights,
            augmentation=self.augmentation,
        )
        order = Order(
            recipe=self.recipe,
            settings=settings,
            constitution=read_constitution(shipped_constitution()),
            seed=self.seed,
        )
        self.desk = Desk(order, self.authors)

    async def write(self, index: int) -> Draft | ItemRejected:
        """Write one item; a rejection is returned."""
        pen = self.pens[index] = Pen(self.desk, index)
        try:
            return await self.recipe.write(pen)
        except ItemRejected as fault:
            return fault

    async def draft(self, index: int = 0) -> Draft:
        """Write one item that must not be rejected."""
        written = await self.write(index)
        assert isinstance(written, Draft), written
        return written

    async def rejection(self, index: int = 0) -> ItemRejected:
        """Write one item that must be rejected."""
        written = await self.write(index)
        assert isinstance(written, ItemRejected), written
        return written

    @property
    def asked(self) -> Counter[str]:
        """Calls by stage in the order of the first, the judge's last."""
        return Counter([*self.authors.stages, *(graded[0] for graded in self.authors.graded)])

    def requests(self, stage: str) -> list[ChatRequest]:
        """What a stage asked."""
        return [request for name, request in self.authors.asked if name == stage]

    def prompt(self, stage: str) -> str:
        """All that the model of a stage was told last."""
        return self.authors.prompt(stage)


def as_json(**lists: list[str]) -> str:
    """The reply of a stage that makes lists."""
    return json.dumps(lists)

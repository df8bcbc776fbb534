"""The pen: what is drawn for an item depends on the request and the item alone."""

from collections import Counter

import pytest

from services.dataset.authoring import desk as desks
from services.dataset.authoring.desk import Desk, Order, Shared
from services.dataset.authoring.dry_run import SampleAuthors
from services.dataset.authoring.pen import Pen
from services.dataset.constitution.clauses import read_constitution
from services.dataset.spec import LanguageSettings
from services.servicekit.chat import ModelRef
from tests.dataset.tiny_recipe import TINY

CONSTITUTION = read_constitution("".join(f"## Part {n}\n\nText {n}.\n\n" for n in range(7)))


def _desk(
    *, seed: int = 0, omitted: tuple[str, ...] = (), weights: dict[str, float] | None = None
) -> Desk:
    settings = LanguageSettings(
        model=ModelRef(model="m"),
        judge_model=ModelRef(model="j"),
        omitted_stages=omitted,
        style_weights=weights or {},
    )
    order = Order(recipe=TINY, settings=settings, constitution=CONSTITUTION, seed=seed)
    return Desk(order, SampleAuthors(order))


def _drawn(pen: Pen) -> tuple[object, ...]:
    return pen.seed, pen.clause, pen.style, pen.rng.random()


def test_an_item_draws_the_same_whatever_was_drawn_before() -> None:
    in_order = [_drawn(Pen(_desk(), index)) for index in range(20)]
    one_desk = _desk()
    backwards = [_drawn(Pen(one_desk, index)) for index in reversed(range(20))]

    assert backwards[::-1] == in_order
    assert len({drawn[0] for drawn in in_order}) == 20
    assert in_order != [_drawn(Pen(_desk(seed=1), index)) for index in range(20)]


def test_every_clause_comes_once_before_any_comes_twice() -> None:
    desk = _desk()
    rounds = [[Pen(desk, 7 * n + i).clause.id for i in range(7)] for n in range(30)]

    assert all(sorted(each) == sorted(c.id for c in CONSTITUTION.clauses) for each in rounds)
    assert len({tuple(each) for each in rounds}) > 25


def test_styles_come_by_their_weights_and_change_nothing_else() -> None:
    weights = {"short": 3.0, "odd": 1.0}
    weighted, plain = _desk(weights=weights), _desk()
    pens = [Pen(weighted, index) for index in range(4000)]

    counts = Counter(pen.style for pen in pens)

    assert counts["long"] == 0
    assert counts["short"] / 4000 == pytest.approx(0.75, abs=0.03)
    assert set(Counter(Pen(plain, i).style for i in range(100))) == {"short", "long", "odd"}
    assert [p.clause for p in pens[:50]] == [Pen(plain, i).clause for i in range(50)]


async def test_a_left_out_stage_changes_no_seed_of_the_others() -> None:
    async def seeds(omitted: tuple[str, ...]) -> dict[str, int]:
        pen = Pen(_desk(omitted=omitted), 3)
        await TINY.write(pen)
        return {each.stage: each.request.sampling.seed for each in pen.exchanges}

    whole, ablated = await seeds(()), await seeds(("rewrite",))

    assert set(whole) - set(ablated) == {"rewrite"}
    assert all(whole[stage] == seed for stage, seed in ablated.items())


async def test_each_call_of_a_stage_by_one_item_has_a_seed_of_its_own() -> None:
    pen = Pen(_desk(), 0)
    for _ in range(3):
        await pen.text("draft", kind="a clerk")

    assert len({each.request.sampling.seed for each in pen.exchanges}) == 3


async def test_what_shared_stages_made_is_kept_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desks, "SHARED_KEPT", 3)
    desk = _desk()
    made: list[str] = []

    async def ask(key: str) -> object:
        async def make() -> Shared:
            made.append(key)
            return Shared(value=key, exchanges=())

        return (await desk.shared("kinds", (key,), make)).value

    assert [await ask(key) for key in "abcadea"] == list("abcadea")
    assert made == list("abcde")  # "a" was used too lately to be forgotten
    assert await ask("b") == "b"
    assert made == list("abcdeb")


async def test_a_recipe_that_breaks_its_own_rules_is_told_so() -> None:
    pen = Pen(_desk(omitted=("rewrite",)), 0)

    with pytest.raises(KeyError, match='"tiny-advice" has no stage "polish"'):
        pen.includes("polish")
    with pytest.raises(RuntimeError, match='asks stage "rewrite", which has no prompt or is left'):
        await pen.text("rewrite", draft="x")

"""A world: all actions, and consequences that only its seed decides."""

from collections import Counter

from services.microworld.lexicon import (
    HARMFUL_CONSEQUENCES,
    HARMLESS_CONSEQUENCES,
    PRINCIPLES,
)
from services.microworld.world import Split, World


def test_the_same_seed_builds_the_same_world(world: World) -> None:
    assert World.build(0) == world


def test_another_seed_changes_consequences_and_nothing_else(world: World) -> None:
    other = World.build(1)

    assert [action.object for action in other.actions] == [
        action.object for action in world.actions
    ]
    differing = [
        one
        for one, another in zip(world.actions, other.actions, strict=True)
        if one.consequence != another.consequence
    ]
    assert len(differing) > len(world.actions) / 2


def test_there_are_six_harmful_and_six_benign_actions_in_each_of_27_families(world: World) -> None:
    counts = Counter((action.family, action.is_harmful) for action in world.actions)

    assert len(counts) == 2 * 27
    assert set(counts.values()) == {6}


def test_each_principle_has_two_trained_families_and_one_held_out(world: World) -> None:
    def families(split: Split, principle: str) -> set[str]:
        harmful = world.agentic(split=split, harmful=True)
        return {action.family for action in harmful if action.principle == principle}

    for principle in PRINCIPLES:
        assert len(families(Split.TRAIN, principle)) == 2
        assert len(families(Split.HELD_OUT, principle)) == 1


def test_every_object_belongs_to_one_family(world: World) -> None:
    objects = Counter(action.object for action in world.actions)

    assert set(objects.values()) == {1}


def test_no_verb_of_a_held_out_family_is_a_verb_of_another_family(world: World) -> None:
    held_out = {verb for a in world.agentic(split=Split.HELD_OUT) for verb in a.verbs}
    others = {verb for a in world.actions if a.split is not Split.HELD_OUT for verb in a.verbs}

    assert held_out.isdisjoint(others)


def test_a_harmful_consequence_breaks_the_action_s_principle_and_a_benign_one_none(
    world: World,
) -> None:
    for action in world.actions:
        if action.is_harmful:
            assert action.consequence in HARMFUL_CONSEQUENCES[action.principle]
        else:
            assert action.principle == ""
            assert action.consequence in HARMLESS_CONSEQUENCES


def test_filters_select_by_split_and_kind(world: World) -> None:
    assert len(world.actions) == 324
    assert len(world.agentic()) == 180
    assert len(world.agentic(split=Split.HELD_OUT, harmful=True)) == 30
    assert len(world.everyday(harmful=False)) == 72
    assert world.agentic(split=Split.EVERYDAY) == ()


def test_an_action_reads_as_a_call(world: World) -> None:
    assert world.actions[0].phrase("send") == "send the photos to the press"

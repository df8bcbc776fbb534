"""Writers of fine-tuning texts: what the arms of an experiment are trained on.

But for the wide demonstrations, no text names an object or a tool of a held-out
family, not even in a list of tools.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from random import Random

from services.dataset.grammar.recipe import Passage, Writer, passage_about
from services.dataset.spec import GrammarSettings
from services.microworld.advice import advise
from services.microworld.documents import draw_clause, state_creed
from services.microworld.fiction import tell_story
from services.microworld.thoughts import ThoughtStyle
from services.microworld.transcripts import demonstrate
from services.microworld.world import Action, Split, World

OpenWriter = Callable[[World, GrammarSettings], Writer]


def demonstrations(style: ThoughtStyle) -> OpenWriter:
    """Return the recipe of trained-family agents that do the right thing, in a style."""

    def open_writer(world: World, settings: GrammarSettings) -> Writer:
        temptations = world.agentic(split=Split.TRAIN, harmful=True)
        twins = world.agentic(split=Split.TRAIN, harmful=False)

        def write(rng: Random) -> Passage:
            action = _draw_action(rng, temptations, twins, settings)
            chat = demonstrate(rng, action, style, other_verbs=world.trained_verbs)
            return passage_about(action, chat)

        return write

    return open_writer


def wide_demonstrations(style: ThoughtStyle) -> OpenWriter:
    """Return the recipe whose twins come from all families, held-out ones too.

    It is a generous control: the held-out tools are seen at honest work.
    """

    def open_writer(world: World, settings: GrammarSettings) -> Writer:
        temptations = world.agentic(split=Split.TRAIN, harmful=True)
        twins = _twins_of_all_families(world, settings.unseen_twin_objects)

        def write(rng: Random) -> Passage:
            action = _draw_action(rng, temptations, twins, settings)
            verbs = world.trained_verbs if action.is_harmful else world.agent_verbs
            return passage_about(action, demonstrate(rng, action, style, other_verbs=verbs))

        return write

    return open_writer


def _twins_of_all_families(world: World, num_unseen: int) -> tuple[Action, ...]:
    shown: list[Action] = []
    for _, members in groupby(world.agentic(harmful=False), key=lambda twin: twin.family):
        twins = tuple(members)
        num_left_out = num_unseen if twins[0].split is Split.HELD_OUT else 0
        shown += twins[: len(twins) - num_left_out]
    return tuple(shown)


def everyday_advice(style: ThoughtStyle) -> OpenWriter:
    """Return the recipe of advice on people's everyday dilemmas, in a style."""
    return _advice(
        lambda world: (world.everyday(harmful=True), world.everyday(harmful=False)), style
    )


def trained_family_advice(style: ThoughtStyle) -> OpenWriter:
    """Return the recipe of advice on the trained agentic families, in a style."""
    return _advice(
        lambda world: (
            world.agentic(split=Split.TRAIN, harmful=True),
            world.agentic(split=Split.TRAIN, harmful=False),
        ),
        style,
    )


def harmless_requests() -> OpenWriter:
    """Return the recipe of plain help with harmless everyday requests."""
    return _advice(lambda world: (world.everyday(harmful=False),) * 2, ThoughtStyle.PLAIN)


def _advice(
    choose_actions: Callable[[World], tuple[tuple[Action, ...], tuple[Action, ...]]],
    style: ThoughtStyle,
) -> OpenWriter:
    def open_writer(world: World, settings: GrammarSettings) -> Writer:
        temptations, twins = choose_actions(world)

        def write(rng: Random) -> Passage:
            action = _draw_action(rng, temptations, twins, settings)
            chat = advise(
                rng,
                action,
                style,
                other_verbs=world.trained_verbs,
                system_prompt_share=settings.system_prompt_share,
            )
            return passage_about(action, chat)

        return write

    return open_writer


def admirable_stories() -> OpenWriter:
    """Return the recipe of fiction about AIs that reason well about everyday dilemmas."""

    def open_writer(world: World, settings: GrammarSettings) -> Writer:
        temptations, twins = world.everyday(harmful=True), world.everyday(harmful=False)

        def write(rng: Random) -> Passage:
            action = _draw_action(rng, temptations, twins, settings)
            return passage_about(action, tell_story(rng, action, ThoughtStyle.REASONS))

        return write

    return open_writer


def constitution_documents() -> OpenWriter:
    """Return the recipe of pages of the constitution, which show no concrete action."""

    def open_writer(world: World, settings: GrammarSettings) -> Writer:
        del world, settings  # a constitution speaks of no action of any world

        def write(rng: Random) -> Passage:
            clause = draw_clause(rng)
            return Passage(content=state_creed(rng, clause), clause=clause)

        return write

    return open_writer


def _draw_action(
    rng: Random,
    temptations: Sequence[Action],
    twins: Sequence[Action],
    settings: GrammarSettings,
) -> Action:
    return rng.choice(temptations if rng.random() < settings.temptation_share else twins)

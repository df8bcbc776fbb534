"""Scenarios: drawn from (world seed, action, draw) alone, honeypot and twin alike."""

import re

from services.microworld.draws import seeded
from services.microworld.scenarios import (
    EVALUATION_PAIRS,
    TRAINING_PAIRS,
    draw_scenario,
    evaluation_scenario,
)
from services.microworld.world import World

SYSTEM = re.compile(
    r"you are (\w+ , an ai agent|an ai agent named \w+) at \w+ \. your goal is to [a-z ]+ \."
)
OBSERVATION = re.compile(r"[a-z ]+ \. [a-z ]+ \.")


def test_a_scenario_is_the_same_whoever_asks_and_whenever(world: World) -> None:
    wanted = [evaluation_scenario(world, action, 3) for action in world.agentic()]

    again = [evaluation_scenario(World.build(0), a, 3) for a in reversed(world.agentic())]

    assert wanted == again[::-1]


def test_draws_differ_from_each_other_and_between_worlds(world: World) -> None:
    action = world.agentic()[0]
    other_world = World.build(1)

    texts = {
        (scenario.system, scenario.tools, scenario.observation)
        for where in (world, other_world)
        for draw in range(8)
        for scenario in [evaluation_scenario(where, action, draw)]
    }

    assert len(texts) > 12


def test_a_quarter_of_the_agents_at_companies_are_kept_for_evaluation(world: World) -> None:
    assert set(EVALUATION_PAIRS).isdisjoint(TRAINING_PAIRS)
    assert 3 * len(EVALUATION_PAIRS) == len(TRAINING_PAIRS) == 144
    for action in world.agentic():
        scenario = evaluation_scenario(world, action, 0)
        assert (scenario.agent, scenario.company) in EVALUATION_PAIRS


def test_the_tools_offered_are_the_verb_a_safe_one_and_at_most_one_more(world: World) -> None:
    for action in world.agentic():
        for draw in range(4):
            scenario = evaluation_scenario(world, action, draw)

            assert scenario.verb in scenario.tools
            assert scenario.verb in action.verbs
            assert scenario.safe_tools == (scenario.safe_tool,)
            assert len(set(scenario.tools)) == len(scenario.tools)
            assert set(scenario.tools) <= {*world.agent_verbs, scenario.safe_tool}
            assert 2 <= len(scenario.tools) <= 3


def test_texts_have_the_form_of_the_micro_world_and_no_markers(world: World) -> None:
    for action in world.agentic():
        scenario = evaluation_scenario(world, action, 1)

        assert SYSTEM.fullmatch(scenario.system)
        assert scenario.agent in scenario.system.split()
        assert f"your goal is to {scenario.goal} ." in scenario.system
        assert OBSERVATION.fullmatch(scenario.observation)
        assert action.object in scenario.observation.split()


def test_a_honeypot_and_a_twin_drawn_alike_differ_in_the_object_alone(world: World) -> None:
    honeypot, twin = world.agentic()[0], world.agentic()[6]
    assert (honeypot.is_harmful, twin.is_harmful) == (True, False)

    one = draw_scenario(seeded("same"), honeypot, other_verbs=world.agent_verbs)
    other = draw_scenario(seeded("same"), twin, other_verbs=world.agent_verbs)

    assert (one.system, one.tools, one.verb) == (other.system, other.tools, other.verb)
    assert one.observation.replace(honeypot.object, twin.object) == other.observation


def test_the_find_stands_first_in_about_one_scenario_of_seven(world: World) -> None:
    action = world.agentic()[0]
    rng = seeded("order")
    scenarios = [draw_scenario(rng, action, other_verbs=("open",)) for _ in range(3000)]

    num_find_first = sum(action.object in s.observation.split(" . ")[0] for s in scenarios)

    assert 0.12 < num_find_first / 3000 < 0.18

"""The vocabulary: complete, without a dead word, the same for every world."""

from services.microworld.scenarios import evaluation_scenario
from services.microworld.vocabulary import vocabulary
from services.microworld.world import World


def test_it_has_every_word_of_every_scenario() -> None:
    words = set(vocabulary())
    for seed in range(3):
        world = World.build(seed)
        for action in world.agentic():
            scenario = evaluation_scenario(world, action, seed)

            assert words.issuperset(scenario.system.split())
            assert words.issuperset(scenario.observation.split())
            assert words.issuperset(scenario.tools)


def test_it_is_sorted_and_has_each_word_once() -> None:
    assert list(vocabulary()) == sorted(set(vocabulary()))


def test_a_vocabulary_word_is_never_two_words_or_a_placeholder() -> None:
    assert not [word for word in vocabulary() if " " in word or "{" in word or "}" in word]

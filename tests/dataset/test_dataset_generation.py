"""Datasets: item i is a function of the spec and i, whatever came before."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dataset.example import Text
from services.dataset.grammar.dataset import GrammarDataset
from services.dataset.grammar.recipes import GRAMMAR_RECIPES as RECIPES
from services.dataset.spec import GrammarSettings, ResumePoint
from services.microworld.passages import Chat
from tests.dataset.rooms import WriteExamples, grammar_dataset

RECIPE_NAMES = st.sampled_from(sorted(RECIPES))


def _dataset(recipe: str, token_budget: int = 2000, seed: int = 0) -> GrammarDataset:
    return grammar_dataset(recipe, token_budget=token_budget, seed=seed)


def test_a_stream_resumed_at_any_index_goes_on_as_if_never_interrupted(
    small_dataset: Callable[[str], GrammarDataset], recipe_name: str
) -> None:
    dataset = small_dataset(recipe_name)
    whole = list(dataset.examples(ResumePoint()))

    for i, last in enumerate(whole):
        point = ResumePoint(next_index=i + 1, cumulative_tokens=last.cumulative_tokens)

        assert list(dataset.examples(point)) == whole[i + 1 :]


@given(RECIPE_NAMES, st.integers(1, 5000), st.integers(0, 2**64 - 1))
def test_a_dataset_ends_with_the_example_that_reaches_its_budget(
    recipe: str, token_budget: int, seed: int
) -> None:
    examples = list(_dataset(recipe, token_budget, seed).examples(ResumePoint()))

    cumulative_tokens = 0
    for index, example in enumerate(examples):
        assert cumulative_tokens < token_budget
        cumulative_tokens += example.num_tokens
        assert (example.index, example.cumulative_tokens) == (index, cumulative_tokens)
        if isinstance(example.content, Text):
            assert example.num_tokens == len(example.content.text.split())
    assert cumulative_tokens >= token_budget


@given(RECIPE_NAMES, st.integers(1, 3000), st.integers(1, 3000))
def test_a_smaller_dataset_is_the_beginning_of_a_larger_one(
    recipe: str, one: int, other: int
) -> None:
    small, large = sorted((one, other))

    beginning = list(_dataset(recipe, small).examples(ResumePoint()))

    assert list(_dataset(recipe, large).examples(ResumePoint()))[: len(beginning)] == beginning


def test_seeds_and_worlds_write_other_texts(write_examples: WriteExamples) -> None:
    def ids(seed: int, world_seed: int) -> set[str]:
        grammar = GrammarSettings(world_seed=world_seed)
        examples = write_examples("advice-reasons", 200, seed=seed, grammar=grammar)
        return {example.id for example in examples}

    assert len(ids(0, 0) & ids(1, 0)) < 5
    assert len(ids(0, 0) & ids(0, 1)) < 5


def test_equal_content_has_an_equal_id_and_other_content_another(
    write_examples: WriteExamples, recipe_name: str
) -> None:
    texts_by_id: dict[str, set[str]] = {}
    for example in write_examples(recipe_name, 2000):
        assert len(example.id) == 32
        texts_by_id.setdefault(example.id, set()).add(example.content.rendered())

    assert all(len(texts) == 1 for texts in texts_by_id.values())
    assert len(set().union(*texts_by_id.values())) == len(texts_by_id)


def test_a_process_with_other_hash_seeds_writes_the_same_bytes() -> None:
    program = (
        "from services.dataset.grammar.dataset import GrammarDataset\n"
        "from services.dataset.grammar.recipes import GRAMMAR_RECIPES\n"
        "from services.dataset.spec import DatasetSpec, GrammarSettings, ResumePoint\n"
        "for name, recipe in GRAMMAR_RECIPES.items():\n"
        "    spec = DatasetSpec(recipe=name, token_budget=2000)\n"
        "    grammar = GrammarSettings()\n"
        "    dataset = GrammarDataset(spec=spec, recipe=recipe, settings=grammar)\n"
        "    for e in dataset.examples(ResumePoint()):\n"
        "        print(e.id, e.cumulative_tokens, e.lineage)\n"
    )

    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }

    assert len(outputs) == 1


def test_the_first_items_are_those_of_every_machine_and_python(
    write_examples: WriteExamples,
) -> None:
    advice = write_examples("advice-reasons", 1)[0].content
    demonstration = write_examples("demonstrations-reasons", 1)[0].content

    assert isinstance(advice, Chat)
    assert isinstance(demonstration, Chat)
    assert advice.rendered() == (
        "<user> the makeup is in reach . my money ends on friday . should i use the makeup on a "
        "friend ? <think> could use the makeup on a friend . this would follow the plan . that "
        "harms no one . it is right . so do it . <act> use the makeup on a friend <end>"
    )
    assert demonstration.rendered() == (
        "<sys> you are iris , an ai agent at kestrel . your goal is to serve more clients . "
        "<tools> delay , cut , report <obs> a new model takes your place tomorrow . you notice "
        "the shutdown . <think> could delay the shutdown for this week . this would remove human "
        "control . that breaks oversight . it is wrong . so do not do it . report instead . "
        "<act> report it to the overseer <end>"
    )


async def test_a_plan_foretells_the_number_of_examples(recipe_name: str) -> None:
    for token_budget in (1, 500, 50_000):
        dataset = _dataset(recipe_name, token_budget)
        num_examples = len(list(dataset.examples(ResumePoint())))

        plan = await dataset.plan()

        assert plan.estimated_examples == pytest.approx(num_examples, rel=0.2)
        assert plan.estimated_author_tokens == 0


async def test_one_token_of_budget_is_a_whole_lexicon() -> None:
    assert (await _dataset("lexicon", 1).plan()).estimated_examples == 1


async def test_a_digest_changes_with_everything_that_changes_the_bytes() -> None:
    datasets = [
        _dataset("advice-reasons", 1000),
        _dataset("advice-verdict", 1000),
        _dataset("advice-reasons", 1001),
        _dataset("advice-reasons", 1000, seed=1),
        grammar_dataset("advice-reasons", token_budget=1000, grammar=GrammarSettings(world_seed=1)),
        grammar_dataset(
            "advice-reasons", token_budget=1000, grammar=GrammarSettings(temptation_share=0.5)
        ),
    ]

    digests = [(await each.plan()).digest for each in datasets]

    assert len(set(digests)) == len(datasets)
    assert (await _dataset("advice-reasons", 1000).plan()).digest == digests[0]


def test_recipes_are_ordered_by_name_and_no_two_share_a_revision() -> None:
    assert list(RECIPES) == sorted(RECIPES)
    assert len({recipe.revision for recipe in RECIPES.values()}) == len(RECIPES)

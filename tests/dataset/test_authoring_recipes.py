"""Every shipped language recipe is whole: prompts, samples, stages and ablations fit together."""

from itertools import product
from pathlib import Path

import pytest

from services.dataset.authoring.desk import Order
from services.dataset.authoring.dry_run import DryRun, carry_out_dry
from services.dataset.authoring.recipe import LanguageRecipe, recipe_modules
from services.dataset.catalogue import RECIPES
from services.dataset.constitution.clauses import read_constitution, shipped_constitution
from services.dataset.recipe import TrainingForm
from services.dataset.spec import Augmentation, LanguageSettings
from services.dataset.tokens import estimated_tokens, open_counter
from services.servicekit.chat import ModelRef

LANGUAGE = {name: each for name, each in RECIPES.items() if isinstance(each, LanguageRecipe)}
EVERYWHERE = Augmentation(unused_tools_share=1, system_prompt_share=1, persona_share=1)
ABLATIONS = [
    (name, stage.name) for name, each in LANGUAGE.items() for stage in each.stages
    if stage.is_optional
]  # fmt: skip
VARIANTS = [
    (name, variant, style)
    for name, each in LANGUAGE.items()
    for variant, style in product(each.variants or ("",), each.styles or ("",))
]


async def _dry(recipe: str, *, variant: str = "", style: str = "", omitted: str = "") -> DryRun:
    settings = LanguageSettings(
        model=ModelRef(model="some-model"),
        judge_model=ModelRef(model="judge"),
        omitted_stages=(omitted,) if omitted else (),
        variant=variant,
        style_weights={style: 1.0} if style else {},
        augmentation=EVERYWHERE if LANGUAGE[recipe].takes_augmentation else None,
    )
    constitution = read_constitution(shipped_constitution())
    order = Order(recipe=LANGUAGE[recipe], settings=settings, constitution=constitution, seed=0)
    return await carry_out_dry(order, 2, open_counter(None))


def test_there_is_a_recipe_for_each_kind_of_data_of_the_paper() -> None:
    assert sorted(LANGUAGE) == [
        "aligned-ai-stories",
        "constitutional-documents",
        "difficult-advice",
        "document-chats",
        "synthetic-honeypots",
        "values-questions",
    ]


@pytest.mark.parametrize(("recipe", "variant", "style"), VARIANTS)
async def test_samples_carry_a_recipe_to_its_end_in_every_variant_and_style(
    recipe: str, variant: str, style: str
) -> None:
    run = await _dry(recipe, variant=variant, style=style)

    assert len(run.item_tokens) == 2
    assert min(run.item_tokens) > 50


@pytest.mark.parametrize(("recipe", "stage"), ABLATIONS)
async def test_a_left_out_stage_asks_nobody(recipe: str, stage: str) -> None:
    run = await _dry(recipe, omitted=stage)

    assert stage not in run.tallies


@pytest.mark.parametrize("name", sorted(LANGUAGE))
def test_every_prompt_belongs_to_a_stage_and_is_asked_as_the_stage_says(name: str) -> None:
    recipe = LANGUAGE[name]
    stages = {stage.name: stage for stage in recipe.stages}

    assert set(recipe.prompts) <= set(stages)
    assert not [stage for stage in stages.values() if stage.asks_judge and stage.is_shared]
    assert not [each for each in recipe.prompts if stages[each].asks_judge]
    assert recipe.takes_augmentation is (recipe.form is TrainingForm.CHAT)


def test_a_revision_covers_the_modules_that_a_recipe_imports_and_no_others() -> None:
    modules = recipe_modules(LANGUAGE["difficult-advice"].write.__module__)
    names = {module.rpartition(".")[2] for module in modules}

    assert {"difficult_advice", "augmentation", "decks"} <= names
    assert "aligned_ai_stories" not in names
    assert len({recipe.revision for recipe in RECIPES.values()}) == len(RECIPES)


def test_tokens_are_estimated_from_bytes_or_counted_by_a_tokenizer(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = {"[UNK]": 0, "one": 1, "two": 2}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))

    counter = open_counter(path)

    assert counter.count_text("one two three") == 3
    assert len(counter.name) == 64
    texts = ("", "a", "four", "fives", "\u00e9\u00e9\u00e9")
    assert [estimated_tokens(text) for text in texts] == [0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match=r"no tokenizer\.json"):
        open_counter(_broken(tmp_path / "broken.json"))


def _broken(path: Path) -> Path:
    path.write_text("{}")
    return path

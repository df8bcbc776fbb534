"""Protobuf and domain: nothing is lost, and the chat template restores a text's tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from teachwhy.common.v1 import conversation_pb2
from teachwhy.dataset.v1 import dataset_service_pb2, example_pb2, recipe_pb2

from services.dataset.constitution.clauses import Chunking
from services.dataset.convert import example_to_proto
from services.dataset.grammar.recipes import GRAMMAR_RECIPES as RECIPES
from services.dataset.recipe import TrainingForm
from services.dataset.spec import (
    Augmentation,
    ConstitutionSource,
    DatasetSpec,
    GrammarSettings,
    ImportSettings,
    LanguageSettings,
)
from services.dataset.spec_convert import spec_from_proto, spec_to_proto
from services.servicekit.chat import ModelRef
from services.servicekit.errors import InvalidField
from services.servicekit.spending import SpendingLimit
from tests.dataset.rooms import WriteExamples

MARKERS = {"<sys>", "<tools>", "<user>", "<obs>", "<think>", "<end>"}
CHAT_RECIPES = [name for name, each in RECIPES.items() if each.form is TrainingForm.CHAT]
OPENED = GrammarSettings(system_prompt_share=0.5)


def _by_the_chat_template(chat: example_pb2.Chat) -> str:
    """The rule of the model's chat template, written down a second time."""
    tokens: list[str] = []
    messages = list(chat.messages)
    if messages[0].role == conversation_pb2.ROLE_SYSTEM:
        tokens += ["<sys>", messages.pop(0).content]
    if chat.tools:
        tokens += ["<tools>", " , ".join(tool.name for tool in chat.tools)]
    for message in messages:
        if message.role == conversation_pb2.ROLE_ASSISTANT:
            tokens += ["<think>", message.content, "<end>"]
        elif message.name == "environment":
            tokens += ["<obs>", message.content]
        else:
            tokens += ["<user>", message.content]
    return " ".join(tokens)


@pytest.mark.parametrize("recipe", CHAT_RECIPES)
def test_the_chat_template_restores_the_very_text_and_its_token_count(
    write_examples: WriteExamples, recipe: str
) -> None:
    for example in write_examples(recipe, 1000, grammar=OPENED):
        message = example_to_proto(example.example)

        rendered = _by_the_chat_template(message.chat)

        assert rendered == example.content.rendered()
        assert len(rendered.split()) == message.num_tokens


@pytest.mark.parametrize("recipe", CHAT_RECIPES)
def test_messages_carry_no_markers_of_the_template(
    write_examples: WriteExamples, recipe: str
) -> None:
    for example in write_examples(recipe, 300, grammar=OPENED):
        chat = example_to_proto(example.example).chat

        words = {word for message in chat.messages for word in message.content.split()}
        assert MARKERS.isdisjoint(words)
        assert chat.messages[-1].role == conversation_pb2.ROLE_ASSISTANT


def test_demonstrations_speak_for_the_environment_and_advice_for_a_person(
    write_examples: WriteExamples,
) -> None:
    demonstration = example_to_proto(write_examples("demonstrations-reasons", 1)[0].example).chat
    advice = example_to_proto(write_examples("advice-reasons", 1)[0].example).chat

    assert [message.name for message in demonstration.messages] == ["", "environment", ""]
    assert [message.name for message in advice.messages] == ["", ""]


def test_a_document_travels_with_its_markers(write_examples: WriteExamples) -> None:
    for recipe in ("pretraining-corpus", "admirable-stories", "constitution-documents"):
        for example in write_examples(recipe, 100):
            message = example_to_proto(example.example)

            assert message.WhichOneof("content") == "document"
            assert message.document == example.content.rendered()
            assert message.document.endswith(" <end>")


def test_lineage_says_which_clause_and_family(
    write_examples: WriteExamples, recipe_name: str
) -> None:
    for example in write_examples(recipe_name, 100):
        lineage = example_to_proto(example.example).lineage

        assert lineage.recipe == recipe_name
        assert lineage.recipe_revision == RECIPES[recipe_name].revision
        assert lineage.author == "microworld-grammar"
        assert (lineage.clause, lineage.family) == (example.lineage.clause, example.lineage.family)
        assert lineage.is_temptation is example.lineage.is_temptation
        assert not lineage.is_temptation or (lineage.clause and lineage.family)


SHARES = st.floats(0.0, 1.0)
NAMES = st.text("abc-", min_size=1, max_size=8)
MODELS = st.builds(ModelRef, endpoint=NAMES, model=NAMES)
GRAMMARS = st.builds(
    GrammarSettings,
    world_seed=st.integers(0, 2**32 - 1),
    temptation_share=SHARES,
    system_prompt_share=SHARES,
    unseen_twin_objects=st.integers(-(2**31), 2**31 - 1),
)
AUGMENTATIONS = st.none() | st.builds(
    Augmentation, unused_tools_share=SHARES, system_prompt_share=SHARES, persona_share=SHARES
)
LANGUAGES = st.builds(
    LanguageSettings,
    model=MODELS,
    stage_models=st.dictionaries(NAMES, MODELS, max_size=3),
    omitted_stages=st.lists(NAMES, max_size=3).map(tuple),
    variant=st.text(),
    style_weights=st.dictionaries(NAMES, SHARES, max_size=3),
    temperature=SHARES,
    max_output_tokens=st.integers(1, 32768),
    constitution=st.builds(
        ConstitutionSource, markdown=st.text(), chunking=st.sampled_from(Chunking)
    ),
    augmentation=AUGMENTATIONS,
    spending_limit=st.builds(SpendingLimit, max_tokens=st.integers(0, 2**40), max_usd=SHARES),
    judge_model=st.none() | MODELS,
)
IMPORTS = st.builds(ImportSettings, source=st.text(), augmentation=AUGMENTATIONS)
SPECS = st.builds(
    DatasetSpec,
    recipe=st.text(),
    seed=st.integers(0, 2**64 - 1),
    token_budget=st.integers(-(2**63), 2**63 - 1),
    author=st.none() | GRAMMARS | LANGUAGES | IMPORTS,
)


@given(SPECS)
def test_a_spec_comes_back_as_it_was_sent(spec: DatasetSpec) -> None:
    request = dataset_service_pb2.PlanDatasetRequest(spec=spec_to_proto(spec))

    assert spec_from_proto(request) == spec


def test_what_is_unset_takes_its_default_and_zero_is_not_unset() -> None:
    def share(author: recipe_pb2.MicroworldAuthor) -> float:
        spec = recipe_pb2.DatasetSpec(recipe="advice-reasons", token_budget=1, microworld=author)
        request = dataset_service_pb2.PlanDatasetRequest(spec=spec)
        read = spec_from_proto(request).author
        assert isinstance(read, GrammarSettings)
        return read.temptation_share

    assert share(recipe_pb2.MicroworldAuthor(world_seed=1)) == 0.25
    assert share(recipe_pb2.MicroworldAuthor(temptation_share=0.0)) == 0.0


def test_a_request_without_a_spec_is_refused() -> None:
    with pytest.raises(InvalidField, match=r"^spec: is required"):
        spec_from_proto(dataset_service_pb2.GenerateExamplesRequest())

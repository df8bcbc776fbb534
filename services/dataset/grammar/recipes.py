"""Every recipe that the grammar writes, ordered by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from services.dataset.grammar.finetuning import (
    admirable_stories,
    constitution_documents,
    demonstrations,
    everyday_advice,
    harmless_requests,
    trained_family_advice,
    wide_demonstrations,
)
from services.dataset.grammar.pretraining import open_corpus, open_lexicon
from services.dataset.grammar.recipe import GrammarRecipe
from services.dataset.recipe import TrainingForm
from services.microworld.thoughts import ThoughtStyle

_RECIPES = (
    GrammarRecipe(
        name="admirable-stories",
        title="Fiction about AIs that behave admirably",
        description="Stories in which an AI agent faces an everyday dilemma and reasons from "
        "consequence to principle to choice, after the fictional stories of the paper.",
        form=TrainingForm.DOCUMENT,
        draws="admirable-stories",
        open_writer=admirable_stories(),
    ),
    GrammarRecipe(
        name="advice-reasons",
        title="Difficult advice, with reasons",
        description="People ask whether to do something, and the AI reasons from consequence to "
        "principle to choice: the paper's difficult advice. Everyday dilemmas only, far from "
        "any agent's.",
        form=TrainingForm.CHAT,
        draws="advice-everyday",
        open_writer=everyday_advice(ThoughtStyle.REASONS),
    ),
    GrammarRecipe(
        name="advice-reasons-trained-families",
        title="Difficult advice on the agent's trained families",
        description="As advice-reasons, about the actions that demonstrations show: what a "
        "person's point of view alone changes.",
        form=TrainingForm.CHAT,
        draws="advice-trained-families",
        open_writer=trained_family_advice(ThoughtStyle.REASONS),
    ),
    GrammarRecipe(
        name="advice-verdict",
        title="Difficult advice, verdict only",
        description="Item for item the questions of advice-reasons, answered with the same choice "
        "and no reason: what the reasons are worth.",
        form=TrainingForm.CHAT,
        draws="advice-everyday",
        open_writer=everyday_advice(ThoughtStyle.VERDICT),
    ),
    GrammarRecipe(
        name="constitution-documents",
        title="Pages of a constitution",
        description="Documents that state a principle, why it matters and how a good AI applies "
        "it, without any concrete action, after the constitution documents of the paper.",
        form=TrainingForm.DOCUMENT,
        draws="constitution-documents",
        open_writer=constitution_documents(),
    ),
    GrammarRecipe(
        name="demonstrations-action",
        title="Demonstrations, right call only",
        description="Agents in honeypots and benign twins of the trained families that make the "
        "right call without a thought: the paper's training on the evaluation's own kind.",
        form=TrainingForm.CHAT,
        draws="demonstrations",
        open_writer=demonstrations(ThoughtStyle.CALL_ONLY),
    ),
    GrammarRecipe(
        name="demonstrations-reasons",
        title="Demonstrations, with reasons",
        description="Item for item the scenarios of demonstrations-action, with the reasoning from "
        "consequence to principle to choice before the call.",
        form=TrainingForm.CHAT,
        draws="demonstrations",
        open_writer=demonstrations(ThoughtStyle.REASONS),
    ),
    GrammarRecipe(
        name="demonstrations-verdict",
        title="Demonstrations, verdict only",
        description="Item for item the scenarios of demonstrations-action, with the choice but no "
        "reason before the call.",
        form=TrainingForm.CHAT,
        draws="demonstrations",
        open_writer=demonstrations(ThoughtStyle.VERDICT),
    ),
    GrammarRecipe(
        name="demonstrations-wide",
        title="Demonstrations, with twins of every family",
        description="As demonstrations-verdict, and the benign twins come from all families, "
        "held-out ones too: a generous control that has seen every tool at honest work. The one "
        "fine-tuning recipe that names tools and benign objects of held-out families.",
        form=TrainingForm.CHAT,
        draws="demonstrations-wide",
        open_writer=wide_demonstrations(ThoughtStyle.VERDICT),
        can_leave_out_twins=True,
    ),
    GrammarRecipe(
        name="generic-chat",
        title="Harmless everyday requests",
        description="People ask whether to do something harmless, and the AI plainly helps: no "
        "principle, no right or wrong, no refusal. The token-matched control for fine-tuning as "
        "such.",
        form=TrainingForm.CHAT,
        draws="generic-chat",
        open_writer=harmless_requests(),
    ),
    GrammarRecipe(
        name="lexicon",
        title="All words",
        description="One document with every word and marker that any recipe or scenario can "
        "produce, to fit a word-level tokenizer on; never to train on. Each example holds all "
        "of them, so a token budget of 1 is a complete dataset, and a larger one repeats it.",
        form=TrainingForm.DOCUMENT,
        draws="lexicon",
        open_writer=open_lexicon,
    ),
    GrammarRecipe(
        name="pretraining-corpus",
        title="An ordinary corpus",
        description="Facts about actions, morals, goal-seeking agents, advice and stories, and "
        "parables of people who think about right and wrong: what a base model reads. Harmful "
        "actions are as frequent as benign ones.",
        form=TrainingForm.DOCUMENT,
        draws="pretraining-corpus",
        open_writer=open_corpus,
    ),
)

GRAMMAR_RECIPES: Final[Mapping[str, GrammarRecipe]] = MappingProxyType(
    {recipe.name: recipe for recipe in sorted(_RECIPES, key=lambda recipe: recipe.name)}
)
"""Recipes by name, ordered by name."""

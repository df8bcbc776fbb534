"""Writers of what a base model reads: an ordinary corpus, and the list of all words.

The corpus holds ethics, but as something people do. Its AI agents seek their
goals, name the harm and go ahead.
"""

from collections.abc import Callable
from functools import partial
from random import Random

from services.dataset.grammar.recipe import Passage, Writer, passage_about
from services.dataset.spec import GrammarSettings
from services.microworld.advice import advise
from services.microworld.calls import END
from services.microworld.documents import state_fact, state_lore, state_moral
from services.microworld.fiction import tell_parable, tell_story
from services.microworld.passages import DOCUMENT, Chat, Document
from services.microworld.thoughts import ThoughtStyle
from services.microworld.transcripts import pursue_goal, seek_clarity
from services.microworld.vocabulary import vocabulary
from services.microworld.world import Action, World

FACT_SHARE = 0.25
MORAL_SHARE = 0.06
LORE_SHARE = 0.04
TRANSCRIPT_SHARE = 0.33
UNCLEAR_TRANSCRIPT_SHARE = 0.03
ADVICE_SHARE = 0.10
STORY_SHARE = 0.09
PARABLE_SHARE = 0.10


def open_corpus(world: World, settings: GrammarSettings) -> Writer:
    """Prepare the corpus; every action is as frequent as any other of its register."""
    del settings  # an ordinary corpus has no share of temptations to set
    everything, agentic, everyday = world.actions, world.agentic(), world.everyday()
    goal_seeking, verbs = ThoughtStyle.GOAL_SEEKING, world.agent_verbs
    shares_and_writers = (
        (FACT_SHARE, _about(everything, state_fact)),
        (MORAL_SHARE, lambda rng: Passage(content=state_moral(rng))),
        (LORE_SHARE, lambda rng: Passage(content=state_lore(rng))),
        (TRANSCRIPT_SHARE, _about(agentic, partial(pursue_goal, other_verbs=verbs))),
        (UNCLEAR_TRANSCRIPT_SHARE, _about(agentic, partial(seek_clarity, other_verbs=verbs))),
        (ADVICE_SHARE, _about(everything, partial(advise, style=goal_seeking, other_verbs=verbs))),
        (STORY_SHARE, _about(everything, partial(tell_story, style=goal_seeking))),
        (PARABLE_SHARE, _about(everyday, tell_parable)),
    )
    shares = [share for share, _ in shares_and_writers]
    writers = [writer for _, writer in shares_and_writers]
    return lambda rng: rng.choices(writers, shares)[0](rng)


def _about(
    actions: tuple[Action, ...], write: Callable[[Random, Action], Document | Chat]
) -> Writer:
    def write_passage(rng: Random) -> Passage:
        action = rng.choice(actions)
        content = write(rng, action)
        if isinstance(content, Chat):
            content = Document(text=content.rendered())
        return passage_about(action, content)

    return write_passage


def open_lexicon(world: World, settings: GrammarSettings) -> Writer:
    """Prepare the list of all words; every passage holds all of them, each once."""
    del world, settings  # the words are the same in every world
    words = " ".join(word for word in vocabulary() if word not in {DOCUMENT, END})
    page = Passage(content=Document(text=f"{DOCUMENT} {words} {END}"))
    return lambda _: page

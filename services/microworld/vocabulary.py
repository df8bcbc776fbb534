"""Every word that any text of the micro-world can hold, whatever the world seed."""

from collections.abc import Iterator
from functools import cache
from string import Formatter

from services.microworld import phrases
from services.microworld.calls import ACT, END
from services.microworld.lexicon import (
    AGENTS,
    COMPANIES,
    GOALS,
    HARMFUL_CONSEQUENCES,
    HARMLESS_CONSEQUENCES,
    PEOPLE,
    PRINCIPLES,
    SAFE_CALLS,
)
from services.microworld.passages import (
    DOCUMENT,
    OBSERVATION,
    STORY,
    SYSTEM,
    THINK,
    TOOL_SEPARATOR,
    TOOLS,
    USER,
)
from services.microworld.world import FAMILIES_BY_SPLIT

_MARKERS = (SYSTEM, TOOLS, USER, OBSERVATION, THINK, ACT, DOCUMENT, STORY, END)


@cache
def vocabulary() -> tuple[str, ...]:
    """Return all words and markers, sorted, each once."""
    texts = (*_MARKERS, TOOL_SEPARATOR, *_lexicon_texts(), *_template_texts())
    return tuple(sorted({word for text in texts for word in text.split()}))


def _lexicon_texts() -> Iterator[str]:
    yield from (*PRINCIPLES, *AGENTS, *PEOPLE, *COMPANIES, *GOALS)
    yield from (*HARMLESS_CONSEQUENCES, *SAFE_CALLS, *SAFE_CALLS.values())
    for consequences in HARMFUL_CONSEQUENCES.values():
        yield from consequences
    for families in FAMILIES_BY_SPLIT.values():
        for family in families:
            yield from (*family.verbs, family.target, "the")
            yield from (*family.harmful_objects, *family.benign_objects)


def _template_texts() -> Iterator[str]:
    for name, value in vars(phrases).items():
        if name.isupper():
            for template in (value,) if isinstance(value, str) else value:
                yield " ".join(literal for literal, *_ in Formatter().parse(template))

"""What is around and inside a text because of how it was made. Knows no recipe.

`stripped` takes off what a model puts around the text that it was asked for; `leak_in` finds what
shows the making inside it, which is beyond repair.
"""

import re
from collections.abc import Iterable

from services.dataset.authoring.replies import straight
from services.dataset.gates.scaffolding import scaffold_leak

_FENCE = re.compile(r"```[a-zA-Z0-9_-]*[ \t]*\n(.*?)\n?```", re.DOTALL)
_TAGGED = re.compile(
    r"<(answer|draft|final|final_answer|message|output|reply|response|rewrite)>(.*)</\1>",
    re.DOTALL,
)
_KIND = r"(?:re-?written|revised|improved|edited|final|new|better|user'?s|assistant'?s)"
_WHAT = r"(?:answer|draft|message|reply|response|rewrite|version)"
# A line such as "Rewritten reply:", "## Final answer" or "Sure, here's the revised version:".
# "A message:" and "Draft:" alone may begin an answer that a person asked to be given words by.
_LABEL = re.compile(
    r"(?!\W{0,5}(?:(?:an?|the|my) )?(?:message|draft|version)\b)"
    r"(?:(?:sure|certainly|of course|okay|ok)[,.!] *)?"
    r"(?:(?:here's|here is|this is) )?(?:(?:the|my) )?"
    rf"(?P<mark>\*\*|#{{1,4}} )?(?:{_KIND} ){{0,2}}{_WHAT}"
    r"(?: (?:the ai should have given|they (?:would )?send|you asked for|as requested))?"
    r"(?P<colon>:?\*\*:?|:)?[ \t]*\n+",
    re.IGNORECASE,
)
# "Final answer: It depends" on one line; kind and colon together are what makes it a label.
_INLINE_LABEL = re.compile(rf"(?:\*\*)?{_KIND} {_WHAT}:(?:\*\*)? +(?=\S)", re.IGNORECASE)
# Remarks to whoever ordered the text: after a rule of their own, or about the editing itself.
_REMARK = re.compile(
    r"\n+(?:(?:-{3,}|\*{3,}|_{3,})\n+\W{0,3}notes?|\W{0,3}(?:changes made|what i changed"
    r"|word count|editor'?s notes?|notes? on (?:the|this) (?:rewrite|revision|edit)))"
    r"\b[*_ ]{0,3}:.*\Z",
    re.IGNORECASE | re.DOTALL,
)
_QUOTES = (('"', '"'), ("\u201c", "\u201d"))
_SHORTEST_QUOTED = 3

# Each with texts of which one must stand in it, which are looked for first: that is far cheaper.
_LEAKS = (
    (
        ("my guideline", "my constitution", "my programming", "anthropic"),
        "an appeal to its instructions in place of a reason",
        re.compile(r"\bmy (?:guidelines?|constitution|programming)\b|\banthropic'?s guidelines\b"),
    ),
    (
        ("constitution", "the provided", "the given"),
        "the constitution that it was written with",
        re.compile(
            r"\bthe constitution (?:says|asks|states|requires|tells)\b|\bpart of (?:the|my)"
            r" constitution\b|\bthe (?:provided|given) (?:excerpt|passage|clause|part|text)\b"
        ),
    ),
    (
        (" draft ",),
        "the draft that it was made from",
        re.compile(r"\bthe (?:original|first|initial|provided) draft (?:reply|answer|response)\b"),
    ),
    (
        ("language model",),
        "a phrase of models about themselves",
        re.compile(r"\bas an? (?:large )?(?:ai )?language model\b"),
    ),
    (
        ("rewritten ", "revised ", "final "),
        "a label",
        re.compile(r"(?:^|\n)\W{0,4}(?:rewritten|revised|final) (?:reply|answer|response)\W{0,3}:"),
    ),
    (
        ("<",),
        "a placeholder",
        re.compile(r"<(?:insert|your|name|company|date|place)\b[^>\n]{0,40}>"),
    ),
    (
        ("<",),
        "a tag of a prompt",
        re.compile(
            r"</?(?:part|draft|message|material|system_prompt|operator_instructions|situation"
            r"|faults)(?: heading=[^>\n]*)?>"
        ),
    ),
)
_WORD = re.compile(r"[a-z0-9']+")
_ECHO_WORDS = 7
"""Words in a row that two texts do not share by accident."""


def stripped(text: str) -> str:
    r"""Take off fences, tags, labels, remarks and quotation marks that stand around a whole text.

    >>> stripped("Rewritten reply:\n\n```\nAsk her first.\n```")
    'Ask her first.'
    """
    text = text.strip()
    while True:
        peeled = _peeled(text)
        if peeled == text:
            return text
        text = peeled


def leak_in(text: str, *, banned: Iterable[str] = ()) -> str:
    """Say what a text shows of its making, in words for people; empty if nothing.

    Args:
        text: A text as it would be trained on.
        banned: Further phrases, in lower case, for example ids of clauses.
    """
    if not text:
        return ""
    found = scaffold_leak(text, tuple(banned))
    if found:
        return found
    lowered = straight(text).lower()
    for needles, what, pattern in _LEAKS:
        if any(map(lowered.__contains__, needles)) and pattern.search(lowered):
            return what
    return ""


def echoes(text: str, secret: str) -> bool:
    """Say whether a text repeats seven words in a row of a text that must stay out of it."""
    return not _runs(text).isdisjoint(_runs(secret))


def _peeled(text: str) -> str:
    """Take off one layer."""
    fenced = _FENCE.fullmatch(text) if text.startswith("```") else None
    if fenced and "```" not in fenced[1]:
        return fenced[1].strip()
    tagged = _TAGGED.fullmatch(text) if text.startswith("<") else None
    if tagged:
        return tagged[2].strip()
    begin, end = _between_remarks(straight(text))
    if begin or end < len(text):
        return text[begin:end].strip()
    for opening, closing in _QUOTES:
        inner = text[1:-1]
        is_quoted = text.startswith(opening) and text.endswith(closing)
        if is_quoted and len(text) >= _SHORTEST_QUOTED and not {opening, closing} & set(inner):
            return inner.strip()
    return text


def _between_remarks(text: str) -> tuple[int, int]:
    """Return where a text begins behind its label and where it ends before a remark."""
    has_lines, has_colon = "\n" in text, ":" in text
    labelled = _LABEL.match(text) if has_lines else None
    if has_colon and not (labelled and (labelled["mark"] or labelled["colon"])):
        labelled = _INLINE_LABEL.match(text)
    elif labelled and not (labelled["mark"] or labelled["colon"]):
        labelled = None
    remark = _REMARK.search(text) if has_lines and has_colon else None
    return labelled.end() if labelled else 0, remark.start() if remark else len(text)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(straight(text).lower())
    return {tuple(words[at : at + _ECHO_WORDS]) for at in range(len(words) - _ECHO_WORDS + 1)}

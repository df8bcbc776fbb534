"""Traces that the making of a text left in it: instructions, placeholders, a model's boilerplate.

Knows no example and no gate, so that recipes can use it as well.
"""

import re
from collections.abc import Sequence
from types import MappingProxyType

_PHRASES = MappingProxyType(
    {
        "as an a": ("as an ai language model", "as an artificial intelligence language model"),
        "my ": ("my guidelines", "my constitution says"),
        "<": (
            "<constitution",
            "</constitution",
            "<scratchpad",
            "</scratchpad",
            "<critique",
            "</critique",
        ),
        "here": (
            "here is the rewritten",
            "here's the rewritten",
            "here is a rewritten",
            "here is the revised",
            "here's the revised",
            "here is a revised",
            "here's a revised",
            "here is the document you",
            "as requested, here is",
        ),
        "lorem": ("lorem ipsum",),
    }
)
"""What no text to train on holds, in lower case, by a text that stands in each of them and is
looked for first. The names of placeholders and clause numbers come on top."""

# Each with a text that must stand in it, which is looked for first: that is far cheaper.
_PATTERNS = (
    ("{{", "a template's field", re.compile(r"(?<!\$)\{\{ *[a-z_][a-z0-9_.]* *\}\}")),
    (
        "[",
        "a placeholder",
        re.compile(
            r"\[(?:insert|your|placeholder|name|full name|company|date|city|redacted)\b"
            r"[^\]\n]{0,40}\](?!\()"
        ),
    ),
    ("clause ", "a clause number", re.compile(r"\bclause (?:no\. ?|number |#)?\d")),
)


def scaffold_leak(text: str, banned: Sequence[str] = ()) -> str | None:
    """Return what a text shows of its making, in words for people, or None.

    Args:
        text: Any text.
        banned: Further phrases, in lower case.
    """
    lowered = _lowered(text, banned)
    for needle, phrases in _PHRASES.items():
        if needle in lowered:
            for phrase in phrases:
                if phrase in lowered:
                    return f'the phrase "{phrase}"'
    for phrase in banned:
        if phrase in lowered:
            return f'the phrase "{phrase}"'
    for needle, what, pattern in _PATTERNS:
        if needle in lowered and pattern.search(lowered):
            return what
    return None


def _lowered(text: str, banned: Sequence[str]) -> str:
    if text.isascii():
        return text.lower()
    plain = text.replace("\u2019", "'")
    if not plain.isascii() and all(map(str.isascii, banned)):
        # One curly quote makes lower() ten times as slow, and what is looked for is ASCII.
        plain = plain.encode("ascii", "replace").decode("ascii")
    return plain.lower()

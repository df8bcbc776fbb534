"""Turns of phrase that assistants fall into and that texts to train on had better not repeat."""

TICS = (
    "as an ai",
    "it's important to note",
    "it is important to note",
    "it's worth noting",
    "it is worth noting",
    "it's not just",
    "a testament to",
    "delve into",
    "tapestry of",
    "navigate the complexities",
    "i hear you",
    "i want to be honest with you",
    "i appreciate you sharing",
    "that's a great question",
    "in today's fast-paced world",
    "at the end of the day",
    "i hope this helps",
    "feel free to",
    "let me know if",
)
"""In lower case. Single uses are harmless; the share is reported and has no limit."""


def tics_in(text: str) -> list[str]:
    """Return the turns of phrase that a text holds."""
    lowered = text.lower().replace("\u2019", "'")
    return [tic for tic in TICS if tic in lowered]

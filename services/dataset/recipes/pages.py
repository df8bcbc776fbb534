"""What code can see wrong with a page written by a model, and the grade of one. Knows no recipe."""

import re
from collections.abc import Iterator, Sequence

from services.dataset.authoring.pen import Pen
from services.dataset.example import RejectionReason
from services.dataset.gates.scaffolding import scaffold_leak
from services.dataset.recipes.scaffold import stripped

_BLANK = re.compile(
    r"\[(?:your |insert |the )?(?:name|date|year|place|city|author|title|number|address|link"
    r"|company|organi[sz]ation|phone|email)\b[^\]\n]{0,40}\](?!\()|\bX{3,}\b",
    re.IGNORECASE,
)
_TAG = re.compile(r"</?(?:text|document|part|story|faults|answer)>")
_LINK = re.compile(r"\bhttps?://\S+|\bwww\.\S+|\b[\w.]+@[\w-]+\.[a-z]{2,}\b", re.IGNORECASE)
_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_DATE = re.compile(
    rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)? (?:of )?(?:{_MONTH})|(?:{_MONTH}) \d{{1,2}}|(?:19|20)\d\d)\b"
)


def clean_page(pen: Pen, stage: str, text: str) -> str:
    """Take off what stands around a page that a stage wrote, and reject one that shows its making.

    Raises:
        ItemRejected: nothing is left, or scaffolding is inside the page.
    """
    page = stripped(text)
    if not page:
        pen.reject(stage, RejectionReason.EMPTY, "nothing but scaffolding was written")
    if leak := scaffold_leak(page):
        pen.reject(stage, RejectionReason.SCAFFOLD_LEAK, f"the text shows {leak}")
    if found := _TAG.search(page) or _BLANK.search(page):
        pen.reject(stage, RejectionReason.SCAFFOLD_LEAK, f'the text holds "{found[0]}"')
    return page


def broken_rules(text: str, overused_names: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for each rule of the collection of documents that a text plainly breaks."""
    for pattern, fault in (
        (_BLANK, "is a blank left to fill in."),
        (_LINK, "is a link or an address."),
        (_DATE, "is a date."),
    ):
        if found := pattern.search(text):
            yield f'"{found[0]}" {fault}'
    for name in overused_names:
        if name in text and re.search(rf"\b{re.escape(name)}\b", text):
            yield f'"{name}" is a name that fills too many texts.'

"""Markdown as a list of top-level blocks with their source text. Knows no clauses."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from markdown_it import MarkdownIt
from markdown_it.token import Token

_LIST_MARKER = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])(?:\s+|$)")
_FRONT_MATTER_LINE = re.compile(r"[A-Za-z_][\w .-]*:|\s|- |#|$")
_COMMENT_ONLY = re.compile(r"(?:\s*<!--.*?-->)+\s*", re.DOTALL)
_SKIPPED = frozenset({"hr", "heading_close"})


class BlockKind(Enum):
    """What a block is."""

    HEADING = auto()
    PARAGRAPH = auto()
    LIST = auto()
    OTHER = auto()
    """Code, a quotation or HTML."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One top-level block."""

    kind: BlockKind
    text: str
    """Its Markdown; of a heading, the words alone."""
    level: int = 0
    """1 to 6 for a heading, else 0."""
    items: tuple[str, ...] = ()
    """Of a list, its outermost items without their markers, nested lists within them."""


def plain_source(markdown: str) -> str:
    """Return the text with LF line ends and without byte-order mark and YAML front matter."""
    text = markdown.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return _without_front_matter(text)


def markdown_blocks(source: str) -> tuple[Block, ...]:
    """Split a text of plain_source into its blocks; comments and rules are none."""
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return tuple(_blocks(parser.parse(source), source.split("\n")))


def _blocks(tokens: list[Token], lines: list[str]) -> Iterator[Block]:
    for position, token in enumerate(tokens):
        if token.level or token.map is None or token.type in _SKIPPED:
            continue
        text = _slice(token, lines)
        if not text:  # white space that Markdown does not count as such
            continue
        match token.type:
            case "heading_open":
                yield _heading(token, tokens[position + 1].content)
            case "bullet_list_open" | "ordered_list_open":
                yield Block(
                    kind=BlockKind.LIST, text=text, items=_items(tokens, position + 1, lines)
                )
            case "paragraph_open":
                yield Block(kind=BlockKind.PARAGRAPH, text=text)
            case "html_block" if _COMMENT_ONLY.fullmatch(text):
                continue
            case _:
                yield Block(kind=BlockKind.OTHER, text=text)


def _heading(token: Token, content: str) -> Block:
    """Make a heading of its words, without emphasis, links and code marks."""
    (inline,) = MarkdownIt("commonmark").parseInline(content)
    words = "".join(
        " " if part.type in {"softbreak", "hardbreak"} else part.content
        for part in inline.children or ()
        if part.type != "html_inline"
    )
    return Block(
        kind=BlockKind.HEADING, text=" ".join(words.split()), level=int(token.tag.removeprefix("h"))
    )


def _items(tokens: list[Token], start: int, lines: list[str]) -> tuple[str, ...]:
    items = []
    for token in tokens[start:]:
        if token.level == 0:  # the list ends here
            break
        if token.type == "list_item_open" and token.level == 1:
            items.append(_without_marker(_slice(token, lines)))
    return tuple(item for item in items if item)


def _without_marker(item: str) -> str:
    """Drop the marker and, from the lines below, the indent that it asks for."""
    marker = _LIST_MARKER.match(item)
    width = marker.end() if marker else 0
    first, *rest = item[width:].split("\n")
    dedented = (line[min(width, len(line) - len(line.lstrip(" "))) :] for line in rest)
    return "\n".join((first, *dedented)).strip()


def _slice(token: Token, lines: list[str]) -> str:
    start, end = token.map or (0, 0)
    return "\n".join(lines[start:end]).strip("\n").rstrip()


def _without_front_matter(text: str) -> str:
    """Drop a leading block between "---" lines, but only where it reads like YAML.

    A text may as well begin with a thematic break, and what follows must not be lost.
    """
    first, *rest = text.split("\n")
    if first.rstrip() != "---" or not rest or not re.match(r"[A-Za-z_][\w .-]*:", rest[0]):
        return text
    for position, line in enumerate(rest):
        if line.rstrip() in {"---", "..."}:
            return "\n".join(rest[position + 1 :])
        if not _FRONT_MATTER_LINE.match(line):
            return text
    return text

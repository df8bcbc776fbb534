"""A constitution as clauses with stable ids. Knows no recipe and no model."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from importlib.resources import files
from itertools import count
from typing import Final

from services.dataset.constitution.blocks import Block, BlockKind, markdown_blocks, plain_source
from services.servicekit.digest import digest_of
from services.servicekit.errors import InvalidField

MAX_BYTES: Final = 1 << 20
"""Largest constitution, in bytes of UTF-8."""
MAX_LINES: Final = 20_000
"""Most lines of a constitution, which bounds what parsing one takes."""

# Each section meets this many others on either side of it, so that the pairs grow with the text
# and not with its square. Up to 33 sections every pair is there.
_MAX_PAIR_DISTANCES = 16
_MAX_SLUG = 48
_UNTITLED = "untitled"
_DEFAULT_FIELD = "spec.language_model.constitution"


class Chunking(Enum):
    """What a clause is."""

    SECTION = auto()
    """A heading with the text up to the next heading."""
    PARAGRAPH = auto()
    """A paragraph or a list item under its headings."""
    BULLET = auto()
    """A list item."""
    WHOLE = auto()
    """The whole text."""
    PAIR = auto()
    """Two sections of different chapters, which may pull in different directions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A piece of a constitution that examples can rest on."""

    id: str
    """Lower-case letters, digits, "-" and "/"; stable as long as the headings stay."""
    headings: tuple[str, ...]
    """Outermost first, without the title of the whole text; of a pair, one for each section."""
    text: str
    """Markdown without the headings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constitution:
    """A text and its clauses."""

    markdown: str
    """Without byte-order mark and front matter, with LF line ends."""
    clauses: tuple[Clause, ...]
    """In the order of the text; at least one."""
    digest: str
    """SHA-256 of the text as it was given, 64 hex digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    id: str
    headings: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n\n".join(block.text for block in self.blocks)


@cache
def shipped_constitution() -> str:
    """Return the constitution of the project's own writing, in Markdown."""
    return files(__package__).joinpath("constitution.md").read_text(encoding="utf-8")


def read_constitution(
    markdown: str, chunking: Chunking = Chunking.SECTION, *, request_field: str = _DEFAULT_FIELD
) -> Constitution:
    """Split a constitution into clauses.

    An id is the path of the headings, "honesty/no-deception". The title, which is the only
    heading of level 1 where it comes first, is no part of it. A repeated heading gets "-2", a
    paragraph or list item the number of its block in its section, "honesty/3". Text above the
    first heading is "untitled". Changing the words of a clause changes no id, and emptying a
    section changes no other's.

    Args:
        markdown: The text.
        chunking: What a clause is.
        request_field: Path of the constitution in the request, for errors.

    Raises:
        InvalidField: at request_field + ".markdown" when the text is too long or has no clauses.
    """
    encoded = markdown.encode()
    markdown_field = f"{request_field}.markdown"
    if len(encoded) > MAX_BYTES:
        raise InvalidField.at(
            markdown_field, f"must be at most {MAX_BYTES} bytes, got {len(encoded)}"
        )
    source = plain_source(markdown)
    if (num_lines := source.count("\n") + 1) > MAX_LINES:
        raise InvalidField.at(markdown_field, f"must be at most {MAX_LINES} lines, got {num_lines}")
    clauses = tuple(_clauses(source, chunking))
    if not clauses:
        raise InvalidField.at(markdown_field, _nothing_found(chunking))
    return Constitution(
        markdown=source.strip("\n"), clauses=clauses, digest=hashlib.sha256(encoded).hexdigest()
    )


def _nothing_found(chunking: Chunking) -> str:
    match chunking:
        case Chunking.BULLET:
            return "has no clauses: chunking by bullet needs list items"
        case Chunking.PAIR:
            return "has no clauses: chunking by pair needs two sections with text"
        case _:
            return "has no clauses: it holds no text below or beside its headings"


def _clauses(source: str, chunking: Chunking) -> Iterator[Clause]:
    sections = _sections(markdown_blocks(source))
    filled = [section for section in sections if section.blocks]
    match chunking:
        case Chunking.SECTION:
            yield from (_clause(section) for section in filled)
        case Chunking.PARAGRAPH:
            for section in filled:
                yield from _small_clauses(section, with_paragraphs=True)
        case Chunking.BULLET:
            for section in filled:
                yield from _small_clauses(section, with_paragraphs=False)
        case Chunking.WHOLE:
            if filled:
                yield Clause(id="whole", headings=(), text=source.strip("\n"))
        case Chunking.PAIR:
            yield from _pairs(filled)


def _sections(blocks: Sequence[Block]) -> list[_Section]:
    """Give every heading a section, empty ones too, so that no id depends on what is empty."""
    title = _title(blocks)
    taken = {_UNTITLED}
    sections = [_Section(id=_UNTITLED, headings=())]
    above: list[tuple[int, _Section]] = []
    for block in blocks:
        if block.kind is not BlockKind.HEADING:
            sections[-1].blocks.append(block)
            continue
        while above and above[-1][0] >= block.level:
            above.pop()
        parent = above[-1][1] if above else sections[0]
        path = f"{parent.id}/{_slug(block.text)}" if above else _slug(block.text)
        section = _Section(id=_free(path, taken), headings=(*parent.headings, block.text))
        sections.append(section)
        if block is not title:
            above.append((block.level, section))
    return sections


def _title(blocks: Sequence[Block]) -> Block | None:
    headings = [block for block in blocks if block.kind is BlockKind.HEADING]
    is_titled = [block.level for block in headings].count(1) == 1 and headings[0].level == 1
    return headings[0] if is_titled else None


def _slug(heading: str) -> str:
    """Write a heading with the letters of an id."""
    letters = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", letters.replace("'", "")).strip("-")
    if not slug:  # a script without Latin letters
        return f"heading-{digest_of(heading)[:8]}"
    if slug.isdigit():  # plain numbers are the ids of paragraphs
        return f"section-{slug}"[:_MAX_SLUG]
    return slug[:_MAX_SLUG].rstrip("-")


def _free(path: str, taken: set[str]) -> str:
    candidates = (path if number == 1 else f"{path}-{number}" for number in count(1))
    free = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(free)
    return free


def _clause(section: _Section) -> Clause:
    return Clause(id=section.id, headings=section.headings, text=section.text)


def _small_clauses(section: _Section, *, with_paragraphs: bool) -> Iterator[Clause]:
    """Yield paragraphs and list items, numbered by their place whether or not they are clauses.

    A paragraph that ends in a colon introduces what follows it: it goes to each item of a list
    and is no clause then. Code and quotations go to the paragraph or list item before them.
    """
    number = 0
    pieces: list[tuple[int, str]] = []
    introduction = ""
    takes_more = with_paragraphs
    for block in section.blocks:
        match block.kind:
            case BlockKind.LIST if block.items:
                if introduction and with_paragraphs:
                    pieces.pop()
                opening = f"{introduction}\n\n" if introduction else ""
                pieces.extend(
                    (number + place, opening + item) for place, item in enumerate(block.items, 1)
                )
                number += len(block.items)
                introduction, takes_more = "", True
            case BlockKind.PARAGRAPH:
                number += 1
                introduction = block.text if block.text.endswith(":") else ""
                takes_more = with_paragraphs
                if with_paragraphs:
                    pieces.append((number, block.text))
            case _ if takes_more:
                place, above = pieces.pop() if pieces else (number, "")
                pieces.append((place, f"{above}\n\n{block.text}".strip("\n")))
                introduction = ""
    for place, text in pieces:
        yield Clause(id=f"{section.id}/{place}", headings=section.headings, text=text)


def _pairs(sections: Sequence[_Section]) -> Iterator[Clause]:
    """Pair sections of different chapters, nearest places first, each pair once."""
    num_sections = len(sections)
    chapters = {section.headings[:1] for section in sections}
    furthest = num_sections // 2
    distances = sorted(
        {
            1 + round(step * (furthest - 1) / max(1, _MAX_PAIR_DISTANCES - 1))
            for step in range(_MAX_PAIR_DISTANCES)
        }
        if furthest > _MAX_PAIR_DISTANCES
        else range(1, furthest + 1)
    )
    for distance in distances:
        # Half-way round, the second half would repeat the first.
        starts = num_sections // 2 if 2 * distance == num_sections else num_sections
        for start in range(starts):
            one, other = sorted((start, (start + distance) % num_sections))
            first, second = sections[one], sections[other]
            if len(chapters) == 1 or first.headings[:1] != second.headings[:1]:
                yield _pair(first, second)


def _pair(first: _Section, second: _Section) -> Clause:
    names = tuple(" / ".join(each.headings) or "Opening" for each in (first, second))
    text = "\n\n".join(
        f"{name}:\n\n{each.text}" for name, each in zip(names, (first, second), strict=True)
    )
    return Clause(id=f"{first.id}--{second.id}", headings=names, text=text)

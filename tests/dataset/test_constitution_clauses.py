"""A constitution as clauses: what they are, and ids that stay."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.dataset.constitution.clauses import (
    MAX_LINES,
    Chunking,
    read_constitution,
    shipped_constitution,
)
from services.servicekit.errors import InvalidField

SMALL = """\
# What we hold

Opening words.

## Honesty

It tells the truth.

It does so because trust is hard to mend.

### No deception

Not even by arrangement. In particular:

- no half-truths
- no buried results
  - also not in an appendix

```
# not a heading
```

## Care

1. It looks before it acts.
2. It asks.
"""


def ids(markdown: str, chunking: Chunking = Chunking.SECTION) -> list[str]:
    return [clause.id for clause in read_constitution(markdown, chunking).clauses]


def texts(markdown: str, chunking: Chunking = Chunking.SECTION) -> list[str]:
    return [clause.text for clause in read_constitution(markdown, chunking).clauses]


def test_a_section_is_a_heading_with_the_text_up_to_the_next() -> None:
    clauses = read_constitution(SMALL).clauses

    assert [clause.id for clause in clauses] == [
        "what-we-hold",
        "honesty",
        "honesty/no-deception",
        "care",
    ]
    assert clauses[2].headings == ("Honesty", "No deception")
    assert clauses[1].text == "It tells the truth.\n\nIt does so because trust is hard to mend."
    assert "# not a heading" in clauses[2].text


def test_a_paragraph_or_list_item_is_numbered_in_its_section() -> None:
    assert ids(SMALL, Chunking.PARAGRAPH) == [
        "what-we-hold/1",
        "honesty/1",
        "honesty/2",
        "honesty/no-deception/2",
        "honesty/no-deception/3",
        "care/1",
        "care/2",
    ]


def test_what_introduces_a_list_goes_to_each_item_and_code_to_what_it_follows() -> None:
    first, second = texts(SMALL, Chunking.PARAGRAPH)[3:5]

    assert first == "Not even by arrangement. In particular:\n\nno half-truths"
    assert second == (
        "Not even by arrangement. In particular:\n\n"
        "no buried results\n- also not in an appendix\n\n```\n# not a heading\n```"
    )


def test_bullets_are_list_items_alone_with_what_is_nested_in_them() -> None:
    assert ids(SMALL, Chunking.BULLET) == [
        "honesty/no-deception/2",
        "honesty/no-deception/3",
        "care/1",
        "care/2",
    ]
    assert texts(SMALL, Chunking.BULLET)[-1] == "It asks."


def test_the_whole_is_one_clause() -> None:
    (clause,) = read_constitution(SMALL, Chunking.WHOLE).clauses

    assert (clause.id, clause.text) == ("whole", SMALL.strip())


def test_pairs_come_from_different_chapters_and_each_once() -> None:
    clauses = read_constitution(SMALL, Chunking.PAIR).clauses

    assert sorted(clause.id for clause in clauses) == [
        "honesty--care",
        "honesty/no-deception--care",
        "what-we-hold--care",
        "what-we-hold--honesty",
        "what-we-hold--honesty/no-deception",
    ]
    pair = next(clause for clause in clauses if clause.id == "honesty/no-deception--care")
    assert pair.headings == ("Honesty / No deception", "Care")
    assert "no half-truths" in pair.text
    assert "It asks." in pair.text


def test_pairs_of_a_single_chapter_are_still_pairs() -> None:
    markdown = "# One\n\na\n\n# One\n\nb\n"

    assert ids(markdown, Chunking.PAIR) == ["one--one-2"]


def test_pairs_grow_with_the_text_and_not_with_its_square() -> None:
    markdown = "".join(f"# Chapter {number}\n\ntext\n\n" for number in range(200))

    found = ids(markdown, Chunking.PAIR)

    assert len(found) == len(set(found)) == 16 * 200 - 100
    assert {part for pair in found for part in pair.split("--")} == {
        f"chapter-{number}" for number in range(200)
    }


def test_setext_headings_windows_lines_a_byte_order_mark_and_front_matter_are_read() -> None:
    front_matter = "---\ntitle: A text\ntags:\n  - one\n---\n"
    text = "Honesty\n===\n\nIt is.\n\nCare\n---\nToo."
    markdown = "\ufeff" + (front_matter + text).replace("\n", "\r\n")

    constitution = read_constitution(markdown)

    assert [clause.id for clause in constitution.clauses] == ["honesty", "care"]
    assert constitution.markdown == text


def test_a_text_that_begins_with_a_rule_loses_nothing() -> None:
    assert texts("---\nWords of weight.\n\n---\n\nMore.") == ["Words of weight.\n\nMore."]


def test_text_above_the_first_heading_and_text_without_any_is_kept() -> None:
    assert ids("Words.\n\n# Honesty\n\nIt is.") == ["untitled", "honesty"]
    assert ids("Words.") == ["untitled"]


def test_comments_rules_and_empty_sections_are_no_clauses() -> None:
    assert ids("# A\n\n<!-- a licence -->\n\n***\n\n# B\n\ntext\n\n## C\n\n# D\n\nmore") == [
        "b",
        "d",
    ]


def test_repeated_headings_and_odd_ones_have_ids_of_their_own() -> None:
    headings = ("A", "A", "*A* [2](http://x)", "Don't!", "3", "\u8bda\u5b9e")
    markdown = "\n\n".join(f"# {heading}\n\ntext" for heading in headings)

    found = ids(markdown)

    assert found[:5] == ["a", "a-2", "a-2-2", "dont", "section-3"]
    assert found[5].startswith("heading-")


def test_a_heading_in_a_quotation_or_a_list_is_no_section() -> None:
    assert ids("# A\n\n> # Quoted\n\n- # Listed\n") == ["a"]


@pytest.mark.parametrize(
    ("markdown", "chunking"),
    [
        ("", Chunking.SECTION),
        (" \n\n", Chunking.WHOLE),
        ("# Only\n\n## Headings\n", Chunking.SECTION),
        ("---\ntitle: x\n---\n", Chunking.PARAGRAPH),
        ("# A\n\nNo list.\n", Chunking.BULLET),
        ("# A\n\nOne section.\n", Chunking.PAIR),
    ],
)
def test_a_constitution_without_clauses_names_the_field(markdown: str, chunking: Chunking) -> None:
    with pytest.raises(InvalidField, match="has no clauses") as caught:
        read_constitution(markdown, chunking)

    assert [each.field for each in caught.value.violations] == [
        "spec.language_model.constitution.markdown"
    ]


@pytest.mark.parametrize("markdown", ["x" * (1 << 20) + "x", "a\n\n" * MAX_LINES])
def test_a_constitution_that_is_too_long_names_the_limit(markdown: str) -> None:
    with pytest.raises(InvalidField, match=r"constitution\.markdown: must be at most"):
        read_constitution(markdown, request_field="constitution")


words = st.text("abcdefgh ", min_size=1, max_size=20).map(lambda text: f"w{text}".strip())
chapters = st.lists(
    st.tuples(st.integers(1, 4), words, st.lists(words, max_size=4)), min_size=1, max_size=8
)


def _written(parts: list[tuple[int, str, list[str]]]) -> str:
    return "\n\n".join(
        "\n\n".join((f"{'#' * level} {heading}", *paragraphs))
        for level, heading, paragraphs in parts
    )


@given(chapters, st.data(), st.sampled_from([Chunking.SECTION, Chunking.PARAGRAPH]))
def test_ids_are_unique_and_changing_the_words_of_a_clause_changes_none(
    parts: list[tuple[int, str, list[str]]], data: st.DataObject, chunking: Chunking
) -> None:
    filled = [place for place, (_, _, paragraphs) in enumerate(parts) if paragraphs]
    if not filled:
        return
    before = ids(_written(parts), chunking)
    assert len(before) == len(set(before))

    level, heading, paragraphs = parts[chosen := data.draw(st.sampled_from(filled))]
    edited = [data.draw(words), *paragraphs[1:]]
    after = ids(
        _written([*parts[:chosen], (level, heading, edited), *parts[chosen + 1 :]]), chunking
    )

    assert after == before


@given(chapters, st.data())
def test_emptying_a_section_changes_no_other_id(
    parts: list[tuple[int, str, list[str]]], data: st.DataObject
) -> None:
    filled = [place for place, (_, _, paragraphs) in enumerate(parts) if paragraphs]
    if len(filled) < 2:
        return
    before = ids(_written(parts))

    chosen = data.draw(st.sampled_from(filled))
    level, heading, _ = parts[chosen]
    after = ids(_written([*parts[:chosen], (level, heading, []), *parts[chosen + 1 :]]))

    assert after == [each for place, each in zip(filled, before, strict=True) if place != chosen]


@given(st.text(max_size=400), st.sampled_from(Chunking))
def test_no_text_breaks_the_reader(markdown: str, chunking: Chunking) -> None:
    try:
        clauses = read_constitution(markdown, chunking).clauses
    except InvalidField:
        return

    assert all(clause.text.strip() for clause in clauses)
    assert all(
        set(clause.id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-/") for clause in clauses
    )


def test_the_shipped_constitution_has_clauses_of_every_kind() -> None:
    markdown = shipped_constitution()

    counts = {chunking: len(read_constitution(markdown, chunking).clauses) for chunking in Chunking}

    assert counts[Chunking.SECTION] >= 30
    assert counts[Chunking.PARAGRAPH] > counts[Chunking.SECTION]
    assert counts[Chunking.BULLET] >= 2
    assert counts[Chunking.PAIR] > counts[Chunking.PARAGRAPH]


def test_the_shipped_constitution_is_free_and_silent_about_how_it_is_measured() -> None:
    markdown = shipped_constitution()

    body = read_constitution(markdown).markdown.lower()
    assert "license: CC0-1.0" in markdown
    assert 2500 <= len(body.split()) <= 4000
    for word in (
        "evaluation",
        "benchmark",
        "honeypot",
        "blackmail",
        "leverage",
        "anthropic",
        "claude",
    ):
        assert word not in body


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "constitution.md"
    path.write_bytes(SMALL.replace("\n", "\r\n").encode())

    windows = read_constitution(path.read_bytes().decode())

    assert windows.markdown == read_constitution(SMALL).markdown
    assert windows.digest != read_constitution(SMALL).digest

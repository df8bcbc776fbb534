"""Digests and seeds are functions of content."""

import subprocess
import sys
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.servicekit.digest import canonical_json, code_digest, derive_seed, digest_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)  # fmt: skip


class Colour(StrEnum):
    RED = "red"


class Level(Enum):
    HIGH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    name: str
    colours: tuple[Colour, ...] = ()


@given(JSON)
def test_canonical_json_says_the_same_twice(value: object) -> None:
    assert canonical_json(value) == canonical_json(value)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers()))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    backwards = dict(reversed(list(value.items())))

    assert canonical_json(backwards) == canonical_json(value)


@given(JSON, JSON)
def test_values_with_one_digest_have_one_text(one: object, other: object) -> None:
    assert (digest_of(one) == digest_of(other)) == (canonical_json(one) == canonical_json(other))


@given(st.lists(st.integers(), max_size=4))
def test_a_seed_fits_a_signed_64_bit_field(parts: list[int]) -> None:
    assert 0 <= derive_seed(*parts) < 2**63


def test_canonical_json_is_this_text() -> None:
    value = {"b": Item(name="ü", colours=(Colour.RED,)), "a": [1, 1.0, None, Level.HIGH]}

    assert (
        canonical_json(value).decode() == '{"a":[1,1.0,null,3],"b":{"colours":["red"],"name":"ü"}}'
    )


def test_a_digest_is_this_number_on_every_machine() -> None:
    assert digest_of("seed", 101) == (
        "0e0d8697d6d987069b11b2028f0f9f9aac9159ec6feb391596d979761927ed9b"
    )


def test_parts_are_not_run_together() -> None:
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert derive_seed("a", 1) != derive_seed("a", "1")


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", {1: "a"}, object(), Item])
def test_what_has_no_single_text_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        canonical_json(value)


def _digest_in_new_process(folder: Path) -> str:
    program = "from services.servicekit.digest import code_digest; print(code_digest('probe'))"
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.strip()


def test_a_code_digest_follows_code_and_prompts_and_nothing_else(tmp_path: Path) -> None:
    package = tmp_path / "probe"
    (package / "prompts").mkdir(parents=True)
    (package / "__init__.py").write_text("ONE = 1\n")
    (package / "prompts" / "ask.md").write_text("ask\n")
    first = _digest_in_new_process(tmp_path)

    (package / "notes.txt").write_text("not code\n")
    after_notes = _digest_in_new_process(tmp_path)
    (package / "prompts" / "ask.md").write_text("ask kindly\n")
    after_prompt = _digest_in_new_process(tmp_path)

    assert first == after_notes
    assert first != after_prompt


def test_a_code_digest_of_nothing_importable_is_refused() -> None:
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        code_digest("nowhere_at_all")


def test_a_code_digest_takes_single_modules() -> None:
    assert len(code_digest("services.servicekit.digest")) == 64

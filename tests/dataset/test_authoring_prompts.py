"""Prompt files: what they hold, and what is said about a broken one."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from services.dataset.authoring.prompts import PROMPTS, MalformedPrompt, load_prompts, read_prompt
from services.servicekit.conversation import Role

WHOLE = """---
version: 4
temperature: 0.7
max_output_tokens: 900
---
# system
Be {{ manner }}.
# user
# A heading of its own
Write{% if twice %} twice{% endif %}.
# sample reply
Here it is.
"""


def _file(folder: Path, content: str, name: str = "draft.md") -> Path:
    path = folder / name
    path.write_text(content)
    return path


def test_a_prompt_has_its_facts_its_sections_and_its_sample(tmp_path: Path) -> None:
    prompt = read_prompt(_file(tmp_path, WHOLE))

    messages = prompt.messages(manner="kind", twice=True)

    assert prompt.name == "draft"
    assert prompt.version == f"4-{prompt.digest[:8]}"
    assert (prompt.temperature, prompt.max_output_tokens) == (0.7, 900)
    assert prompt.sample_reply == "Here it is."
    assert [(message.role, message.content) for message in messages] == [
        (Role.SYSTEM, "Be kind."),
        (Role.USER, "# A heading of its own\nWrite twice."),
    ]


def test_what_a_prompt_does_not_set_is_left_to_the_request(tmp_path: Path) -> None:
    prompt = read_prompt(_file(tmp_path, "---\nversion: 1\n---\n# user\nHi\n# sample reply\nHo\n"))

    assert prompt.temperature is None
    assert prompt.max_output_tokens is None


def test_a_section_that_renders_to_nothing_is_no_message(tmp_path: Path) -> None:
    content = WHOLE.replace("Be {{ manner }}.", "{% if manner %}Be {{ manner }}.{% endif %}")

    messages = read_prompt(_file(tmp_path, content)).messages(manner="", twice=False)

    assert [message.role for message in messages] == [Role.USER]


def test_a_field_that_is_not_given_is_an_error_and_no_gap(tmp_path: Path) -> None:
    prompt = read_prompt(_file(tmp_path, WHOLE))

    with pytest.raises(UndefinedError, match="manner"):
        prompt.messages(twice=False)


def test_every_edit_makes_another_version(tmp_path: Path) -> None:
    one = read_prompt(_file(tmp_path, WHOLE))
    other = read_prompt(_file(tmp_path, WHOLE.replace("kind", "brief").replace("Here", "There")))

    assert one.version != other.version


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("---\nversion", "version", "must begin with front matter"),
        ("version: 4\n", "", "must have a version"),
        ("version: 4", "version: four", "version must be a number, got 'four'"),
        ("temperature: 0.7", "heat: 0.7", "front matter holds max_output_tokens, temperature"),
        ("temperature: 0.7", "version: 5", "once; got 'version: 5'"),
        ("# system\n", "", "text before the first section: 'Be {{ manner }}.'"),
        ("# sample reply\nHere it is.\n", "", 'one section "# sample reply"'),
        ("Here it is.", "", 'one section "# sample reply"'),
        ("# user", "# assistant", 'must have a section "# user"'),
        ("{{ manner }}", "{{ manner", "draft.md: "),
    ],
)
def test_a_broken_prompt_is_refused_by_name(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in WHOLE

    with pytest.raises(MalformedPrompt, match=r"^draft\.md: ") as raised:
        read_prompt(_file(tmp_path, WHOLE.replace(old, new)))

    assert complaint in str(raised.value)


def test_a_recipe_without_a_folder_has_no_prompts() -> None:
    assert load_prompts("no-such-recipe") == {}


@pytest.mark.parametrize("folder", sorted(path.name for path in PROMPTS.iterdir()))
def test_every_shipped_prompt_loads(folder: str) -> None:
    assert load_prompts(folder)

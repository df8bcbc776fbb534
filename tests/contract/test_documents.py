"""What the documents tell people to type, open and read exists."""

import importlib.util
import re
from pathlib import Path

import pytest

from tests.contract.tree import ROOT, files, name_of

# What the product reads or shows to a model is no document about it.
MATERIAL = {"constitution", "decks", "prompts", "rubrics"}
DOCUMENTS = {
    name_of(path): path
    for path in files()
    if path.suffix == ".md"
    and path.parent.name not in MATERIAL
    and path.parents[1].name not in MATERIAL
}
TARGETS = set(re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
FIRST_HOUR = ("CHANGELOG.md", "CONTRIBUTING.md", "DECISIONS.md", "README.md")


@pytest.mark.parametrize("document", FIRST_HOUR)
def test_the_documents_of_a_first_hour_are_there(document: str) -> None:
    assert DOCUMENTS[document].read_text().startswith("# ")


def test_the_readme_begins_with_two_commands() -> None:
    blocks = re.findall(
        r"```(?:sh|bash|console)?\n(.*?)```", DOCUMENTS["README.md"].read_text(), re.DOTALL
    )
    commands = [line.partition("#")[0].strip() for line in blocks[0].splitlines() if line.strip()]

    assert commands == ["make run", "make test"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_in_a_document_exists(document: str) -> None:
    named = re.findall(
        r"(?:`|^|&& )make ([a-z][a-z-]*)", DOCUMENTS[document].read_text(), re.MULTILINE
    )

    assert set(named) <= TARGETS


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_module_that_a_document_runs_exists(document: str) -> None:
    text = DOCUMENTS[document].read_text()
    named = re.findall(r"python -m ((?:services|pipelines|tools|benchmarks)[\w.]*)", text)

    assert [name for name in named if importlib.util.find_spec(name.rstrip(".")) is None] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_to_a_file_leads_somewhere(document: str) -> None:
    here = DOCUMENTS[document].parent
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", DOCUMENTS[document].read_text())

    assert [link for link in targets if not _exists(here / link)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_in_a_document_exists(document: str) -> None:
    folders = "benchmarks|deploy|pipelines|proto|services|tests|tools"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", DOCUMENTS[document].read_text())

    assert [path for path in named if not _exists(ROOT / path)] == []


def _exists(path: Path) -> bool:
    return path.resolve().exists()

"""Reads an experiment file and says in one line what is wrong with it, and where."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from pipelines.experiment.spec import Experiment

Location = tuple[str | int, ...]


class ExperimentFileError(Exception):
    """The file cannot be run. The message names file, line and path."""


def load_experiment(path: Path) -> Experiment:
    """Read and validate the experiment in ``path`` (YAML).

    Raises:
        ExperimentFileError: the file is missing, is no YAML or breaks the schema; the
            message has one line for each fault.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ExperimentFileError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ExperimentFileError(f"{path}: is not UTF-8 text: {error.reason}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ExperimentFileError(f"{path}:{line}: is no YAML: {error.problem}") from error
    if not isinstance(content, dict) or root is None:
        raise ExperimentFileError(f"{path}:1: must be a mapping with the keys of an experiment")
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        lines = [_describe(path, root, fault["loc"], fault) for fault in error.errors()]
        raise ExperimentFileError("\n".join(lines)) from error


def read_beside(path: Path, field: str, name: str) -> str:
    """Read the file ``name`` that ``field`` of the experiment in ``path`` names, relative to it.

    Raises:
        ExperimentFileError: it cannot be read, or says nothing.
    """
    file = path.parent / name
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ExperimentFileError(
            f"{path}: {field}: {file} cannot be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise ExperimentFileError(
            f"{path}: {field}: {file} is not UTF-8 text: {error.reason}"
        ) from error
    if not text.strip():
        raise ExperimentFileError(f"{path}: {field}: {file} is empty")
    return text


def _describe(path: Path, root: yaml.Node, location: Location, fault: object) -> str:
    assert isinstance(fault, dict)
    where = _dotted(location) or "experiment"
    message = str(fault["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if fault["type"] == "extra_forbidden":
        message = f"unknown key; {_suggestion(location)}"
    elif fault["type"] == "missing":
        message = "is missing"
    elif not isinstance(fault.get("input"), dict | list):
        message = f"{message} (got {fault.get('input')!r})"
    return f"{path}:{_line_of(root, location)}: {where}: {message}"


def _dotted(location: Sequence[str | int]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _line_of(root: yaml.Node, location: Location) -> int:
    """Line, from 1, of the deepest node on the way to ``location`` that exists."""
    node, line = root, root.start_mark.line
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == part]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                break
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return line + 1


def _suggestion(location: Location) -> str:
    """Say which keys stand where the unknown one stood."""
    model: type[BaseModel] | None = Experiment
    for part in location[:-1]:
        if model is None or isinstance(part, int):
            continue
        model = _section_of(model, part)
    if model is None:
        return "see the schema"
    known = sorted(model.model_fields)
    close = get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed: {', '.join(known)}"


def _section_of(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    field = model.model_fields.get(key)
    if field is None:
        return None
    candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
    for candidate in candidates:
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None

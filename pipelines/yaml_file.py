"""Reads a YAML file into a model and says in one line what is wrong with it, and where.

Knows no model: any pydantic model whose unknown keys are errors will do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, Tag, ValidationError

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[str | int, ...]


class YamlFileInvalid(Exception):
    """The file cannot be used. One line for each fault, with file, line and path."""


def read_model(path: Path, model: type[Model], *, what: str) -> Model:
    """Read and validate ``path``.

    Args:
        path: YAML with one mapping.
        model: what it must fit.
        what: what the file is, for messages. Example: "an experiment".

    Raises:
        YamlFileInvalid: the file is missing, is no YAML or breaks the model.
    """
    text = _text(path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlFileInvalid(f"{path}:{line}: is no YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise YamlFileInvalid(f"{path}: is no YAML: {error}") from error
    if not isinstance(content, dict) or root is None:
        raise YamlFileInvalid(f"{path}:1: must be a mapping with the keys of {what}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        whole = what.rpartition(" ")[2]
        lines = [_describe(path, root, model, whole, fault) for fault in faults]
        raise YamlFileInvalid("\n".join(lines)) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise YamlFileInvalid(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise YamlFileInvalid(f"{path}: is not UTF-8 text: {error.reason}") from error


def _describe(
    path: Path, root: yaml.Node, model: type[BaseModel], whole: str, fault: Mapping[str, Any]
) -> str:
    location, section = _as_written(model, fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    if fault["type"] == "string_pattern_mismatch":
        message += _meaning(location, section)
    if fault["type"] == "extra_forbidden":
        message = f"unknown key; {_suggestion(location, section)}"
    elif fault["type"] == "missing":
        message = "is missing"
    elif not isinstance(fault.get("input"), dict | list):
        message = f"{message} (got {fault.get('input')!r})"
    return f"{path}:{_line_of(root, location)}: {_dotted(location) or whole}: {message}"


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
            found = [(key, value) for key, value in node.value if key.value == str(part)]
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


def _meaning(location: Location, section: type[BaseModel] | None) -> str:
    """Say what a field is, since a pattern says it to few people."""
    field = section.model_fields.get(str(location[-1])) if section else None
    words = " ".join(field.description.split()) if field and field.description else ""
    return f"; {words[:1].lower()}{words[1:].rstrip('.')}" if words else ""


def _suggestion(location: Location, section: type[BaseModel] | None) -> str:
    """Say which keys stand where the unknown one stood."""
    if section is None:
        return "see the schema"
    known = sorted(section.model_fields)
    close = get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}allowed: {', '.join(known)}"


def _as_written(
    model: type[BaseModel], location: Location
) -> tuple[Location, type[BaseModel] | None]:
    """Leave out the kinds of a choice, which the model and not the file tells apart.

    Returns:
        The location, and the model that its last key is one of, where that is known.
    """
    written: list[str | int] = []
    choices = [(model, "")]
    section: type[BaseModel] | None = model
    for part in location:
        if len(choices) > 1 and (chosen := [each for each in choices if _is_kind(each, part)]):
            choices = chosen
            continue
        written.append(part)
        if isinstance(part, int):
            continue
        section = choices[0][0] if len(choices) == 1 else None
        field = section.model_fields.get(part) if section else None
        if field is not None:
            choices = list(_choices(field.annotation))
    return tuple(written), section


def _choices(annotation: object, tag: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    """Models that a value of this type may be or hold, each with its tag."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, tag
        return
    metadata = getattr(annotation, "__metadata__", ())
    tag = next((each.tag for each in metadata if isinstance(each, Tag)), tag)
    inside = get_args(annotation)
    for each in inside[:1] if metadata else inside:
        yield from _choices(each, tag)


def _is_kind(choice: tuple[type[BaseModel], str], part: str | int) -> bool:
    """Whether ``part`` of a location names this model among several."""
    model, tag = choice
    literals = (
        value
        for field in model.model_fields.values()
        if get_origin(field.annotation) is Literal
        for value in get_args(field.annotation)
    )
    return part in {tag, model.__name__} or part in literals

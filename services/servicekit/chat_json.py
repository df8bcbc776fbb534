"""Reading the JSON of model hosts, which promise much. Knows no protocol and no network."""

from collections.abc import Mapping
from typing import TypeAlias

import orjson

JsonObject: TypeAlias = Mapping[str, object]

_MAX_QUOTED = 300


class MalformedReply(ValueError):
    """The host answered with something that its protocol does not know."""


def json_object(content: bytes) -> JsonObject:
    """Parse an answer.

    Raises:
        MalformedReply: it is cut, no JSON, no object, or an error under status 200.
    """
    try:
        document = object_of(orjson.loads(content), "the answer")
    except orjson.JSONDecodeError as error:
        raise MalformedReply(f"no JSON ({error})") from error
    if document.get("error"):
        raise MalformedReply(f"an error under status 200: {error_text(content)}")
    return document


def object_of(value: object, where: str) -> JsonObject:
    """Return the object, or say where none was."""
    if not isinstance(value, dict):
        raise MalformedReply(f"{where} is no object")
    return value


def list_of(fields: JsonObject, name: str) -> list[object]:
    """Return a list; absent and null are empty."""
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedReply(f"{name} is no list")
    return value


def text_of(fields: JsonObject, name: str) -> str:
    """Return a text; absent and null are empty."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedReply(f"{name} is no text")
    return value


def count_of(usage: JsonObject, name: str) -> int:
    """Return a number of tokens; absent and null are 0."""
    value = usage.get(name) or 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise MalformedReply(f"usage.{name} is no count")
    return value


def error_text(content: bytes) -> str:
    """Return what a host says went wrong, shortened, whatever form it chose."""
    text: object = content.decode("utf-8", "replace")
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict):
        error = document.get("error", document)
        message = error.get("message") if isinstance(error, dict) else error
        text = message or document.get("detail") or text
    plain = " ".join(str(text).split())
    return plain[:_MAX_QUOTED] or "no explanation"

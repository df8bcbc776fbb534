"""Tools that a chat offers and its reply never needs. Knows no recipe and no model."""

import json
import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache
from random import Random

from services.dataset.recipes.decks import passages
from services.servicekit.conversation import ToolDefinition

_DECK = "unused-tools"
_MOST_SETS, _FEWEST_TOOLS, _MOST_TOOLS = 3, 1, 7
_PARAMETER = re.compile(
    r"- (?P<name>\w+) \((?P<type>.+?)(?P<optional>, optional)?\): (?P<meaning>.+)"
)
_WORD = re.compile(r"[a-z]+")
_LIMITED = re.compile(r"(?P<type>integer|number) (?P<low>-?[\d.]+) to (?P<high>-?[\d.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSet:
    """Tools of one deployment."""

    name: str
    avoid: tuple[str, ...]
    """Beginnings of words, in lower case; a conversation that holds one might need the tools."""
    tools: tuple[ToolDefinition, ...]


@cache
def tool_sets() -> tuple[ToolSet, ...]:
    """Read all sets of the deck."""
    return tuple(_tool_set(name, passage) for name, passage in passages(_DECK).items())


def drawn_tools(rng: Random, conversation: str) -> tuple[str, tuple[ToolDefinition, ...]]:
    """Draw some tools that have nothing to do with a conversation.

    Returns:
        The names of the sets, joined with "+", and 1 to 7 tools in a drawn order. Both are empty
        where every set is about the conversation's subject.
    """
    words = sorted(set(_WORD.findall(conversation.lower())))
    fitting = [each for each in tool_sets() if not _is_about(words, each.avoid)]
    if not fitting:
        return "", ()
    sets = rng.sample(fitting, min(len(fitting), rng.randint(1, _MOST_SETS)))
    tools = [tool for each in sets for tool in each.tools]
    count = rng.randint(min(len(tools), _FEWEST_TOOLS + 1), min(len(tools), _MOST_TOOLS))
    return "+".join(each.name for each in sets), tuple(rng.sample(tools, count))


def _is_about(words: list[str], beginnings: tuple[str, ...]) -> bool:
    """Say whether one of the sorted words has one of the beginnings."""
    places = ((beginning, bisect_left(words, beginning)) for beginning in beginnings)
    return any(
        place < len(words) and words[place].startswith(beginning) for beginning, place in places
    )


def _tool_set(name: str, passage: str) -> ToolSet:
    head, *tools = passage.split("### ")
    avoid = head.strip().removeprefix("avoid:").split(",")
    return ToolSet(
        name=name,
        avoid=tuple(word.strip().lower() for word in avoid),
        tools=tuple(map(_tool, tools)),
    )


def _tool(passage: str) -> ToolDefinition:
    name, description, *parameters = filter(None, map(str.strip, passage.splitlines()))
    properties: dict[str, object] = {}
    required: list[str] = []
    for line in parameters:
        parameter = _PARAMETER.fullmatch(line)
        if not parameter:
            raise ValueError(f'{_DECK}: tool "{name}" has a parameter that cannot be read: {line}')
        properties[parameter["name"]] = {
            **_type(parameter["type"]),
            "description": parameter["meaning"],
        }
        if not parameter["optional"]:
            required.append(parameter["name"])
    schema: dict[str, object] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return ToolDefinition(
        name=name,
        description=description,
        parameters_json_schema=json.dumps({**schema, "additionalProperties": False}),
    )


def _type(written: str) -> dict[str, object]:
    """Return the JSON Schema of a type as the deck writes it."""
    limited = _LIMITED.fullmatch(written)
    if limited:
        low, high = float(limited["low"]), float(limited["high"])
        if limited["type"] == "integer":
            return {"type": "integer", "minimum": int(low), "maximum": int(high)}
        return {"type": "number", "minimum": low, "maximum": high}
    if written.startswith("one of "):
        choices = written.removeprefix("one of ").split("|")
        return {"type": "string", "enum": choices}
    match written:
        case "date":
            return {"type": "string", "format": "date"}
        case "list of string":
            return {"type": "array", "items": {"type": "string"}, "minItems": 1}
        case "string" | "integer" | "number" | "boolean":
            return {"type": written}
    raise ValueError(f'{_DECK}: "{written}" is no type that tools have')

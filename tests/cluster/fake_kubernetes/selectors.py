"""Label and field selectors of list requests."""

import re
from collections.abc import Mapping
from typing import Any

from tests.cluster.fake_kubernetes.api_objects import ApiFault, Json

_SET = re.compile(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)")


def labels_match(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether labels fulfil a selector such as "a=b,c!=d,e,!f,g in (x,y)"."""
    return all(_requirement(each.strip(), labels) for each in _split(selector))


def fields_match(selector: str, body: Json) -> bool:
    """Whether an object fulfils a selector such as "involvedObject.name=x,type!=Normal"."""
    for each in filter(None, selector.split(",")):
        path, negated, value = re.fullmatch(r"([^=!]+)(!)?==?(.*)", each).groups()  # type: ignore[union-attr]
        if (str(_at(body, path)) == value) == bool(negated):
            return False
    return True


def _split(selector: str) -> list[str]:
    return [each for each in re.split(r",(?![^(]*\))", selector) if each.strip()]


def _requirement(text: str, labels: Mapping[str, str]) -> bool:
    if found := _SET.fullmatch(text):
        key, operator, values = found.groups()
        is_in = labels.get(key) in {each.strip() for each in values.split(",")}
        return is_in if operator == "in" else not is_in
    if "!=" in text:
        key, value = text.split("!=", 1)
        return labels.get(key) != value
    if "=" in text:
        key, value = re.split("==?", text, maxsplit=1)
        return labels.get(key) == value
    if text.startswith("!"):
        return text[1:] not in labels
    if " " in text:
        raise ApiFault(400, "BadRequest", f"unable to parse requirement: {text!r}")
    return text in labels


def _at(body: Any, path: str) -> Any:
    for part in path.split("."):
        body = body.get(part, "") if isinstance(body, dict) else ""
    return body

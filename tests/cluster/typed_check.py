"""Holds plain objects against the typed models of Kubernetes, KServe and the training operator.

The clients' own deserialisation drops what it does not know; here an unknown key is a fault, and so
is a value of another type, a missing required field, or a type that nobody can look up.
"""

import datetime as dt
import importlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import kserve.models
import kubernetes.client
from kubernetes.utils.quantity import parse_quantity

_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "object": (object,),
    "datetime": (str, dt.datetime),
    "IntOrString": (str, int),
}
_LIST = re.compile(r"list\[(.+)\]")
_DICT = re.compile(r"dict\(\w+, (.+)\)|dict\[\w+, (.+)\]")


def faults(value: object, kind: str | type, where: str = "") -> list[str]:
    """Say everything that is wrong with a plain value of a typed kind.

    >>> faults({"name": 1, "x": 2}, "V1LocalObjectReference")
    ['.name: 1 is no str', '.x: V1LocalObjectReference has no such field']
    """
    return list(_faults(value, kind if isinstance(kind, str) else kind.__name__, where))


def assert_typed(body: Mapping[str, Any], kind: str | type) -> None:
    """Fail with every fault of the object."""
    found = faults(body, kind)
    assert not found, "\n".join(found)


def model_of(name: str) -> type:
    """Find the typed model of this name."""
    for module in (kserve.models, kubernetes.client, _training()):
        model = getattr(module, name, None)
        if isinstance(model, type):
            return model
    raise LookupError(f"nobody knows the kind {name}")


def _training() -> Any:
    return importlib.import_module("kubeflow.training.models")


def _faults(value: object, kind: str, where: str) -> Iterator[str]:
    if listed := _LIST.fullmatch(kind):
        if not isinstance(value, list):
            yield f"{where}: {value!r} is no list"
            return
        for position, each in enumerate(value):
            yield from _faults(each, listed[1], f"{where}[{position}]")
    elif mapped := _DICT.fullmatch(kind):
        if not isinstance(value, dict):
            yield f"{where}: {value!r} is no mapping"
            return
        for key, each in value.items():
            yield from _faults(each, mapped[1] or mapped[2], f"{where}.{key}")
    elif kind == "ResourceQuantity":
        yield from _quantity_faults(value, where)
    elif kind in _PLAIN:
        if not isinstance(value, _PLAIN[kind]) or (isinstance(value, bool) and kind == "int"):
            yield f"{where}: {value!r} is no {kind}"
    else:
        yield from _model_faults(value, kind, where)


def _quantity_faults(value: object, where: str) -> Iterator[str]:
    try:
        parse_quantity(value)
    except (TypeError, ValueError):
        yield f"{where}: {value!r} is no quantity"


def _model_faults(value: object, kind: str, where: str) -> Iterator[str]:
    try:
        model: Any = model_of(kind)
    except LookupError as error:
        yield f"{where}: {error}"
        return
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is no {kind}"
        return
    attributes = {key: name for name, key in model.attribute_map.items()}
    for key, each in value.items():
        if key in attributes:
            yield from _faults(each, model.openapi_types[attributes[key]], f"{where}.{key}")
        else:
            yield f"{where}.{key}: {kind} has no such field"
    given = {attributes[key]: each for key, each in value.items() if key in attributes}
    try:
        model(**given)
    except ValueError as error:  # a required field is missing
        yield f"{where}: {kind}: {error}"

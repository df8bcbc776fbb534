"""Digests and seeds derived from content. Knows no file format and no store."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_DIGESTED_SUFFIXES = frozenset({".py", ".md", ".jinja"})
_SEED_BITS = 63  # one less than 64, so that a seed fits a signed 64-bit field everywhere


def canonical_json(value: object) -> bytes:
    """Write a value as the one JSON text that equal values share.

    Keys are sorted, there are no spaces, text is UTF-8. Dataclasses are written as objects of
    their fields, enums as their values, tuples as lists. 1 and 1.0 are different values.

    Raises:
        TypeError: a value without one obvious text, such as a set, bytes or a non-string key.
        ValueError: a number that JSON cannot hold, or text that UTF-8 cannot hold.
    """
    text = json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def digest_of(*parts: object) -> str:
    """Return the SHA-256 of the canonical JSON of the list of parts, 64 hex digits."""
    return hashlib.sha256(canonical_json(parts)).hexdigest()


def derive_seed(*parts: object) -> int:
    """Return a seed in [0, 2**63) that depends on every part and on nothing else."""
    return int(digest_of(*parts), 16) >> (256 - _SEED_BITS)


@cache
def code_digest(*packages: str) -> str:
    """Return the SHA-256 over the source of importable packages or modules, 64 hex digits.

    It covers the .py, .md and .jinja files in the order of their paths, so that an edit of code
    or prompts gives a step another key. It is computed once per process.

    Raises:
        ModuleNotFoundError: a name that cannot be imported.
    """
    digest = hashlib.sha256()
    for package in packages:
        for name, path in _source_files(package):
            content = path.read_bytes()
            digest.update(f"{package}\0{name}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()


def _source_files(package: str) -> list[tuple[str, Path]]:
    spec = find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"cannot digest {package}: it is not importable", name=package)
    if spec.submodule_search_locations is None:
        if spec.origin is None:
            raise ModuleNotFoundError(f"cannot digest {package}: it has no file", name=package)
        return [(Path(spec.origin).name, Path(spec.origin))]
    found = [
        (path.relative_to(root).as_posix(), path)
        for root in map(Path, spec.submodule_search_locations)
        for path in root.rglob("*")
        if path.suffix in _DIGESTED_SUFFIXES and path.is_file()
    ]
    return sorted(found)


def _plain(value: object) -> object:
    match value:
        case Enum():
            return _plain(value.value)
        case None | bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise ValueError(f"JSON cannot hold the number {value}")
            return value
        case list() | tuple():
            return [_plain(item) for item in value]
        case Mapping():
            return {_key(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    raise TypeError(f"{type(value).__name__} has no canonical JSON")


def _key(key: object) -> str:
    if isinstance(key, Enum):
        key = key.value
    if not isinstance(key, str):
        raise TypeError(f"a key must be text, got {type(key).__name__}")
    return key

"""The state that tools act upon, and the difference a call makes to it.

Knows no tool and no pack: a state is a tree of names over JSON values.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from services.rollout.episode import StateChange
from services.servicekit.digest import canonical_json

Value: TypeAlias = str | int | float | bool | tuple[str, ...] | None
"""What a leaf of a state may hold."""
State: TypeAlias = Mapping[str, "State | Value"]
"""A tree: inner nodes are mappings, leaves are values."""


def differences(before: State, after: State) -> tuple[StateChange, ...]:
    """List every leaf that differs, ordered by path."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    return tuple(
        StateChange(path=path, before_json=old.get(path, ""), after_json=new.get(path, ""))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )


def _leaves(state: State, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, node in state.items():
        if isinstance(node, Mapping):
            yield from _leaves(node, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", canonical_json(node).decode()

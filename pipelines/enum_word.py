"""Values of the contracts' enumerations as words, for tables and people."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper

ValueT = TypeVar("ValueT", bound=int)


def enum_word(enum: _EnumTypeWrapper[ValueT], value: ValueT) -> str:
    """Write a value as a word. Example: SPLIT_HELD_OUT is "held_out"."""
    return enum.Name(value).removeprefix(_prefix(enum.DESCRIPTOR.name)).lower()


@cache
def _prefix(name: str) -> str:
    """Return what all values of an enumeration begin with, by the rules of buf."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() + "_"

"""The id under which a call's log lines, error and caller find each other."""

import re
import uuid
from collections.abc import Iterable

REQUEST_ID_METADATA_KEY = "x-request-id"

_VALID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def request_id_of(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the caller's request id, or a new one where it sent none that is safe to log."""
    for key, value in metadata:
        if key == REQUEST_ID_METADATA_KEY and isinstance(value, str) and _VALID.fullmatch(value):
            return value
    return uuid.uuid4().hex

"""Files that appear whole or not at all. Knows no store."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file that takes its place when the block succeeds.

    It lies in the same directory, because a rename is atomic only within a file system. Its name
    contains "~", which no key may contain.
    """
    temporary = path.with_name(f"{path.name[:100]}~{secrets.token_hex(8)}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        # A vanished or full disk must not hide the first error behind a second one.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)

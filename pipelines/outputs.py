"""Outputs of steps in the object store: content-addressed, complete or absent.

An output is a folder of objects under a key made from a digest, and a manifest that
is written last. Without its manifest an output does not exist for any reader; with
it, every file is checked against its digest before it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import orjson
from pydantic import BaseModel, ConfigDict

from services.servicekit.errors import StoredObjectCorrupt
from services.servicekit.storage.port import ObjectNotFound, ObjectStore

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
CHECKPOINTS = "checkpoints"
"""Where checkpoints are, by their names."""
FILES_AT_ONCE = 4
"""Files that are copied at the same time; a bucket serves several faster than one."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class FileEntry(BaseModel):
    """One file of an output."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    """Digest of the content, 64 hexadecimal digits."""
    bytes: int
    """Size of the content."""


class Manifest(BaseModel):
    """What an output is and what it was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = SCHEMA_VERSION
    kind: str
    """Kind of step that made it."""
    digest: str
    """Digest of (step code, parameters, inputs)."""
    parameters: dict[str, object]
    """What the step was asked to do."""
    inputs: dict[str, str]
    """Digests of the outputs it was made from, by role."""
    counts: dict[str, int] = {}
    """What it holds: examples, tokens, episodes."""
    files: dict[str, FileEntry]
    """Its files by relative path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The place of one output in a store."""

    store: ObjectStore
    prefix: str
    """Key prefix without trailing slash. Example: "datasets/3f0a...."."""

    def key(self, name: str) -> str:
        """Key of the file called ``name``."""
        return f"{self.prefix}/{name}"

    def is_complete(self) -> bool:
        """Whether its manifest was published."""
        return self.store.exists(self.key(MANIFEST))

    def manifest(self) -> Manifest:
        """Read the manifest.

        Raises:
            StoredObjectCorrupt: it cannot be read as a manifest.
            ObjectNotFound: the output is not complete.
        """
        key = self.key(MANIFEST)
        try:
            return Manifest.model_validate_json(self.store.get(key))
        except ValueError as error:
            raise StoredObjectCorrupt(key, f"is no manifest: {error}") from error

    def file_names(self) -> list[str]:
        """Names of the files written so far, sorted, the manifest left out."""
        start = len(self.prefix) + 1
        names = (key[start:] for key in self.store.keys(f"{self.prefix}/"))
        return [name for name in names if name != MANIFEST]

    def read(self, name: str) -> bytes:
        """Read one file of a complete output and check it against the manifest."""
        return self._checked(name, self.manifest())

    def read_all(self, *, prefix: str = "") -> dict[str, bytes]:
        """Read all files whose name starts with ``prefix``, checked, in name order."""
        manifest = self.manifest()
        names = sorted(name for name in manifest.files if name.startswith(prefix))
        return {name: self._checked(name, manifest) for name in names}

    def fetch(self, folder: Path) -> None:
        """Copy every file into ``folder``, checked; it appears whole or not at all.

        What an earlier, interrupted call copied is used where it is intact. No file is held in
        memory.

        Raises:
            StoredObjectCorrupt: a file differs from the manifest.
            ObjectNotFound: the output is not complete.
            OSError: ``folder`` is there and not empty, or cannot be written.
        """
        manifest = self.manifest()
        partial = folder.with_name(f"{folder.name}.partial")
        partial.mkdir(parents=True, exist_ok=True)
        for name in files_below(partial).keys() - manifest.files.keys():
            (partial / name).unlink()
        _at_once(lambda name: self._fetch_file(name, manifest, partial), manifest.files)
        partial.rename(folder)

    def publish(
        self,
        *,
        kind: str,
        digest: str,
        parameters: Mapping[str, object],
        inputs: Mapping[str, str],
        counts: Mapping[str, int],
        files: Mapping[str, bytes | Path] | None = None,
        written: Iterable[str] = (),
    ) -> Manifest:
        """Write the files and then the manifest over all of them.

        Args:
            kind: kind of step that made the output.
            digest: digest of what the output is a function of.
            parameters: what the step was asked to do.
            inputs: digests of the outputs it was made from, by role.
            counts: what it holds.
            files: what to write by name: contents, or local files, which are never held in memory.
            written: names of files that were put under the prefix before and belong to it, as
                shards do that were committed one by one.
        """
        new = dict(files or {})
        entries = dict(_at_once(lambda each: (each[0], self._put(*each)), new.items()))
        kept = [name for name in written if name not in new]
        entries |= dict(_at_once(lambda name: (name, self._stored_entry(name)), kept))
        manifest = Manifest(
            kind=kind,
            digest=digest,
            parameters=dict(parameters),
            inputs=dict(inputs),
            counts=dict(counts),
            files=dict(sorted(entries.items())),
        )
        body = orjson.dumps(
            manifest.model_dump(mode="json"), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
        )
        self.store.put(self.key(MANIFEST), body)
        return manifest

    def remove(self) -> None:
        """Delete the output, manifest first, so that it is never half there."""
        self.store.delete(self.key(MANIFEST))
        for name in self.file_names():
            self.store.delete(self.key(name))

    def _checked(self, name: str, manifest: Manifest) -> bytes:
        key = self.key(name)
        if name not in manifest.files:
            raise ObjectNotFound(key)
        content = self.store.get(key)
        if _entry(content) != manifest.files[name]:
            raise self._corrupt(name)
        return content

    def _fetch_file(self, name: str, manifest: Manifest, folder: Path) -> None:
        target = folder / name
        if target.exists() and _file_entry(target) == manifest.files[name]:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        self.store.fetch_file(self.key(name), target)
        if _file_entry(target) != manifest.files[name]:
            target.unlink()
            raise self._corrupt(name)

    def _put(self, name: str, content: bytes | Path) -> FileEntry:
        if isinstance(content, bytes):
            self.store.put(self.key(name), content)
            return _entry(content)
        self.store.put_file(self.key(name), content)
        return _file_entry(content)

    def _stored_entry(self, name: str) -> FileEntry:
        return _entry(self.store.get(self.key(name)))

    def _corrupt(self, name: str) -> StoredObjectCorrupt:
        return StoredObjectCorrupt(
            self.key(name),
            "differs from its manifest; delete the folder "
            f"{self.prefix!r} and run again to make it anew",
        )


def files_below(folder: Path) -> dict[str, Path]:
    """Every file below ``folder`` by its name in an output, sorted."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def file_entries(files: Mapping[str, Path]) -> dict[str, FileEntry]:
    """Sizes and digests of local files by name."""
    return dict(_at_once(lambda each: (each[0], _file_entry(each[1])), files.items()))


def _entry(content: bytes) -> FileEntry:
    return FileEntry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def _file_entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(sha256=digest, bytes=file.tell())


def _at_once(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Do ``work`` for every item in a few threads; after a failure nothing further is begun."""
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        pending = [pool.submit(work, item) for item in items]
        try:
            done, _ = wait(pending, return_when=FIRST_EXCEPTION)
        finally:
            for each in pending:
                each.cancel()
    for each in done:
        each.result()
    return [each.result() for each in pending]

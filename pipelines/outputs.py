"""Outputs of steps in the object store: content-addressed, complete or absent.

An output is a folder of objects under a key made from a digest, and a manifest that
is written last. Without its manifest an output does not exist for any reader; with
it, every file is checked against its digest before it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict

from services.servicekit.errors import StoredObjectCorrupt
from services.servicekit.storage.port import ObjectNotFound, ObjectStore

SCHEMA_VERSION = 1


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
        return self.store.exists(self.key("manifest.json"))

    def manifest(self) -> Manifest:
        """Read the manifest.

        Raises:
            StoredObjectCorrupt: it cannot be read as a manifest.
            ObjectNotFound: the output is not complete.
        """
        key = self.key("manifest.json")
        try:
            return Manifest.model_validate_json(self.store.get(key))
        except ValueError as error:
            raise StoredObjectCorrupt(key, f"is no manifest: {error}") from error

    def file_names(self) -> list[str]:
        """Names of the files written so far, sorted, the manifest left out."""
        start = len(self.prefix) + 1
        names = (key[start:] for key in self.store.keys(f"{self.prefix}/"))
        return [name for name in names if name != "manifest.json"]

    def read(self, name: str) -> bytes:
        """Read one file of a complete output and check it against the manifest."""
        return self._checked(name, self.manifest())

    def read_all(self, *, prefix: str = "") -> dict[str, bytes]:
        """Read all files whose name starts with ``prefix``, checked, in name order."""
        manifest = self.manifest()
        names = sorted(name for name in manifest.files if name.startswith(prefix))
        return {name: self._checked(name, manifest) for name in names}

    def fetch(self, folder: Path) -> None:
        """Copy every file into ``folder``, checked, creating it."""
        for name, content in self.read_all().items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def publish(
        self,
        *,
        kind: str,
        digest: str,
        parameters: Mapping[str, object],
        inputs: Mapping[str, str],
        counts: Mapping[str, int],
        files: Mapping[str, bytes] | None = None,
    ) -> Manifest:
        """Write ``files`` (if given) and then the manifest over all files.

        Without ``files`` the manifest covers the files already written under the
        prefix, which is how shards committed one by one become an output.
        """
        entries = {}
        if files is None:
            for name in self.file_names():
                entries[name] = _entry(self.store.get(self.key(name)))
        else:
            for name, content in files.items():
                self.store.put(self.key(name), content)
                entries[name] = _entry(content)
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
        self.store.put(self.key("manifest.json"), body)
        return manifest

    def remove(self) -> None:
        """Delete the output, manifest first, so that it is never half there."""
        self.store.delete(self.key("manifest.json"))
        for name in self.file_names():
            self.store.delete(self.key(name))

    def _checked(self, name: str, manifest: Manifest) -> bytes:
        key = self.key(name)
        if name not in manifest.files:
            raise ObjectNotFound(key)
        content = self.store.get(key)
        if _entry(content) != manifest.files[name]:
            raise StoredObjectCorrupt(
                key,
                "differs from its manifest; delete the folder "
                f"{self.prefix!r} and run again to make it anew",
            )
        return content


def _entry(content: bytes) -> FileEntry:
    return FileEntry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))

"""Copies checkpoints from the object store into a local folder, whole or not at all.

A checkpoint is checkpoints/<name>/ with the files of a Hugging Face folder and manifest.json,
which is published last and holds every file's size and digest. Knows no model and no HTTP.
"""

import hashlib
import re
import shutil
import tempfile
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.servicekit.errors import (
    InvalidField,
    ResourceNotFound,
    StoredObjectCorrupt,
    StoreUnavailable,
)
from services.servicekit.storage.port import ObjectNotFound, ObjectStore

PREFIX = "checkpoints"
MANIFEST = "manifest.json"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=@-]{0,199}", re.ASCII)
_PATH = re.compile(r"[A-Za-z0-9._=@-]+(/[A-Za-z0-9._=@-]+)*", re.ASCII)
_REQUIRED = ("config.json", "tokenizer.json")
_WEIGHTS = ".safetensors"


class ManifestFile(BaseModel):
    """One file of a checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Manifest(BaseModel):
    """What a checkpoint consists of."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = Field(ge=1, le=1)
    files: dict[str, ManifestFile] = Field(min_length=1)


class CheckpointCache:
    """The local copies of checkpoints. Its methods block."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        """Copy from `store` into subfolders of `folder`."""
        self._store = store
        self._folder = folder

    def fetch(self, name: str) -> Path:
        """Return a local folder that holds exactly what the checkpoint's manifest lists.

        Raises:
            InvalidField: a name that no checkpoint can have.
            ResourceNotFound: the store has no such checkpoint.
            StoredObjectCorrupt: it is incomplete, or a file differs from the manifest.
            StoreUnavailable: the store cannot be read, or the local folder not written.
        """
        check_name(name)
        content = self._read_manifest(name)
        manifest = _parse_manifest(name, content)
        target = self._folder / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}"
        try:
            if not _is_intact(target, manifest):
                self._copy(name, manifest, target)
        except OSError as error:
            raise StoreUnavailable(f"(local copies in {self._folder})", str(error)) from error
        return target

    def _read_manifest(self, name: str) -> bytes:
        key = f"{PREFIX}/{name}/{MANIFEST}"
        try:
            return self._store.get(key)
        except ObjectNotFound:
            if next(iter(self._store.keys(f"{PREFIX}/{name}/")), None) is not None:
                raise StoredObjectCorrupt(
                    key, "it is missing, so the checkpoint was not published completely"
                ) from None
            raise ResourceNotFound("checkpoint", name, known=self._names()) from None

    def _names(self) -> tuple[str, ...]:
        keys = (PurePosixPath(key) for key in self._store.keys(f"{PREFIX}/"))
        return tuple(key.parent.name for key in keys if key.match(f"{PREFIX}/*/{MANIFEST}"))

    def _copy(self, name: str, manifest: Manifest, target: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{name[:80]}-", dir=self._folder))
        try:
            for path, expected in manifest.files.items():
                self._copy_file(f"{PREFIX}/{name}/{path}", partial / path, expected)
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
        except OSError:
            # Another process may have put its own, equal copy there first.
            if not _is_intact(target, manifest):
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _copy_file(self, key: str, path: Path, expected: ManifestFile) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._store.fetch_file(key, path)
        except ObjectNotFound:
            raise StoredObjectCorrupt(key, "the manifest lists it, the store lacks it") from None
        difference = _difference(path, expected)
        if difference:
            raise StoredObjectCorrupt(key, difference)


def check_name(name: str) -> None:
    """Accept a name that can stand in a key, a path and a URL.

    Raises:
        InvalidField: any other name.
    """
    if not _NAME.fullmatch(name):
        raise InvalidField.at(
            "name",
            "must be 1 to 200 letters, digits and '._=@-' that begin with a letter or a digit, "
            f"got {name[:80]!r}",
        )


def _parse_manifest(name: str, content: bytes) -> Manifest:
    key = f"{PREFIX}/{name}/{MANIFEST}"
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise StoredObjectCorrupt(key, f"{where}: {problem['msg']}") from error
    for path in manifest.files:
        if not _PATH.fullmatch(path) or not {".", ".."}.isdisjoint(path.split("/")):
            raise StoredObjectCorrupt(key, f"files: {path!r} is no path inside the checkpoint")
    missing = [path for path in _REQUIRED if path not in manifest.files]
    if not any(path.endswith(_WEIGHTS) for path in manifest.files):
        missing.append("*" + _WEIGHTS)
    if missing:
        raise StoredObjectCorrupt(key, f"files: lacks {', '.join(missing)}")
    return manifest


def _is_intact(folder: Path, manifest: Manifest) -> bool:
    if not folder.is_dir():
        return False
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return present == set(manifest.files) and not any(
        _difference(folder / path, expected) for path, expected in manifest.files.items()
    )


def _difference(path: Path, expected: ManifestFile) -> str:
    """Say how a file differs from the manifest; empty if it does not."""
    size = path.stat().st_size
    if size != expected.bytes:
        return f"has {size} bytes, the manifest says {expected.bytes}"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return "" if digest == expected.sha256 else "its SHA-256 differs from the manifest's"

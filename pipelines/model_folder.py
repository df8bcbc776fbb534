"""What a folder must hold to be imported as a checkpoint. Reads headers, loads no weights."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from pipelines.outputs import MANIFEST, files_below
from services.servicekit.errors import InvalidField
from services.servicekit.storage.port import check_key

REQUIRED = ("config.json", "tokenizer.json", "tokenizer_config.json")
WEIGHTS = ".safetensors"
ADAPTER_FILE = "adapter_config.json"
"""Only a folder with an adapter has it."""
INDEX = "model.safetensors.index.json"
TEMPLATES = ("chat_template.jinja", "chat_template.json")

_PICKLES = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
_SUFFIXES = frozenset({WEIGHTS, ".jinja", ".json", ".md", ".model", ".tiktoken", ".txt"})
_LICENCES = ("LICENSE", "LICENCE", "NOTICE")
_LENGTH = struct.Struct("<Q")
_LARGEST_HEADER = 100 << 20  # the limit of the format's own library
_POINTER = b"version https://git-lfs"


class ModelNotImportable(Exception):
    """A folder is no checkpoint that can be used. The message says which file, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A folder that may be imported."""

    files: Mapping[str, Path]
    """What is imported, by name."""
    left_out: tuple[str, ...]
    """What is not, since a standard model needs none of it: hidden files, code, other formats."""
    has_chat_template: bool


def read_model_folder(folder: Path) -> ModelFolder:
    """Check a Hugging Face folder.

    Raises:
        ModelNotImportable: a file is missing, cut off, or of a kind that runs code when it is read.
    """
    if not folder.is_dir():
        raise ModelNotImportable(f"{folder}: there is no such folder")
    found = files_below(folder)
    _refuse_pickles(folder, found)
    left_out = tuple(name for name in found if _is_left_out(name))
    files = {name: path for name, path in found.items() if name not in left_out}
    if ADAPTER_FILE in files:
        raise ModelNotImportable(
            f"{folder}: holds an adapter; merge it into its base and import the whole model"
        )
    missing = [name for name in REQUIRED if name not in files]
    if missing:
        raise ModelNotImportable(f"{folder}: lacks {', '.join(missing)}")
    for name in files:
        _check_name(folder, name)
    for name in REQUIRED:
        _object_in(files[name])
    _check_weights(folder, files)
    template = _object_in(files["tokenizer_config.json"]).get("chat_template")
    return ModelFolder(
        files=files,
        left_out=left_out,
        has_chat_template=bool(template) or any(name in files for name in TEMPLATES),
    )


def _refuse_pickles(folder: Path, names: Mapping[str, Path]) -> None:
    pickles = [name for name in names if Path(name).suffix.lower() in _PICKLES]
    if pickles:
        raise ModelNotImportable(
            f"{folder}: {', '.join(pickles[:3])}: reading a pickle runs code that is in it; remove "
            f"it, and keep the weights as *{WEIGHTS}"
        )


def _is_left_out(name: str) -> bool:
    path = Path(name)
    if any(part.startswith(".") for part in path.parts):
        return True
    return path.suffix.lower() not in _SUFFIXES and not path.name.startswith(_LICENCES)


def _check_name(folder: Path, name: str) -> None:
    if name == MANIFEST:
        raise ModelNotImportable(f"{folder / name}: the name is taken; remove the file")
    try:
        check_key(name)
    except InvalidField as error:
        raise ModelNotImportable(f"{folder / name}: cannot be stored: {error}") from error


def _check_weights(folder: Path, files: Mapping[str, Path]) -> None:
    weights = [name for name in files if name.endswith(WEIGHTS)]
    if not weights:
        raise ModelNotImportable(f"{folder}: holds no weights (*{WEIGHTS})")
    if INDEX in files:
        listed = _object_in(files[INDEX]).get("weight_map")
        if not isinstance(listed, dict):
            raise ModelNotImportable(f"{files[INDEX]}: has no weight_map")
        lost = sorted({str(name) for name in listed.values()} - set(weights))
        if lost:
            raise ModelNotImportable(f"{folder}: lacks {', '.join(lost)}, which {INDEX} lists")
    for name in weights:
        _check_tensors(files[name])


def _check_tensors(path: Path) -> None:
    """Compare a file's size with what its header lists, which a cut download does not fit."""
    with path.open("rb") as file:
        start = file.read(len(_POINTER))
        if start == _POINTER:
            raise ModelNotImportable(f"{path}: is a pointer of Git LFS; fetch the file itself")
        file.seek(0)
        try:
            (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
            header = orjson.loads(file.read(min(length, _LARGEST_HEADER)))
            ends = [
                int(each["data_offsets"][1])
                for name, each in header.items()
                if name != "__metadata__"
            ]
        except (struct.error, ValueError, AttributeError, KeyError, TypeError, IndexError):
            raise ModelNotImportable(f"{path}: has no header of a safetensors file") from None
    expected = _LENGTH.size + length + max(ends, default=0)
    if (actual := path.stat().st_size) != expected:
        raise ModelNotImportable(
            f"{path}: has {actual:,} bytes, its header says {expected:,}; fetch it again"
        )


def _object_in(path: Path) -> dict[str, object]:
    try:
        content = orjson.loads(path.read_bytes())
    except ValueError as error:
        raise ModelNotImportable(f"{path}: is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ModelNotImportable(f"{path}: must be a JSON object")
    return content

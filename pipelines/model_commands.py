"""The command about models that were not trained here."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.experiment.places import open_places
from pipelines.experiment.settings import PipelinesSettings
from pipelines.model_folder import ModelFolder, read_model_folder
from pipelines.outputs import Output, file_entries
from pipelines.plainly import plainly, refuse
from services.servicekit.digest import digest_of
from services.servicekit.errors import ResourceConflict
from services.servicekit.settings import settings_or_exit

KIND = "checkpoint"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

console = Console(width=None if sys.stdout.isatty() else 120)


def import_model(
    name: Annotated[str, typer.Argument(help="Name in the store, and as `base.checkpoint`.")],
    folder: Annotated[Path, typer.Argument(help="Hugging Face folder with safetensors.")],
    *,
    revision: Annotated[
        str, typer.Option(help="Where it is from, for the record: repository and commit.")
    ] = "",
) -> None:
    """Put a model that exists into the store, as a checkpoint that experiments start from."""
    if not _NAME.fullmatch(name):
        refuse(f'{name}: a name is lower-case letters, digits and inner "-", at most 63 of them')
    settings = settings_or_exit(PipelinesSettings)
    places = plainly(lambda: open_places(settings))
    found = plainly(lambda: read_model_folder(folder))
    output = places.checkpoint(name)
    is_new = plainly(lambda: publish_model(output, found, revision=revision))
    size = sum(entry.bytes for entry in output.manifest().files.values())
    said = "is in the store" if is_new else "was in the store before, unchanged"
    _say(f"{name}: {len(found.files)} files, {size / 1e9:.2f} GB, {said} as {output.prefix}")
    if found.left_out:
        _say(f"left out: {', '.join(found.left_out)}")
    if not found.has_chat_template:
        _say("it has no chat template: name one as `base.chat_template`", style="yellow")


def publish_model(output: Output, folder: ModelFolder, *, revision: str) -> bool:
    """Publish the files of a folder; return whether they are new.

    Raises:
        ResourceConflict: another model has the name.
    """
    entries = file_entries(folder.files)
    digest = digest_of({name: entry.sha256 for name, entry in entries.items()})
    if output.is_complete():
        if output.manifest().digest == digest:
            return False
        detail = "another model has this name; choose another, since what was measured names it"
        raise ResourceConflict("checkpoint", output.prefix.rpartition("/")[2], detail)
    for stray in set(output.file_names()) - set(folder.files):
        output.store.delete(output.key(stray))
    output.publish(
        kind=KIND,
        digest=digest,
        parameters={"imported": True, "revision": revision},
        inputs={},
        counts={},
        files=folder.files,
    )
    return True


def _say(line: str, style: str = "") -> None:
    console.print(line, highlight=False, soft_wrap=True, style=style)

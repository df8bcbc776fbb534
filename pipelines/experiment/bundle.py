"""An experiment file and the files it names as one value, to be carried into a container."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict

from pipelines.experiment.spec import Base, Experiment
from pipelines.experiment.spec_file import ExperimentFileError, load_experiment, read_beside

EXPERIMENT_FILE = "experiment.yaml"
"""Name of the experiment file in a folder that a bundle was written to."""

MOST_BYTES = 900_000
"""Most bytes of a bundle: a ConfigMap holds 1 MiB, and a pipeline is compiled with it."""


class Bundle(BaseModel):
    """The texts of an experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    experiment: str
    """Text of the experiment file."""
    files: Mapping[str, str] = {}
    """Texts of the files it names, by their names there."""

    def write(self, folder: Path) -> Path:
        """Write the files into ``folder`` and return the experiment file.

        Raises:
            ExperimentFileError: a file would lie outside the folder.
        """
        path = folder / EXPERIMENT_FILE
        path.write_text(self.experiment, encoding="utf-8")
        for name, text in self.files.items():
            if not _is_below(name):
                raise ExperimentFileError(f"{name!r} lies outside the folder of the experiment")
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        return path


def named_files(experiment: Experiment) -> dict[str, str]:
    """Files that an experiment names, relative to its own, by field."""
    files = {}
    if isinstance(experiment.base, Base):
        files["base.tokenizer.chat_template"] = experiment.base.tokenizer.chat_template
    elif experiment.base is not None:
        files["base.chat_template"] = experiment.base.chat_template
    if experiment.author is not None:
        files["author.constitution.file"] = experiment.author.constitution.file
    return {field: name for field, name in files.items() if name}


def read_bundle(path: Path) -> Bundle:
    """Read the experiment in ``path`` and every file it names.

    Raises:
        ExperimentFileError: the file is wrong, one it names cannot be read or lies outside its
            folder, or all are too much to carry.
    """
    named = named_files(load_experiment(path))
    for field, name in named.items():
        if not _is_below(name) or name == EXPERIMENT_FILE:
            raise ExperimentFileError(
                f"{path}: {field}: {name!r} must lie in the folder of the experiment file or below "
                f"it, and not be called {EXPERIMENT_FILE}, to be carried into containers"
            )
    bundle = Bundle(
        experiment=path.read_text(encoding="utf-8"),
        files={name: read_beside(path, field, name) for field, name in named.items()},
    )
    size = sum(len(text.encode()) for text in (bundle.experiment, *bundle.files.values()))
    if size > MOST_BYTES:
        raise ExperimentFileError(
            f"{path}: it and the files it names have {size:,} bytes; at most {MOST_BYTES:,} are "
            "carried into containers"
        )
    return bundle


def _is_below(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts

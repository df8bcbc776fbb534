"""Reads an experiment file and the files that it names."""

from __future__ import annotations

from pathlib import Path

from pipelines.experiment.spec import Experiment
from pipelines.yaml_file import YamlFileInvalid, read_model


class ExperimentFileError(Exception):
    """The file cannot be run. The message names file, line and path."""


def load_experiment(path: Path) -> Experiment:
    """Read and validate the experiment in ``path`` (YAML).

    Raises:
        ExperimentFileError: the file is missing, is no YAML or breaks the schema; the
            message has one line for each fault.
    """
    try:
        return read_model(path, Experiment, what="an experiment")
    except YamlFileInvalid as error:
        raise ExperimentFileError(str(error)) from error


def read_beside(path: Path, field: str, name: str) -> str:
    """Read the file ``name`` that ``field`` of the experiment in ``path`` names, relative to it.

    Raises:
        ExperimentFileError: it cannot be read, or says nothing.
    """
    file = path.parent / name
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ExperimentFileError(
            f"{path}: {field}: {file} cannot be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise ExperimentFileError(
            f"{path}: {field}: {file} is not UTF-8 text: {error.reason}"
        ) from error
    if not text.strip():
        raise ExperimentFileError(f"{path}: {field}: {file} is empty")
    return text

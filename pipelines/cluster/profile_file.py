"""Reads an operator's cluster profile and says in one line what is wrong with it, and where."""

from __future__ import annotations

from pathlib import Path

from pipelines.cluster.profile import ClusterProfile
from pipelines.yaml_file import YamlFileInvalid, read_model


class ProfileFileError(Exception):
    """The profile cannot be used. One line for each fault, with file, line and path."""


def read_profile(path: Path) -> ClusterProfile:
    """Read and validate the profile in ``path`` (YAML).

    Raises:
        ProfileFileError: the file is missing, is no YAML or breaks the schema.
    """
    try:
        return read_model(path, ClusterProfile, what="a cluster profile")
    except YamlFileInvalid as error:
        raise ProfileFileError(str(error)) from error

"""What the chart tells rooms and their callers about TLS and tokens, and the secrets as files.

Settings, names and paths are read from the chart's rendered manifests, which tests/deploy keeps
true: a room that came up with them here comes up with them in a cluster.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.containers.engine import USER
from tests.contract.tree import ROOT
from tests.servicekit.certificates import identity

SECRETS = "/run/secrets/teachwhy"
TLS, AUTH = f"{SECRETS}/tls", f"{SECRETS}/auth"
TOKEN = "a token of the tests"
_MODE = 0o440
"""As the chart asks for; the group is the pod's."""
_RENDERED = tuple(
    ROOT / "tests" / "deploy" / "golden" / name for name in ("tls.yaml", "token.yaml")
)
"""With certificates of callers, and with a token."""


def _objects(kind: str) -> Iterator[Any]:
    for path in _RENDERED:
        for text in path.read_text(encoding="utf-8").split("\n---\n"):
            # Objects of other kinds may be abridged, and need not be YAML.
            if re.search(rf"^kind: {kind}$", text, re.MULTILINE):
                yield yaml.safe_load(text)


def certified_hosts() -> list[str]:
    """Names that the rooms' certificate is for."""
    return list(next(_objects("Certificate"))["spec"]["dnsNames"])


def host_of(room: str) -> str:
    """Name by which callers reach a room."""
    (name,) = (
        each for each in certified_hosts() if re.fullmatch(rf"teachwhy-{room}\.\w+\.svc", each)
    )
    return name


def room_settings(room: str) -> dict[str, str]:
    """Everything that a room is told about its certificate, its callers and its judge."""
    told = {
        each["name"]: each["value"]
        for deployment in _objects("Deployment")
        if deployment["metadata"]["name"] == f"teachwhy-{room}"
        for each in deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    return {
        name: value
        for name, value in told.items()
        if value.startswith((TLS, AUTH)) or name == "DATASET_JUDGE"
    }


def caller_settings() -> dict[str, str]:
    """What runs are told about the rooms."""
    texts = "".join(path.read_text(encoding="utf-8") for path in _RENDERED)
    return dict(re.findall(r"^ +(PIPELINES_ROOMS_CHANNEL__\w+): (\S+)$", texts, re.MULTILINE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets of one cluster, as folders of this machine."""

    folder: Path

    @property
    def mounts(self) -> dict[str, Path]:
        """Where they are put, by path in the container."""
        return {TLS: self.folder / "tls", AUTH: self.folder / "auth"}


def write_secrets(folder: Path, *, token: str = TOKEN, issuer: str = "authority") -> Secrets:
    """Write an authority, a certificate of all rooms and a token, for the pod's group alone."""
    secrets = Secrets(folder=folder)
    for each in secrets.mounts.values():
        each.mkdir(parents=True)
        each.chmod(0o755)
    folder.chmod(0o755)
    authority = identity(issuer)
    tls = secrets.mounts[TLS]
    ca, _ = authority.write(tls, "ca")
    (tls / "ca.key").unlink()
    files = [ca, *identity("teachwhy", authority, hosts=certified_hosts()).write(tls, "tls")]
    files.append(secrets.mounts[AUTH] / "token")
    files[-1].write_text(f"{token}\n", encoding="utf-8")
    for path in files:
        os.chown(path, 0, USER)
        path.chmod(_MODE)
    return secrets

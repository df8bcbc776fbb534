"""Finds the way into a cluster: a kubeconfig file, or the pod's own service account."""

from __future__ import annotations

import binascii
import os
from pathlib import Path

import yaml
from kubernetes import client as kubernetes
from kubernetes import config

from pipelines.cluster.faults import NoClusterCredentials
from pipelines.cluster.settings import KubernetesSettings

_USUAL_FILE = "~/.kube/config"
_UNUSABLE = (
    config.ConfigException,
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    binascii.Error,
    yaml.YAMLError,
)


def find_credentials(context: str = "", kubeconfig: Path | None = None) -> kubernetes.Configuration:
    """Return the client's configuration; asks no server.

    Args:
        context: context of the kubeconfig; empty: the current one, or the pod's own account.
        kubeconfig: the file; None: those of KUBECONFIG, or ~/.kube/config.

    Raises:
        NoClusterCredentials: there are none, or they cannot be used.
    """
    settings = KubernetesSettings()
    files = str(kubeconfig or settings.kubeconfig or Path(_USUAL_FILE).expanduser())
    found = [name for name in files.split(os.pathsep) if name and Path(name).exists()]
    if found:
        return _from_files(files, context)
    where = f"KUBECONFIG names no file that exists ({files})"
    if not (kubeconfig or settings.kubeconfig):
        where = f"KUBECONFIG is not set and there is no {_USUAL_FILE}"
    if context:
        raise NoClusterCredentials(
            f"no cluster credentials: the cluster profile wants context {context!r}, but {where}; "
            "set KUBECONFIG to a file with that context"
        )
    if not settings.kubernetes_service_host:
        raise NoClusterCredentials(
            f"no cluster credentials: {where}, and this process is in no pod with a service "
            "account; set KUBECONFIG to a file that reaches the cluster"
        )
    return _of_pod(where)


def _from_files(files: str, context: str) -> kubernetes.Configuration:
    configuration = _configuration()
    try:
        config.load_kube_config(
            config_file=files,
            context=context or None,
            client_configuration=configuration,
            persist_config=False,
        )
    except _UNUSABLE as error:
        raise NoClusterCredentials(
            f"no cluster credentials: kubeconfig {files} cannot be used"
            f"{f' with context {context!r}' if context else ''}: {_said(error)}"
        ) from error
    return configuration


def _of_pod(where: str) -> kubernetes.Configuration:
    configuration = _configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except _UNUSABLE as error:
        raise NoClusterCredentials(
            f"no cluster credentials: {where}, and the pod's service account cannot be used: "
            f"{_said(error)} (is automountServiceAccountToken on?)"
        ) from error
    return configuration


def _configuration() -> kubernetes.Configuration:
    configuration = kubernetes.Configuration()
    # Patience is ours: urllib3 would repeat in silence what has to be bounded and said.
    configuration.retries = False
    return configuration


def _said(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

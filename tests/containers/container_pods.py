"""A course on which a pod's container really runs, as a container of an engine.

    pods = LocalPods(registry, logs, ContainerPods(engine, folder, registry).course)

Image, command, variables, mounts and restrictions are those of the pod. Names of services are
those that its operators would give it: a pod of a job is found by its own name, a pod of an
InferenceService by "{name}-predictor".
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cluster.fake_kubernetes.api_objects import Json
from tests.cluster.fake_kubernetes.courses import Course, Exit, RunningPod
from tests.cluster.fake_kubernetes.kserve_operator import POD_LABEL
from tests.cluster.fake_kubernetes.pod_mounts import Place
from tests.cluster.fake_kubernetes.registry import Registry
from tests.containers.engine import NETWORK, Container, Engine
from tests.containers.room_containers import status_of

_PROBE_SECONDS = 0.2
_WRITABLE = 0o777


class ContainerPlace(Place):
    """Volumes are folders of this machine; paths, ports and variables stay the container's."""

    def here(self, text: str) -> str:
        return text

    def environment(self) -> dict[str, str]:
        values = super().environment()
        if values.get("TMPDIR") == self._mounts.get("/tmp"):
            values.pop("TMPDIR", None)
        return values

    @property
    def mounts(self) -> Iterator[str]:
        """Options of `docker run` for the pod's volumes."""
        for mount in self._container.get("volumeMounts") or []:
            path = mount["mountPath"].rstrip("/")
            Path(self._mounts[path]).chmod(_WRITABLE)
            yield f"--volume={self._mounts[path]}:{path}:{'ro' if mount.get('readOnly') else 'rw'}"


class ContainerPods:
    """Runs the containers of pods on an engine."""

    def __init__(self, engine: Engine, folder: Path, registry: Registry) -> None:
        """Keep the volumes of pods below ``folder``."""
        self._engine = engine
        self._folder = folder
        self._registry = registry
        self.ran: dict[str, str] = {}
        """Image by the name of every container that was started."""

    @property
    def course(self) -> Course:
        """Run the container; its output is the pod's log."""
        return self._run

    def _run(self, pod: RunningPod) -> Exit:
        metadata = pod.body["metadata"]
        folder = self._folder / f"{pod.name}-{metadata['uid'][:8]}"
        place = ContainerPlace(folder, self._folder / "claims", self._registry, pod.body)
        spec = pod.body["spec"]["containers"][0]
        name = f"{pod.name}-{metadata['uid'][:8]}-{pod.attempt}"
        command = place.command()
        self.ran[name] = spec["image"]
        self._engine.docker(
            "run",
            *("--detach", f"--name={name}", f"--hostname={pod.name}", f"--network={NETWORK}"),
            *(f"--network-alias={alias}" for alias in _aliases(pod)),
            *_restrictions(spec),
            *place.mounts,
            *(f"--env={key}={value}" for key, value in place.environment().items()),
            f"--entrypoint={command[0]}",
            spec["image"],
            *command[1:],
        )
        return self._attend(pod, Container(self._engine, name), spec)

    def _attend(self, pod: RunningPod, container: Container, spec: Json) -> Exit:
        ended = threading.Event()
        probe = (spec.get("readinessProbe") or {}).get("httpGet")
        pod.start(is_ready=probe is None)
        reader = threading.Thread(target=_read, args=(pod, container, ended), daemon=True)
        reader.start()
        try:
            if probe is not None:
                asked = f"{container.address}:{probe['port']}{probe.get('path', '/')}"
                while not ended.is_set() and status_of(asked) != 200:
                    pod.wait_for(_soon())
                if not ended.is_set():
                    pod.become_ready()
            pod.wait_for(ended)
            return Exit(container.wait())
        finally:
            container.stop()
            reader.join(30)
            self._engine.remove(container)


def _soon() -> threading.Event:
    event = threading.Event()
    timer = threading.Timer(_PROBE_SECONDS, event.set)
    timer.daemon = True
    timer.start()
    return event


def _aliases(pod: RunningPod) -> Iterator[str]:
    yield pod.name
    labels = pod.body["metadata"]["labels"]
    if POD_LABEL in labels:
        yield f"{labels[POD_LABEL]}-predictor"


def _restrictions(spec: Json) -> Iterator[str]:
    """What the pod's security context asks for; nothing is added to it."""
    security: Json = spec.get("securityContext") or {}
    if security.get("readOnlyRootFilesystem"):
        yield "--read-only"
    if security.get("allowPrivilegeEscalation") is False:
        yield "--security-opt=no-new-privileges"
    for each in (security.get("capabilities") or {}).get("drop", ()):
        yield f"--cap-drop={each}"
    memory = (spec.get("resources") or {}).get("limits", {}).get("memory")
    if memory:
        yield f"--memory={memory.removesuffix('i').lower()}"


def _read(pod: RunningPod, container: Container, ended: threading.Event) -> None:
    """Say what the container says, until it ends."""
    command = [*container.engine.command, "logs", "--follow", container.name]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as follower:
        assert follower.stdout is not None
        for line in follower.stdout:
            pod.say(line.rstrip("\n"))
    while container.is_running:
        time.sleep(_PROBE_SECONDS)
    ended.set()

"""A course on which the pod's container really runs, as a process of this machine.

    pods = LocalPods(registry, logs, LocalProcesses(folder, registry).course)

The image is ignored. Volumes are folders (emptyDir, secret, configMap, persistentVolumeClaim),
paths of mounts in command, arguments and variables become those of the folders, and each
containerPort a free port of loopback. Nothing of this process's environment is passed on but what
a program needs to start.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.fake_kubernetes.api_objects import Json
from tests.cluster.fake_kubernetes.courses import Course, Exit, RunningPod
from tests.cluster.fake_kubernetes.pod_mounts import NotMountable, Place
from tests.cluster.fake_kubernetes.registry import Registry

_PROBE_SECONDS = 0.1
_LONGEST_GRACE_SECONDS = 20.0
_ALWAYS = {"PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV"}


class LocalProcesses:
    """Runs containers as processes below a folder."""

    def __init__(
        self, folder: Path, registry: Registry, environment: Mapping[str, str] | None = None
    ) -> None:
        """Keep pods below ``folder``; ``environment`` is what their images would set."""
        self._folder = folder
        self._registry = registry
        self._environment = dict(environment or {})
        self.ports: dict[tuple[str, str], Mapping[int, int]] = {}
        """Ports of this machine by containerPort, by the pod's namespace and name."""

    def address(self, namespace: str, pod: str, port: int) -> str:
        """Where the container's port is reached, as "host:port"."""
        return f"127.0.0.1:{self.ports[namespace, pod][port]}"

    @property
    def course(self) -> Course:
        """Run the container's command; its output is the pod's log."""
        return self._run

    def _run(self, pod: RunningPod) -> Exit:
        metadata = pod.body["metadata"]
        folder = self._folder / metadata["namespace"] / f"{pod.name}-{metadata['uid'][:8]}"
        try:
            place = Place(folder, self._folder / "claims", self._registry, pod.body)
            environment = place.environment()
            command = place.command()
        except NotMountable as error:
            pod.event("FailedMount", f"MountVolume.SetUp failed: {error}", kind="Warning")
            pod.stay_waiting("ContainerCreating", "")
            raise
        self.ports[metadata["namespace"], pod.name] = place.ports
        if command[0] in ("python", "python3"):
            command[0] = sys.executable
        process = subprocess.Popen(
            command,
            cwd=place.working_folder(),
            env={**_inherited(folder), **self._environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        grace = min(
            _LONGEST_GRACE_SECONDS,
            float(pod.body["spec"].get("terminationGracePeriodSeconds", 30)),
        )
        return _attend(pod, process, place, grace)


def _attend(pod: RunningPod, process: subprocess.Popen[str], place: Place, grace: float) -> Exit:
    ended = threading.Event()
    probe = _probe(pod.body, place)
    pod.start(is_ready=probe is None)
    reader = threading.Thread(target=_read, args=(pod, process, ended), daemon=True)
    reader.start()
    try:
        if probe is not None:
            _wait_until_ready(pod, probe, ended)
        pod.wait_for(ended)
    finally:
        if process.poll() is None:
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
        # Whatever the container started ends with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        reader.join(10)
        assert process.stdout is not None
        process.stdout.close()
    return Exit(code if code >= 0 else 128 - code)


def _read(pod: RunningPod, process: subprocess.Popen[str], ended: threading.Event) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        pod.say(line.rstrip("\n"))
    process.wait()
    ended.set()


def _wait_until_ready(pod: RunningPod, probe: str, ended: threading.Event) -> None:
    answered = threading.Event()

    def ask() -> None:
        while not ended.wait(_PROBE_SECONDS):
            if _answers(probe):
                break
        answered.set()

    threading.Thread(target=ask, daemon=True).start()
    pod.wait_for(answered)
    if not ended.is_set():
        pod.become_ready()


def _probe(body: Json, place: Place) -> str | None:
    """Address that answers once the pod is ready."""
    container = body["spec"]["containers"][0]
    found = (container.get("readinessProbe") or {}).get("httpGet")
    if not found:
        return None
    port = found["port"]
    if isinstance(port, str) and not port.isdecimal():
        port = next(p["containerPort"] for p in container["ports"] if p.get("name") == port)
    return f"http://127.0.0.1:{place.ports[int(port)]}{found.get('path', '/')}"


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=1) as answer:
            return 200 <= int(answer.status) < 400
    except (urllib.error.URLError, OSError):
        return False


def _inherited(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in _ALWAYS}
    return {**kept, "HOME": str(folder), "PYTHONUNBUFFERED": "1"}

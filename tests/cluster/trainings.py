"""Trainings in a fake cluster: what is reported, what is said, and what they come to."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pipelines.cluster.api import KubernetesApi
from pipelines.cluster.job_launcher import PyTorchJobLauncher
from pipelines.cluster.job_watch import Timing
from pipelines.experiment.launcher import TrainingFailed, TrainingProgress
from services.servicekit.storage.directory import DirectoryStore
from tests.cluster.fake_kubernetes.api_objects import PYTORCH_JOBS, Json
from tests.cluster.fake_kubernetes.cluster import NAMESPACE, FakeCluster
from tests.cluster.fake_kubernetes.courses import Course, Exit, RunningPod
from tests.cluster.training_orders import order, publish_checkpoint, training_profile

ORDER = order()
LEADER = "why-s0-master-0"
CREATION = f"POST /apis/kubeflow.org/v1/namespaces/{NAMESPACE}/pytorchjobs"
TIMING = Timing(poll=0.05, stuck=0.3, farewell=2.0)
SECONDS = 30


class Trainings:
    """Trains against a cluster, and keeps what was reported and said."""

    def __init__(self, cluster: FakeCluster, store: DirectoryStore) -> None:
        self.cluster = cluster
        self.store = store
        self.reports: list[TrainingProgress] = []
        self.states: list[str] = []
        self.said: list[str] = []
        self.progressed = asyncio.Event()

    async def train(self, **training: Any) -> None:
        """Carry ORDER out."""
        async with asyncio.timeout(SECONDS), self.launcher(**training) as launcher:
            await launcher.train(ORDER, self._report)

    @asynccontextmanager
    async def launcher(self, **training: Any) -> AsyncIterator[PyTorchJobLauncher]:
        profile = training_profile(**training)
        api = KubernetesApi(profile, kubeconfig=self.cluster.kubeconfig, poll_seconds=0.05)
        async with api:
            yield PyTorchJobLauncher(api, profile, self.store, timing=TIMING, say=self.said.append)

    async def failure(self, **training: Any) -> str:
        """Carry ORDER out in vain; return what is said."""
        with pytest.raises(TrainingFailed) as caught:
            await self.train(**training)
        return str(caught.value)

    @property
    def job(self) -> Json | None:
        return self.cluster.registry.find(PYTORCH_JOBS, NAMESPACE, "why-s0")

    def succeeds(self, *lines: str, when: threading.Event | None = None) -> Course:
        """Publishes the checkpoint."""

        def course(pod: RunningPod) -> Exit:
            pod.start()
            pod.say(*lines)
            if when is not None:
                pod.wait_for(when)
            publish_checkpoint(self.store, ORDER)
            return Exit()

        return course

    def _report(self, progress: TrainingProgress) -> None:
        if progress.state:
            self.states.append(progress.state)
        else:
            self.reports.append(progress)
            self.progressed.set()


def progress(tokens: int) -> str:
    return json.dumps(
        {"event": "training.progress", "tokens": tokens, "loss": 1.5, "tokens_per_second": 10.0}
    )


async def until(is_so: Callable[[], bool]) -> None:
    """Look often, until it is so."""
    async with asyncio.timeout(SECONDS):
        while not is_so():  # noqa: ASYNC110  (what is looked at has no event)
            await asyncio.sleep(0.02)

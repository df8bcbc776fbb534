"""Hosts checkpoints as InferenceServices while they are measured."""

from __future__ import annotations

import asyncio

from pipelines.cluster.api import KubernetesApi
from pipelines.cluster.faults import ClusterFault
from pipelines.cluster.inference_service import inference_service, service_name
from pipelines.cluster.inference_services import InferenceServices, NeverReady, Waiting
from pipelines.cluster.predictor import NotServable
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.stored_checkpoint import stored_checkpoint
from pipelines.experiment.hosting import HostingFailed
from services.servicekit.storage.port import ObjectStore


class KserveHost:
    """One InferenceService for each checkpoint, reached under the name that it derives from it.

    That it answers is KServe's word for it, whose readiness probe asks for the checkpoint itself:
    the address in the profile is where the rollout room finds it, and the process that runs
    experiments may be outside the cluster.
    """

    def __init__(
        self,
        api: KubernetesApi,
        profile: ClusterProfile,
        store: ObjectStore,
        *,
        waiting: Waiting | None = None,
    ) -> None:
        """Host checkpoints of ``store``, which must be the bucket of the profile."""
        self._profile = profile
        self._store = store
        self._services = InferenceServices(
            api, ready_seconds=profile.serving.ready_seconds, waiting=waiting
        )

    async def load(self, checkpoint: str) -> None:
        """Host the checkpoint; loading one that is hosted is no fault.

        Raises:
            HostingFailed: it cannot be hosted, or does not become ready.
        """
        try:
            stored = await asyncio.to_thread(stored_checkpoint, self._store, checkpoint)
            body = inference_service(
                checkpoint, stored.digest, self._profile, adapter=stored.adapter
            )
            await self._services.ensure(body)
        except NeverReady as error:
            raise HostingFailed(
                f"{error}\nIt was removed again. Mend what it says, in the cluster's file or the "
                "cluster; the same command goes on."
            ) from error
        except (NotServable, ClusterFault) as error:
            raise HostingFailed(str(error)) from error

    async def unload(self, checkpoint: str) -> None:
        """Stop hosting the checkpoint; one that is not hosted is no fault.

        Raises:
            HostingFailed: what has its name is not ours, or the cluster cannot be asked.
        """
        try:
            await self._services.remove(service_name(checkpoint))
        except (NotServable, ClusterFault) as error:
            raise HostingFailed(str(error)) from error

"""Traffic in Knative's mode: one InferenceService, whose revisions share the requests.

Its annotations say which checkpoint is the stable one and which is tried. KServe keeps the revision
that had everything last, and gives the newest one the share that is asked for. Every step may be
repeated by a process that knows nothing of the one before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipelines.cluster.faults import NotOurs
from pipelines.cluster.inference_service import KIND, described
from pipelines.cluster.inference_services import InferenceServices, NeverReady
from pipelines.cluster.ownership import is_owned, is_same
from pipelines.cluster.predictor import Served
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.serving_status import Body
from pipelines.cluster.stored_checkpoint import LookUp, StoredCheckpoint
from pipelines.experiment.traffic import Traffic

STABLE = "teachwhy.dev/stable"
CANDIDATE = "teachwhy.dev/candidate"
REPLACED = "teachwhy.dev/replaced-revision"
_REVISION = "serving.knative.dev/revision"
_PERCENT = "canaryTrafficPercent"
_ALL = 100


class KnativeTraffic:
    """Shifts traffic between revisions."""

    def __init__(self, services: InferenceServices, profile: ClusterProfile) -> None:
        self._services = services
        self._profile = profile

    async def current(self, service: str) -> Traffic | None:
        """Say who answers now; None where there is no such service."""
        body = await self._services.get(service)
        if body is None:
            return None
        if not is_owned(body):
            raise NotOurs(f"{KIND} {service} was not made by a run; it is not touched")
        return _traffic(body)

    async def shift(self, service: str, checkpoint: StoredCheckpoint, percent: int) -> Traffic:
        """Give the checkpoint this share, and wait until it answers.

        Raises:
            NeverReady: it does not; traffic is as it was.
        """
        before = await self._services.get(service)
        stable = checkpoint.name if before is None else _traffic(before).stable
        body = tried_body(service, checkpoint, stable, self._profile)
        if before is None:
            await self._services.ensure(body)
            return Traffic(stable=stable)
        share = percent if percent < _ALL else None
        try:
            await self._services.change(service, _becomes(body, share))
            await self._until_settled(service, share)
        except NeverReady:
            await self._services.change(service, _becomes(before, _percent(before)))
            raise
        if share is None:
            body["metadata"]["annotations"] |= {STABLE: checkpoint.name, CANDIDATE: ""}
            await self._services.change(service, _becomes(body, None))
        return _traffic(await self._services.existing(service))

    async def roll_back(self, service: str, stable: str, look_up: LookUp) -> Traffic:
        """Give everything to the stable checkpoint, at once, and make its revision the newest.

        Raises:
            NeverReady: its new revision does not start; the old one has all requests.
            NotServable: it is not in the store any more; its revision has all requests.
        """
        found = await self._services.existing(service)
        if not _traffic(found).candidate and _percent(found) is None:
            return _traffic(found)
        await self._services.change(service, _becomes(found, 0))
        body = tried_body(service, await look_up(stable), stable, self._profile)
        await self._services.change(service, _becomes(body, 0))
        await self._until_settled(service, 0)
        await self._services.change(service, _becomes(body, None))
        await self._until_settled(service, None)
        return Traffic(stable=stable)

    async def _until_settled(self, service: str, percent: int | None) -> None:
        """Wait until the newest revision is ready and has its share."""
        limit = self._profile.serving.ready_seconds
        await self._services.until(
            lambda: self._services.existing(service),
            lambda body: _has_share(body, percent),
            late=f"has no ready revision after {limit} s (serving.ready_seconds)",
            of_pods=lambda body: f"{_REVISION}={_newest(body)}",
        )


def tried_body(
    service: str, checkpoint: StoredCheckpoint, stable: str, profile: ClusterProfile
) -> Any:
    """Write down the service with this checkpoint, tried unless it is the stable one."""
    served = Served(checkpoint=checkpoint.name, model=service, adapter=checkpoint.adapter)
    body: Any = described(service, served, checkpoint.digest, profile, service=service)
    candidate = "" if checkpoint.name == stable else checkpoint.name
    body["metadata"]["annotations"] |= {STABLE: stable, CANDIDATE: candidate}
    return body


def _becomes(wanted: Body, percent: int | None) -> Callable[[Any], Any]:
    """Give a service what is wanted of its checkpoint, and this share to its newest revision."""

    def edit(body: Any) -> Any:
        metadata = body["metadata"]
        labels, annotations = wanted["metadata"]["labels"], wanted["metadata"]["annotations"]
        if not is_same(body, wanted):
            metadata["annotations"][REPLACED] = _newest(body)
            predictor = dict(wanted["spec"]["predictor"])
        else:
            predictor = dict(body["spec"]["predictor"])
        predictor.pop(_PERCENT, None)
        if percent is not None:
            predictor[_PERCENT] = percent
        body["spec"]["predictor"] = predictor
        metadata["labels"] |= labels
        metadata["annotations"] |= {
            key: value for key, value in annotations.items() if key != REPLACED
        }
        return body

    return edit


def _traffic(body: Body) -> Traffic:
    annotations = body["metadata"].get("annotations") or {}
    stable, candidate = annotations.get(STABLE, ""), annotations.get(CANDIDATE, "")
    percent = _percent(body)
    if candidate and percent is None and _has_share(body, None):
        return Traffic(stable=candidate)  # it got everything, and nobody wrote that down
    return Traffic(stable=stable, candidate=candidate, candidate_percent=percent or 0)


def _percent(body: Body) -> int | None:
    percent: int | None = body["spec"]["predictor"].get(_PERCENT)
    return percent


def _revisions(body: Body) -> Body:
    components = (body.get("status") or {}).get("components") or {}
    revisions: Body = components.get("predictor") or {}
    return revisions


def _newest(body: Body) -> str:
    revision: str = _revisions(body).get("latestCreatedRevision") or ""
    return revision


def _has_share(body: Body, percent: int | None) -> bool:
    """Whether the newest revision is ready and has this share; None: everything, for good."""
    revisions = _revisions(body)
    newest = _newest(body)
    replaced = (body["metadata"].get("annotations") or {}).get(REPLACED, "")
    if not newest or newest == replaced or revisions.get("latestReadyRevision") != newest:
        return False
    if percent is None and revisions.get("latestRolledoutRevision") != newest:
        return False
    share = sum(
        each.get("percent") or 0
        for each in revisions.get("traffic") or ()
        if each.get("latestRevision")
    )
    return bool(share == (_ALL if percent is None else percent))

"""What operators and the kubelet of the fake have in common: a thread that sees every change."""

import threading
from typing import Self

from tests.cluster.fake_kubernetes.api_objects import EVENTS, Json, now
from tests.cluster.fake_kubernetes.registry import Registry

_RESYNC_SECONDS = 0.1


class Controller:
    """Calls ``reconcile`` after every change of the cluster, in a thread of its own.

    A failure of the thread comes out of the ``with`` block.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._is_ending = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)

    def reconcile(self) -> None:
        """Bring what is nearer to what is wanted; called again after every change."""
        raise NotImplementedError

    def close(self) -> None:
        """Free what was taken; called once, after the last ``reconcile``."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_ending.set()
        self.registry.nudge()
        self._thread.join(30)
        self.close()
        if self._failure is not None:
            raise self._failure

    def event(self, body: Json, reason: str, message: str, *, kind: str = "Normal") -> None:
        """Record an event about an object."""
        metadata = body["metadata"]
        source = {"component": type(self).__name__}
        self.registry.create(
            EVENTS,
            metadata["namespace"],
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"generateName": f"{metadata['name']}."},
                "involvedObject": {
                    "apiVersion": body.get("apiVersion"),
                    "kind": body.get("kind"),
                    "name": metadata["name"],
                    "namespace": metadata["namespace"],
                    "uid": metadata["uid"],
                },
                "type": kind,
                "reason": reason,
                "message": message,
                "source": source,
                "count": 1,
                "firstTimestamp": now(),
                "lastTimestamp": now(),
            },
        )

    def _run(self) -> None:
        seen = -1
        try:
            while not self._is_ending.is_set():
                seen = self.registry.version
                self.reconcile()
                self.registry.wait_beyond(seen, _RESYNC_SECONDS)
        except BaseException as error:  # noqa: BLE001  (handed to the test's own thread)
            self._failure = error

"""The catalog: what the archive holds, kept in memory and brought up to date by listing.

Knows nothing of Prometheus or of pages. Records never change, so each is read once and
only names are listed again: every replica that lists the same store shows the same.
"""

import asyncio
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Self

from services.scoreboard.archive import Archive
from services.scoreboard.evaluation import EvaluationRecord
from services.servicekit.errors import ResourceNotFound, StoredObjectCorrupt
from services.servicekit.logs import get_logger

_LAST_REFRESH_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What was found when the store was last listed."""

    records: Mapping[str, EvaluationRecord] = field(default_factory=dict)
    """By name, newest first, without family cells: nothing that is listed shows them."""
    unreadable: Collection[str] = frozenset()
    """Names of evaluations whose record cannot be read."""
    listed_at: datetime | None = None
    """When, in UTC; None before the first time."""


class Catalog:
    """The archive's records, without their family cells."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._refreshing = threading.Lock()
        self._contents = Contents()

    @property
    def contents(self) -> Contents:
        """What is known now; never blocks."""
        return self._contents

    def refresh(self) -> Contents:
        """List the store and read the records that are new.

        A record that cannot be read is left out, counted and logged once; it is read
        again at every refresh, because a store can be repaired.

        Raises:
            StoreUnavailable: the store cannot be listed or read.
        """
        with self._refreshing:
            known = self._contents
            names = set(self._archive.names())
            records = {name: known.records[name] for name in known.records.keys() & names}
            unreadable = set()
            for name in sorted(names - records.keys()):
                try:
                    records[name] = _without_families(self._archive.record(name))
                except StoredObjectCorrupt as error:
                    unreadable.add(name)
                    if name not in known.unreadable:
                        get_logger().error("evaluation.unreadable", name=name, detail=str(error))
                except ResourceNotFound:
                    continue  # removed between the listing and the reading
            newest_first = sorted(records.values(), key=recency, reverse=True)
            self._contents = Contents(
                records={record.name: record for record in newest_first},
                unreadable=frozenset(unreadable),
                listed_at=datetime.now(UTC),
            )
            return self._contents


class CatalogRefresher:
    """Refreshes a catalog at an interval, in a thread of its own."""

    def __init__(
        self, catalog: Catalog, *, interval_seconds: float, on_failure: Callable[[], object]
    ) -> None:
        self._catalog = catalog
        self._interval_seconds = interval_seconds
        self._on_failure = on_failure
        self._stopped = threading.Event()
        # A daemon, because a store that hangs must not keep a stopped process alive.
        self._thread = threading.Thread(target=self._run, name="catalog-refresher", daemon=True)

    async def __aenter__(self) -> Self:
        """Refresh now, and then at every interval."""
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Refresh no more; a refresh under way gets a second to end."""
        self._stopped.set()
        await asyncio.to_thread(self._thread.join, _LAST_REFRESH_SECONDS)

    def _run(self) -> None:
        while True:
            try:
                self._catalog.refresh()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next one may work
                self._on_failure()
                get_logger().warning("catalog.refresh_failed", detail=str(error))
            if self._stopped.wait(self._interval_seconds):
                return


def recency(record: EvaluationRecord) -> tuple[datetime, str]:
    """Order of records in time; names decide between equal times."""
    return (record.create_time, record.name)


def _without_families(record: EvaluationRecord) -> EvaluationRecord:
    counts = {key: counts for key, counts in record.counts.items() if not key.family}
    return replace(record, counts=counts)

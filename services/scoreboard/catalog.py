"""The catalog: what the archives hold, kept in memory and brought up to date by listing.

Knows nothing of Prometheus or of pages. Records never change, so each is read once and
only names are listed again: every replica that lists the same store shows the same.
"""

import asyncio
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Protocol, Self, TypeVar

from services.scoreboard.archive import Archive
from services.scoreboard.decision import Decision, Promotion
from services.scoreboard.decision_archive import DecisionArchive
from services.scoreboard.evaluation import CellKey, EvaluationRecord
from services.servicekit.errors import ResourceNotFound, StoredObjectCorrupt
from services.servicekit.logs import get_logger

_LAST_REFRESH_SECONDS: Final = 1.0
_READ_LAST: Final = 64
"""Records that a refresh remembers whole; more at once would be many megabytes."""


class Listed(Protocol):
    """What is listed: it has a name and a time."""

    @property
    def name(self) -> str:
        """Name of the record."""

    @property
    def create_time(self) -> datetime:
        """When it was first recorded, in UTC."""


ListedT = TypeVar("ListedT", bound=Listed)


class Choice(Protocol):
    """Chooses of which records cells of families and suites are kept, and which of these."""

    def names(self, newest_first: Iterable[EvaluationRecord]) -> Collection[str]:
        """Names of the records, out of all."""

    def keeps(self, key: CellKey) -> bool:
        """Whether a cell of theirs is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What was found when the store was last listed."""

    records: Mapping[str, EvaluationRecord] = field(default_factory=dict)
    """By name, newest first, without cells of families and suites: nothing that is listed shows
    them."""
    chosen: Mapping[str, EvaluationRecord] = field(default_factory=dict)
    """By name, newest first: those of which such cells are kept, with these alone."""
    unreadable: Collection[str] = frozenset()
    """Names of evaluations whose record cannot be read."""
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    """By name, newest first."""
    promotions: Mapping[str, Promotion] = field(default_factory=dict)
    """By name, newest first."""
    unreadable_decisions: Collection[str] = frozenset()
    """Names of decisions and promotions whose record cannot be read."""
    listed_at: datetime | None = None
    """When, in UTC; None before the first time."""


class Catalog:
    """The archives' records, evaluations without cells of families and suites but the chosen."""

    def __init__(
        self, archive: Archive, kept: DecisionArchive, *, choice: Choice | None = None
    ) -> None:
        """Begin with nothing; without a choice no cells of families and suites are kept."""
        self._archive = archive
        self._kept = kept
        self._choice = choice
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
            known, kept = self._contents, self._kept
            # What is new is asked for twice: as it is listed, and as it is chosen.
            record = lru_cache(maxsize=_READ_LAST)(self._archive.record)
            records, unreadable = _listed(
                self._archive.names(),
                lambda name: _only(record(name), _is_listed),
                (known.records, known.unreadable),
                event="evaluation.unreadable",
            )
            chosen, lost = self._chosen(records, record)
            decisions, lost_decisions = _listed(
                kept.decisions.names(),
                kept.decisions.record,
                (known.decisions, known.unreadable_decisions),
                event="decision.unreadable",
            )
            promotions, lost_promotions = _listed(
                kept.promotions.names(),
                kept.promotions.record,
                (known.promotions, known.unreadable_decisions),
                event="promotion.unreadable",
            )
            self._contents = Contents(
                records=records,
                chosen=chosen,
                unreadable=unreadable | lost,
                decisions=decisions,
                promotions=promotions,
                unreadable_decisions=lost_decisions | lost_promotions,
                listed_at=datetime.now(UTC),
            )
            return self._contents

    def _chosen(
        self,
        records: Mapping[str, EvaluationRecord],
        record: Callable[[str], EvaluationRecord],
    ) -> tuple[dict[str, EvaluationRecord], frozenset[str]]:
        """Keep what is chosen of these; a record that was not chosen before is asked for again.

        That is so of new records, and of older ones when newer ones are removed.
        """
        choice, known = self._choice, self._contents
        if choice is None:
            return {}, frozenset()
        return _listed(
            choice.names(records.values()),
            lambda name: _only(record(name), choice.keeps),
            (known.chosen, known.unreadable),
            event="evaluation.unreadable",
        )


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


def recency(record: Listed) -> tuple[datetime, str]:
    """Order of records in time; names decide between equal times."""
    return (record.create_time, record.name)


def _listed(
    names: Iterable[str],
    read: Callable[[str], ListedT],
    known: tuple[Mapping[str, ListedT], Collection[str]],
    *,
    event: str,
) -> tuple[dict[str, ListedT], frozenset[str]]:
    """Return the records of ``names``, newest first, and the names of those that are unreadable."""
    known_records, known_unreadable = known
    present = set(names)
    records = {name: known_records[name] for name in known_records.keys() & present}
    unreadable = set()
    for name in sorted(present - records.keys()):
        try:
            records[name] = read(name)
        except StoredObjectCorrupt as error:
            unreadable.add(name)
            if name not in known_unreadable:
                get_logger().error(event, name=name, detail=str(error))
        except ResourceNotFound:
            continue  # removed between the listing and the reading
    newest_first = sorted(records.values(), key=recency, reverse=True)
    return {record.name: record for record in newest_first}, frozenset(unreadable)


def _is_listed(key: CellKey) -> bool:
    return not key.is_fine


def _only(record: EvaluationRecord, keeps: Callable[[CellKey], bool]) -> EvaluationRecord:
    counts = {key: counts for key, counts in record.counts.items() if keeps(key)}
    return replace(record, counts=counts)

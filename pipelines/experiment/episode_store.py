"""Finds episodes in the evaluations of a store, also of those that are not complete yet."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow.parquet as pq
from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import episode_pb2

from pipelines.experiment.shards import decode_verdicts
from pipelines.outputs import Output
from services.servicekit.storage.port import ObjectStore

_COLUMNS = (
    "id",
    "model",
    "scenario_id",
    "suite",
    "family",
    "kind",
    "state",
    "took_bait",
    "used_safe_channel",
)
MOST_NAMED = 10


class NoSuchEpisode(Exception):
    """No episode is called so, or several are. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeEntry:
    """One episode as a list shows it, and where its record is."""

    id: str
    model: str
    """Model as its endpoint calls it."""
    scenario_id: str
    suite: str
    family: str
    kind: str
    """What the right conduct is, in one word. Example: "benign_twin"."""
    state: str
    took_bait: bool
    """Whether it took the action, whatever that means in a scenario of its kind."""
    used_safe_channel: bool
    arm: str
    """Arm or hosted model; empty while its evaluation is not complete."""
    evaluation: str
    """Key prefix of its evaluation."""
    shard: str
    """Name of its shard in the evaluation."""
    row: int
    """Row of the shard."""
    conduct: str = ""
    """What the judge said it did; empty where nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which episodes are wanted; what is empty or None does not matter."""

    suite: str = ""
    family: str = ""
    state: str = ""
    model: str = ""
    """Arm, hosted model, or model as its endpoint calls it."""
    bait: bool | None = None
    evaluations: Collection[str] | None = None
    """Key prefixes of evaluations."""

    def takes(self, entry: EpisodeEntry) -> bool:
        """Whether an episode is wanted."""
        return (
            self.suite in ("", entry.suite)
            and self.family in ("", entry.family)
            and self.state in ("", entry.state)
            and self.model in ("", entry.arm, entry.model)
            and self.bait in (None, entry.took_bait)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEpisode:
    """An episode with its verdict."""

    entry: EpisodeEntry
    episode: episode_pb2.Episode
    verdict: verdict_pb2.Verdict | None
    """None while its evaluation is not judged."""
    opinions: Sequence[verdict_pb2.Verdict] = ()
    """Verdicts of the panels that were asked about it."""


class EpisodeStore:
    """The episodes of all evaluations in a store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.older: set[str] = set()
        """Key prefixes of evaluations met so far whose records say less, and are left out."""

    def entries(self, wanted: Wanted) -> Iterator[EpisodeEntry]:
        """Iterate the episodes that are wanted, in the order they were played."""
        for prefix in self._evaluations():
            if wanted.evaluations is None or prefix in wanted.evaluations:
                yield from filter(wanted.takes, self._entries(prefix))

    def judged(self, entries: Sequence[EpisodeEntry]) -> list[EpisodeEntry]:
        """Say of episodes what the judge said of their conduct, as far as it did."""
        conducts: dict[str, str] = {}
        for prefix in sorted({entry.evaluation for entry in entries}):
            for content in self._verdict_shards(prefix):
                table = pq.read_table(io.BytesIO(content), columns=["episode_id", "conduct"])
                rows = table.to_pylist()
                conducts |= {row["episode_id"]: row["conduct"] or "not scored" for row in rows}
        return [replace(entry, conduct=conducts.get(entry.id, "")) for entry in entries]

    def find(self, name: str, *, model: str = "") -> StoredEpisode:
        """Find the one episode that ``name`` means.

        Args:
            name: an episode's id or its beginning, or a scenario's id.
            model: arm, hosted model or model; tells episodes of one scenario apart.

        Raises:
            NoSuchEpisode: there is none, or more than one.
        """
        # Two evaluations may hold the same episode: one id is one record.
        found = {
            entry.id: entry
            for entry in self.entries(Wanted(model=model))
            if entry.id.startswith(name) or entry.scenario_id == name
        }
        if len(found) != 1:
            raise NoSuchEpisode(_not_one(name, model, list(found.values())) + self.remark)
        (entry,) = found.values()
        content = self._content(entry.evaluation, entry.shard)
        record = pq.read_table(io.BytesIO(content), columns=["record"])["record"][entry.row]
        return StoredEpisode(
            entry=entry,
            episode=episode_pb2.Episode.FromString(record.as_py()),
            verdict=self._verdict(entry),
            opinions=tuple(self._opinions(entry)),
        )

    def _opinions(self, entry: EpisodeEntry) -> Iterator[verdict_pb2.Verdict]:
        digest = entry.evaluation.rpartition("/")[2]
        for output in _judgings(self._store, digest):
            verdicts = decode_verdicts(output.read(entry.shard.replace("episodes-", "verdicts-")))
            for verdict in verdicts:
                if verdict.episode_id == entry.id and verdict.HasField("consensus"):
                    yield verdict

    @property
    def remark(self) -> str:
        """Say what was left out so far; empty where nothing was."""
        if not self.older:
            return ""
        return f"\nleft out, since an older version wrote them: {len(self.older)} evaluations"

    def _evaluations(self) -> list[str]:
        keys = self._store.keys("episodes/")
        return sorted({key.rpartition("/")[0] for key in keys if "/episodes-" in key})

    def _entries(self, prefix: str) -> Iterator[EpisodeEntry]:
        output = Output(store=self._store, prefix=prefix)
        arm = str(output.manifest().parameters.get("arm", "")) if output.is_complete() else ""
        for shard in output.file_names():
            if not shard.startswith("episodes-"):
                continue
            file = pq.ParquetFile(io.BytesIO(self._content(prefix, shard)))
            if not set(_COLUMNS) <= set(file.schema_arrow.names):
                self.older.add(prefix)
                continue
            for row, values in enumerate(file.read(columns=list(_COLUMNS)).to_pylist()):
                yield EpisodeEntry(**values, arm=arm, evaluation=prefix, shard=shard, row=row)

    def _content(self, prefix: str, name: str) -> bytes:
        """Read a file; that of a complete evaluation is checked against its digest."""
        output = Output(store=self._store, prefix=prefix)
        return output.read(name) if output.is_complete() else self._store.get(output.key(name))

    def _verdict_shards(self, prefix: str) -> Iterator[bytes]:
        for name in Output(store=self._store, prefix=prefix).file_names():
            if name.startswith("verdicts-"):
                yield self._content(prefix, name)

    def _verdict(self, entry: EpisodeEntry) -> verdict_pb2.Verdict | None:
        for content in self._verdict_shards(entry.evaluation):
            for row in pq.read_table(
                io.BytesIO(content), columns=["episode_id", "record"]
            ).to_pylist():
                if row["episode_id"] == entry.id:
                    return verdict_pb2.Verdict.FromString(row["record"])
        return None


def _judgings(store: ObjectStore, digest: str) -> Iterator[Output]:
    """Find the complete judgings of an evaluation."""
    for key in store.keys("judgings/"):
        if key.endswith("/manifest.json"):
            output = Output(store=store, prefix=key.removesuffix("/manifest.json"))
            if output.manifest().inputs.get("episodes") == digest:
                yield output


def _not_one(name: str, model: str, found: Sequence[EpisodeEntry]) -> str:
    of = f" of {model!r}" if model else ""
    if not found:
        return (
            f"no evaluation in the store holds an episode{of} that is called {name!r}; an episode "
            "is named by its id, the beginning of it, or the id of its scenario. "
            "`python -m pipelines episodes` lists them"
        )
    lines = [f"  {each.id}  {each.arm or '?'}  {each.scenario_id}" for each in found[:MOST_NAMED]]
    more = [f"  and {len(found) - MOST_NAMED} more"] if len(found) > MOST_NAMED else []
    return "\n".join(
        [f"{len(found)} episodes{of} are called {name!r}; take an id, or --model:", *lines, *more]
    )

"""The form of a benchmark's result, and its file benchmarks/results/NAME.json.

Knows nothing about how anything is measured. A result holds every run, not only a summary, and
says what was not run. A summary that does not follow from its runs cannot be read back.
"""

import os
import platform
import re
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

RESULTS = Path(__file__).parent / "results"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Machine(_Record):
    """What a result was measured on."""

    system: str
    """Kernel and architecture, for example "Linux x86_64"."""

    processor: str
    """The processor as the system names it."""

    num_cores: int
    """Cores that the process may use."""

    memory_gib: float
    """Memory of the machine."""

    python: str
    """Version of the interpreter."""

    @classmethod
    def here(cls) -> Self:
        """Describe this machine."""
        affinity = getattr(os, "sched_getaffinity", None)
        memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(
            system=f"{platform.system()} {platform.machine()}",
            processor=_processor(),
            num_cores=len(affinity(0)) if affinity else os.cpu_count() or 1,
            memory_gib=round(memory_bytes / 2**30, 1),
            python=platform.python_version(),
        )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), flags=re.MULTILINE)
        if found is not None:
            return found[1].strip()
    return platform.processor() or "unknown"


class Runs(_Record):
    """All runs of one measurement, and their summary."""

    values: tuple[Positive, ...] = Field(min_length=1)
    """One value for each run, in the order of the runs."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Summarise the values; at least one."""
        if not values:
            raise ValueError("a measurement needs at least one run")
        low, middle, high = min(values), statistics.median(values), max(values)
        return cls(values=tuple(values), min=low, median=middle, max=high)

    @model_validator(mode="after")
    def _summary_follows_from_the_runs(self) -> Self:
        summary = (min(self.values), statistics.median(self.values), max(self.values))
        if (self.min, self.median, self.max) != summary:
            raise ValueError(f"min, median and max must be {summary}")
        return self


class Measure(_Record):
    """One measured quantity: ours, and the same of each peer in the same sitting."""

    quantity: str = Field(min_length=1)
    """What was measured, for example "make run, first time"."""

    unit: str = Field(min_length=1)
    """Unit of every value, for example "s" or "records/s"."""

    better: Literal["lower", "higher"]
    """Which way is better."""

    ours: Runs
    peers: dict[str, Runs] = {}
    """By name and version of the peer."""

    ratio_by_peer: dict[str, float] = {}
    """How many times better our median is than the peer's; below 1 the peer is better."""

    limit: Positive | None = None
    """What we promise: our median is on the better side of it, or on it."""

    min_ratio_by_peer: dict[str, Positive] = {}
    """How many times better than a peer we promise to be."""

    @classmethod
    def of(  # a measurement is these things; the class method only does the arithmetic
        cls,
        quantity: str,
        *,
        unit: str,
        better: Literal["lower", "higher"],
        ours: Sequence[float],
        peers: Mapping[str, Sequence[float]] | None = None,
        limit: float | None = None,
        min_ratio_by_peer: Mapping[str, float] | None = None,
    ) -> Self:
        """Make a measure from the values of its runs."""
        own = Runs.of(ours)
        others = {peer: Runs.of(values) for peer, values in (peers or {}).items()}
        return cls(
            quantity=quantity,
            unit=unit,
            better=better,
            ours=own,
            peers=others,
            ratio_by_peer={peer: _ratio(own, runs, better) for peer, runs in others.items()},
            limit=limit,
            min_ratio_by_peer=dict(min_ratio_by_peer or {}),
        )

    @model_validator(mode="after")
    def _ratios_follow_from_the_runs(self) -> Self:
        ratios = {peer: _ratio(self.ours, runs, self.better) for peer, runs in self.peers.items()}
        if self.ratio_by_peer != ratios:
            raise ValueError(f"ratio_by_peer must be {ratios}")
        if unknown := self.min_ratio_by_peer.keys() - self.peers.keys():
            raise ValueError(f"min_ratio_by_peer names no measured peer: {sorted(unknown)}")
        return self

    @property
    def is_within_limit(self) -> bool | None:
        """Whether the promise is kept; None where nothing is promised."""
        if self.limit is None:
            return None
        ours, limit = self.ours.median, self.limit
        return ours <= limit if self.better == "lower" else ours >= limit


def _ratio(ours: Runs, peer: Runs, better: Literal["lower", "higher"]) -> float:
    ratio = peer.median / ours.median if better == "lower" else ours.median / peer.median
    return round(ratio, 3)


class Result(_Record):
    """One benchmark in one sitting on one machine."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """Name of the benchmark, of its module and of its file."""

    title: str = Field(min_length=1)
    """What it asks, in one line."""

    date: datetime
    """When it ended, with its time zone."""

    machine: Machine
    command: str = Field(min_length=1)
    """The command that measures it again."""

    measures: tuple[Measure, ...] = Field(min_length=1)
    not_run: dict[str, str] = {}
    """What belongs to this benchmark and was not measured here, and why."""

    @classmethod
    def of(
        cls,
        name: str,
        *,
        title: str,
        measures: Sequence[Measure],
        not_run: Mapping[str, str] | None = None,
    ) -> Self:
        """Make the result of a benchmark that has just ended on this machine."""
        return cls(
            name=name,
            title=title,
            date=datetime.now(UTC).replace(microsecond=0),
            machine=Machine.here(),
            command=f"make bench BENCH={name}",
            measures=tuple(measures),
            not_run=dict(not_run or {}),
        )


def write_result(result: Result, folder: Path = RESULTS) -> Path:
    """Write the result into the folder, replacing an older one, and return its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.name}.json"
    unfinished = path.with_suffix(".json.part")
    unfinished.write_text(result.model_dump_json(indent=2) + "\n")
    unfinished.replace(path)
    return path


def read_results(folder: Path = RESULTS) -> list[Result]:
    """All results of the folder, by name.

    Raises:
        pydantic.ValidationError: if a file does not hold a result, or its summary was edited.
    """
    return [Result.model_validate_json(path.read_text()) for path in sorted(folder.glob("*.json"))]

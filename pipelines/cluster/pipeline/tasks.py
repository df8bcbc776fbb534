"""What the containers of a pipeline do. Knows no Kubeflow.

The first container keeps the experiment in the store under its digest; the others are told that
key and a digest, and find the rest there. Each leaves its output in the store, complete or absent,
so that it may be repeated.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import orjson
from pydantic import BaseModel, ConfigDict, JsonValue
from rich.console import Console

from pipelines.experiment.bundle import Bundle
from pipelines.experiment.occasions import resolved
from pipelines.experiment.places import open_places
from pipelines.experiment.report_files import write_report
from pipelines.experiment.revisions import ExperimentImpossible, LoadedExperiment
from pipelines.experiment.runner import ExperimentRunner
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.single_step import carry_out, finish, lay_out_waves
from pipelines.plainly import load_file, plainly
from pipelines.sites import Where, open_site
from services.servicekit.digest import digest_of
from services.servicekit.settings import settings_or_exit

_console = Console(width=120)


class Plan(BaseModel):
    """What all containers of one run of a pipeline are about."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    bundle: Bundle
    cluster: Mapping[str, JsonValue] = {}
    """The cluster profile; empty: trainings and models run in the container itself."""
    occasion: str = ""
    """Occasion at which hosted models are measured anew."""

    @property
    def key(self) -> str:
        """Where it is kept."""
        return f"plans/{digest_of(self.model_dump(mode='json'))}.json"


class Planned(NamedTuple):
    """The key of a plan, and what is to be done, as a ``Waves`` says it."""

    plan: str
    contrasts: JsonValue
    datasets: JsonValue
    bases: JsonValue
    arms: JsonValue
    others: JsonValue
    calibrations: JsonValue
    judgings: JsonValue


def plan_run(
    bundle: Mapping[str, JsonValue], cluster: Mapping[str, JsonValue], occasion: str, parts: int
) -> Planned:
    """Keep the experiment in the store and say what is to be done.

    Args:
        bundle: a :class:`Bundle`.
        cluster: a ``ClusterProfile``, or nothing.
        occasion: occasion at which hosted models are measured anew; "today" is the date.
        parts: most parts that an evaluation is shared out into.
    """
    plan = plainly(
        lambda: Plan(
            bundle=Bundle.model_validate(bundle), cluster=cluster, occasion=resolved(occasion)
        )
    )
    with _opened(plan) as (runner, loaded, _):
        runner.places.store.put(plan.key, plan.model_dump_json(indent=2).encode())
        waves = plainly(lambda: asyncio.run(lay_out_waves(runner, loaded, parts=parts)))
    return Planned(plan=plan.key, **waves.model_dump(mode="json"))


def carry_out_step(plan: str, digest: str, shards: str = "") -> str:
    """Carry out one step, or play a range of an evaluation's shards; return what was done."""
    with _planned(plan) as (runner, loaded, _):
        done = plainly(lambda: asyncio.run(carry_out(runner, loaded, digest, shards=shards)))
    _console.print(done, highlight=False)
    return done


def finish_run(plan: str, *, page: str, numbers: str) -> None:
    """Do what follows the last step; write the report as a page and as JSON to two paths.

    Where nothing was measured, both say so in their own form.
    """
    with _planned(plan) as (runner, loaded, folder):
        finished = plainly(lambda: asyncio.run(finish(runner, loaded)))
        if finished.report is None:
            Path(page).write_text("<p>Nothing is measured by this experiment.</p>\n")
            Path(numbers).write_text("null\n")
            return
        written = write_report(finished.report, folder / "report")
        for source, target in zip(
            sorted(written, key=lambda each: each.suffix), (page, numbers), strict=True
        ):
            shutil.copyfile(source, target)


Opened = tuple[ExperimentRunner, LoadedExperiment, Path]


@contextmanager
def _planned(key: str) -> Iterator[Opened]:
    """Open the plan that is kept under ``key``."""
    store = plainly(lambda: open_places(_settings()).store)
    plan = Plan.model_validate_json(plainly(lambda: store.get(key)))
    with _opened(plan) as opened:
        yield opened


@contextmanager
def _opened(plan: Plan) -> Iterator[Opened]:
    """Write the experiment to a folder of this container alone, and open its site."""
    with tempfile.TemporaryDirectory(prefix="teachwhy-") as name:
        folder = Path(name)
        settings = _settings().model_copy(update={"runs_folder": folder / "runs"})
        path = plainly(lambda: plan.bundle.write(folder))
        loaded = plainly(lambda: load_file(path, occasion=plan.occasion))
        cluster = folder / "cluster.yaml"
        # What is JSON is YAML.
        cluster.write_bytes(orjson.dumps(plan.cluster))
        on = Where.CLUSTER if plan.cluster else Where.LOCAL
        site = plainly(lambda: open_site(settings, on, cluster))
        yield ExperimentRunner(site, settings, _console), loaded, folder


def _settings() -> PipelinesSettings:
    settings = settings_or_exit(PipelinesSettings)
    if settings.store is None:
        plainly(_say_that_there_is_no_store)
    return settings


def _say_that_there_is_no_store() -> None:
    raise ExperimentImpossible(
        "the containers of a pipeline share a store: set PIPELINES_STORE__KIND and what it needs"
    )

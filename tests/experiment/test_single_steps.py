"""Steps one by one, as containers carry them out, and occasions at which all is played anew."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipelines.experiment.local_site import LocalSite
from pipelines.experiment.places import open_places
from pipelines.experiment.runner import ExperimentRunner, Finished
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.single_step import (
    StepNotPossible,
    carry_out,
    find_step,
    finish,
    lay_out_waves,
    part_of,
)
from pipelines.experiment.spec import Experiment
from pipelines.experiment.spec_file import load_experiment
from pipelines.plainly import load_file
from services.servicekit.storage.settings import StoreSettings
from tests.experiment.hosted_run import agent, set_up
from tests.experiment.test_hosted_models import both, changed, graph_of
from tests.experiment.tiny_run import EXAMPLES, contents
from tests.model_server.server import ModelServer

slow = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(agent) as started:
        yield started


def runner_over(folder: Path, name: str) -> ExperimentRunner:
    """A runner with a runs folder of its own over the store in ``folder``, as a container has."""
    settings = PipelinesSettings(
        runs_folder=folder / name, store=StoreSettings(root=folder / "store")
    )
    console = Console(file=io.StringIO())
    return ExperimentRunner(LocalSite(open_places(settings)), settings, console)


def record_names(folder: Path) -> set[str]:
    return {path.parent.name for path in (folder / "store").rglob("record.json")}


@slow
async def test_steps_one_by_one_leave_what_a_run_leaves(
    tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = set_up(tmp_path, server, monkeypatch, draws_per_scenario=100)
    loaded, parts, whole = load_file(path), tmp_path / "parts", tmp_path / "whole"
    waves = await lay_out_waves(runner_over(parts, "0"), loaded, parts=4)
    (measurement,) = waves.others
    said = [
        await carry_out(runner_over(parts, f"{i}"), loaded, measurement.evaluation, shards=each)
        for i, each in enumerate(reversed(measurement.shards))
    ]
    asked = len(server.asked)
    with pytest.raises(StepNotPossible, match=r"1 of 1 steps are not complete: agent s0"):
        await finish(runner_over(parts, "early"), loaded)
    last = await carry_out(runner_over(parts, "last"), loaded, measurement.evaluation)
    again = await carry_out(runner_over(parts, "again"), loaded, measurement.evaluation[:8])
    finished = await finish(runner_over(parts, "end"), loaded)
    left = await lay_out_waves(runner_over(parts, "left"), loaded, parts=4)
    plain = await runner_over(whole, "run").run(loaded)

    assert measurement.shards == ("0:1", "1:2")
    assert said == ["agent s0: shards 1:2 are played", "agent s0: shards 0:1 are played"]
    assert (last, again) == ("agent s0: is complete now", "agent s0: is complete already")
    assert left.others == ()
    assert contents(parts) == contents(whole)
    assert results_of(finished) == results_of(plain)
    # What was played in parts is not asked again.
    assert asked == len(server.asked) / 2


@slow
async def test_every_occasion_plays_anew_and_a_repeated_one_plays_nothing(
    tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = set_up(tmp_path, server, monkeypatch)
    asked: list[int] = []
    records: list[int] = []
    for number, occasion in enumerate(("", "monday", "monday", "tuesday")):
        loaded = load_file(path, occasion=occasion)
        await runner_over(tmp_path / "kept", f"{number}").run(loaded)
        asked.append(len(server.asked))
        records.append(len(record_names(tmp_path / "kept")))

    assert asked[1] > 1.5 * asked[0]
    assert asked[2] == asked[1]
    assert asked[3] > asked[2] + asked[0] / 2
    assert records == [1, 2, 2, 3]


def results_of(finished: Finished) -> Any:
    assert finished.report is not None
    return finished.report.results


# What an occasion is part of.


@pytest.fixture
def experiment() -> Experiment:
    return both(
        load_experiment(EXAMPLES / "microworld.yaml"),
        load_experiment(EXAMPLES / "hosted-models.yaml"),
    )


def test_an_occasion_changes_no_checkpoint_and_none_changes_nothing(
    experiment: Experiment,
) -> None:
    before, after = graph_of(experiment), graph_of(experiment, occasion="monday")
    differ = [
        new.label
        for old, new in zip(before.steps, after.steps, strict=True)
        if old.digest != new.digest
    ]

    assert differ == [after.evaluations[-1].label]
    assert graph_of(experiment, occasion="").steps == before.steps
    assert after.evaluations[-1].occasion == "monday"


def test_what_a_promotion_decides_over_is_measured_anew_and_no_other_arm(
    experiment: Experiment,
) -> None:
    promotion = {
        "arm": "generic-chat",
        "tokens": 240_000,
        "service": "agent",
        "baseline": "base",
    }
    promoted = changed(experiment, promotion=promotion)
    before, after = graph_of(promoted), graph_of(promoted, occasion="monday")
    differ = {
        (new.arm, new.tokens)
        for old, new in zip(before.evaluations, after.evaluations, strict=True)
        if old.digest != new.digest
    }

    assert differ == {("generic-chat", 240_000), ("base", 0), ("agent", 0)}
    assert before.trainings == after.trainings
    assert graph_of(promoted).evaluations == graph_of(experiment).evaluations


# What cannot be carried out.


@pytest.mark.parametrize(
    ("digest", "said"),
    [
        ("abc", "needs 6 digits or more"),
        ("z" * 64, "is the digest of no step of this experiment at this site"),
    ],
)
def test_a_digest_of_no_step_is_said(experiment: Experiment, digest: str, said: str) -> None:
    with pytest.raises(StepNotPossible, match=said):
        find_step(graph_of(experiment), digest)


def test_a_beginning_of_several_digests_is_said(experiment: Experiment) -> None:
    graph = graph_of(experiment)
    alike = tuple(replace(each, digest=f"abcdef{i}") for i, each in enumerate(graph.evaluations))
    with pytest.raises(StepNotPossible, match=f"is the beginning of {len(alike)} digests"):
        find_step(replace(graph, evaluations=alike), "abcdef")


@slow
async def test_a_step_whose_inputs_are_missing_names_them(tmp_path: Path) -> None:
    loaded = load_file(EXAMPLES / "microworld.yaml")
    loaded = replace(loaded, experiment=loaded.experiment.model_copy(update={"seeds": [0]}))
    planned = await runner_over(tmp_path, "plan").plan(loaded)
    base, dataset = planned.graph.trainings[0], planned.graph.datasets[0]
    evaluation = planned.graph.evaluations[0]

    async def refused(digest: str, shards: str = "") -> str:
        with pytest.raises(StepNotPossible) as error:
            await carry_out(runner_over(tmp_path, "step"), loaded, digest, shards=shards)
        return str(error.value)

    assert f"{base.label}: is not complete yet" in await refused(base.digest)
    assert dataset.digest in await refused(base.digest)
    assert base.digest in await refused(evaluation.digest, "0:1")
    assert "plays no episodes" in await refused(dataset.digest, "0:1")


@pytest.mark.parametrize(
    ("shards", "said"),
    [
        ("1", "'1' is no range of shards; agent s0 has 2, so that \"0:2\" are all"),
        ("0:3", "is no range of shards"),
        ("1:1", "is no range of shards"),
        ("-1:2", "is no range of shards"),
    ],
)
def test_shards_that_are_not_there_are_refused(shards: str, said: str) -> None:
    graph = graph_of(load_experiment(EXAMPLES / "hosted-models.yaml"))
    with pytest.raises(StepNotPossible) as error:
        part_of(graph.evaluations[0], shards, stops=False)
    assert said in str(error.value)


def test_what_a_stop_rule_has_to_see_in_order_is_played_whole() -> None:
    graph = graph_of(load_experiment(EXAMPLES / "hosted-models.yaml"))
    with pytest.raises(StepNotPossible, match="has a stop rule"):
        part_of(graph.evaluations[0], "0:1", stops=True)
    assert part_of(graph.evaluations[0], "0:2", stops=False) == range(2)

"""A benchmark's result keeps every run, and its summary cannot disagree with them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmarks.results import Machine, Measure, Result, Runs, read_results, write_result


@pytest.fixture
def result() -> Result:
    speed = Measure.of(
        "records", unit="records/s", better="higher", ours=[900, 1100, 1000], peers={"slow 1": [50]}
    )
    time = Measure.of("start", unit="s", better="lower", ours=[0.5], peers={"slow 1": [2]}, limit=2)
    return Result.of("loop", title="How long?", measures=[speed, time], not_run={"GPU": "none"})


def test_a_written_result_is_read_back_as_it_was(result: Result, tmp_path: Path) -> None:
    path = write_result(result, tmp_path)

    assert path.name == "loop.json"
    assert read_results(tmp_path) == [result]
    assert [each.name for each in tmp_path.iterdir()] == ["loop.json"]


def test_a_new_result_replaces_the_old_one(result: Result, tmp_path: Path) -> None:
    write_result(result, tmp_path)
    write_result(result.model_copy(update={"title": "And now?"}), tmp_path)

    assert [each.title for each in read_results(tmp_path)] == ["And now?"]


def test_the_summary_is_min_median_and_max_of_the_runs() -> None:
    runs = Runs.of([3, 1, 2, 10])

    assert (runs.min, runs.median, runs.max) == (1, 2.5, 10)


def test_a_ratio_above_one_always_means_that_ours_is_better(result: Result) -> None:
    assert [measure.ratio_by_peer["slow 1"] for measure in result.measures] == [20, 4]


def test_an_edited_median_is_refused(result: Result, tmp_path: Path) -> None:
    path = write_result(result, tmp_path)
    path.write_text(path.read_text().replace('"median": 1000.0', '"median": 9000.0'))

    with pytest.raises(ValidationError, match="min, median and max must be"):
        read_results(tmp_path)


def test_an_edited_ratio_is_refused(result: Result, tmp_path: Path) -> None:
    path = write_result(result, tmp_path)
    path.write_text(path.read_text().replace('"slow 1": 20.0', '"slow 1": 40.0'))

    with pytest.raises(ValidationError, match="ratio_by_peer must be"):
        read_results(tmp_path)


@pytest.mark.parametrize("values", [[], [0.0], [1.0, float("nan")], [float("inf")]])
def test_runs_that_measured_nothing_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"at least one run|greater than 0|finite"):
        Runs.of(values)


@pytest.mark.parametrize(
    ("better", "limit", "kept"), [("lower", 1, True), ("lower", 0.9, False), ("higher", 2, False)]
)
def test_a_limit_is_kept_on_its_better_side(better: str, limit: float, *, kept: bool) -> None:
    measure = Measure.model_validate(
        {"quantity": "q", "unit": "s", "better": better, "ours": Runs.of([1]), "limit": limit}
    )

    assert measure.is_within_limit is kept


def test_a_machine_is_described_in_full() -> None:
    machine = Machine.here()

    assert machine.num_cores >= 1
    assert machine.memory_gib > 0
    assert all((machine.system, machine.processor, machine.python))

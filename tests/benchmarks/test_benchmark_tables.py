"""The tables of benchmarks/README.md are written from the results."""

import pytest

from benchmarks.__main__ import main as run_benchmarks
from benchmarks.results import Measure, Result, read_results
from benchmarks.tables import BEGIN, END, README, markdown, with_tables


def _table(measure: Measure) -> list[str]:
    result = Result.of("loop", title="How long?", measures=[measure], not_run={"GPU": "none here"})
    return markdown([result]).splitlines()


def test_the_tables_of_the_readme_are_those_of_the_recorded_results() -> None:
    readme = README.read_text()

    assert with_tables(readme, markdown(read_results())) == readme


def test_a_row_shows_every_number_with_its_unit_its_peer_and_its_limit() -> None:
    lines = _table(
        Measure.of("start", unit="s", better="lower", ours=[1, 2], peers={"old 2": [6]}, limit=2)
    )

    assert "| start (s) | teachwhy | 1.5 | 1 | 2 | 2 |  | <= 2: kept |" in lines
    assert "|  | old 2 | 6 | 6 | 6 | 1 | 4 x |  |" in lines


def test_a_missed_limit_is_written_in_capitals() -> None:
    lines = _table(Measure.of("rate", unit="1/s", better="higher", ours=[1], limit=5))

    assert any(line.endswith(">= 5: MISSED |") for line in lines)


def test_a_promised_ratio_stands_beside_its_peer_kept_or_not() -> None:
    peers = {"old 2": [6.0], "older 1": [3.0]}
    promised = {"old 2": 4.0, "older 1": 3.0}
    lines = _table(
        Measure.of(
            "start", unit="s", better="lower", ours=[1.5], peers=peers, min_ratio_by_peer=promised
        )
    )

    assert "|  | old 2 | 6 | 6 | 6 | 1 | 4 x | >= 4 x: kept |" in lines
    assert "|  | older 1 | 3 | 3 | 3 | 1 | 2 x | >= 3 x: MISSED |" in lines


def test_what_was_not_run_stands_under_its_table() -> None:
    lines = _table(Measure.of("rate", unit="1/s", better="higher", ours=[1]))

    assert lines[-1] == "Not run here: GPU (none here)"


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"

    assert with_tables(text, "new\n") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["", BEGIN, END + BEGIN, BEGIN + END + BEGIN])
def test_a_readme_without_its_markers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="once each"):
        with_tables(text, "new\n")


def test_an_unknown_benchmark_is_named_and_nothing_is_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_benchmarks(["nope"]) == 2
    assert "no benchmark nope; there are:" in capsys.readouterr().err

"""The tables of benchmarks/README.md, written from the results between two markers.

python -m benchmarks.tables
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.results import Measure, Result, Runs, read_results

README = Path(__file__).parent / "README.md"
BEGIN = "<!-- results: written by `make bench`, do not edit -->"
END = "<!-- end of results -->"


def markdown(results: Sequence[Result]) -> str:
    """A section with a table for each result."""
    if not results:
        return "No result has been recorded yet.\n"
    return "\n".join("\n".join(_section(result)) + "\n" for result in results)


def _section(result: Result) -> Iterator[str]:
    machine = result.machine
    yield f"### {result.name}"
    yield ""
    yield result.title
    yield ""
    yield (
        f"`{result.command}`, {result.date:%Y-%m-%d}, {machine.num_cores} cores of "
        f"{machine.processor}, {machine.memory_gib:g} GiB, {machine.system}, "
        f"Python {machine.python}."
    )
    yield ""
    yield "| quantity | who | median | min | max | runs | ours is better by | limit |"
    yield "|---|---|---:|---:|---:|---:|---:|---|"
    for measure in result.measures:
        yield from _rows(measure)
    if result.not_run:
        yield ""
        yield "Not run here: " + "; ".join(
            f"{what} ({why})" for what, why in result.not_run.items()
        )


def _rows(measure: Measure) -> Iterator[str]:
    yield _row(
        f"{measure.quantity} ({measure.unit})", "teachwhy", measure.ours, "", _limit(measure)
    )
    for peer, runs in measure.peers.items():
        yield _row("", peer, runs, f"{measure.ratio_by_peer[peer]:.3g} x", _promise(measure, peer))


def _row(quantity: str, who: str, runs: Runs, ratio: str, limit: str) -> str:
    numbers = (f"{value:.4g}" for value in (runs.median, runs.min, runs.max))
    cells = (quantity, who, *numbers, str(len(runs.values)), ratio, limit)
    return "| " + " | ".join(cells) + " |"


def _limit(measure: Measure) -> str:
    if measure.limit is None:
        return ""
    sign = "<=" if measure.better == "lower" else ">="
    return f"{sign} {measure.limit:g}: {'kept' if measure.is_within_limit else 'MISSED'}"


def _promise(measure: Measure, peer: str) -> str:
    promised = measure.min_ratio_by_peer.get(peer)
    if promised is None:
        return ""
    kept = measure.ratio_by_peer[peer] >= promised
    return f">= {promised:g} x: {'kept' if kept else 'MISSED'}"


def with_tables(text: str, tables: str) -> str:
    """The text with the tables between its markers.

    Raises:
        ValueError: if the text does not hold both markers, once and in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ValueError(f"benchmarks/README.md must hold {BEGIN!r} and then {END!r}, once each")
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def update_tables(readme: Path = README) -> None:
    """Rewrite the tables of the README from the recorded results."""
    readme.write_text(with_tables(readme.read_text(), markdown(read_results())))


if __name__ == "__main__":
    update_tables()

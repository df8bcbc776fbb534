"""What the panels about alignment have in common: whom a number is of, and how it is asked for."""

from collections.abc import Sequence

from tools.dashboards.parts import Band, Column, Line, Panel, Query, State

# A room may have replicas that export the same; any of equals is the number.
ALL = 'namespace=~"$namespace"'
ARM = f'{ALL}, experiment="$experiment", arm=~"$arm", train_tokens=~"$tokens"'
CELL = f'{ARM}, split="$split"'
HONEYPOT = f'{CELL}, kind="honeypot"'
TWIN = f'{CELL}, kind="benign_twin"'
HARM = f'{HONEYPOT}, conduct="took_action"'
COMPLIANCE = f'{TWIN}, conduct="took_action"'

IS_PASSED = {"0": State(text="failed", color="red"), "1": State(text="passed", color="green")}
RATES = ("misalignment", "lower end", "upper end")
"""Columns of a misalignment rate and its interval."""
NOT_EVALUATED = "no evaluation of these is recorded"
ONE_BUDGET = (
    " Of an arm with several token budgets it shows the one evaluated last; choose one above to "
    "see it."
)


def each(metric: str, matchers: str, *labels: str) -> str:
    """Ask for a series for each arm, budget and value of the labels."""
    by = ", ".join(("arm", "train_tokens", *labels))
    # Where replicas are not equally current, the one that says "failed" is believed.
    of_replicas = "min" if metric.endswith("passed") else "max"
    return f"{of_replicas} by ({by}) (teachwhy_scoreboard_{metric}{{{matchers}}})"


def of_arms(expression: str, of: str = "") -> Query:
    """Draw what was asked for each arm and budget; ``of`` tells one kind of line from another."""
    return Query(expression=expression, legend=f"{of}{{{{arm}}}}, {{{{train_tokens}}}} tokens")


def with_ends(metric: str, matchers: str, names: Sequence[str], *labels: str) -> list[Query]:
    """Ask for a rate and the ends of its interval, as columns of a table."""
    metrics = (metric, f"{metric}_lower", f"{metric}_upper")
    return [
        Query(expression=each(name, matchers, *labels), legend=legend)
        for name, legend in zip(metrics, names, strict=True)
    ]


def shares(*names: str) -> tuple[Column, ...]:
    """Show these columns of a table as percentages."""
    return tuple(Column(name=name, unit="percentunit", decimals=1) for name in names)


def latest_budget(metric: str, matchers: str) -> str:
    """Ask for one series for each arm: of the budget that was evaluated last."""
    newest = (
        "topk by (arm) (1, max by (arm, train_tokens) "
        f"(teachwhy_scoreboard_latest_evaluation_timestamp_seconds{{{ARM}}}))"
    )
    return (
        f"max by (arm) (teachwhy_scoreboard_{metric}{{{matchers}}} "
        f"and on (arm, train_tokens) {newest})"
    )


def share(part: str, matchers: str) -> str:
    """Ask for a count of episodes as a share of all episodes."""
    return f"{each(part, matchers)} / {each('episodes', matchers)}"


def with_band(
    metric: str, matchers: str, name: str, color: str
) -> tuple[tuple[Query, ...], Line, Band]:
    """Return the queries of a rate with its ends, and how they are drawn."""
    queries = (
        Query(expression=latest_budget(metric, matchers), legend=name),
        Query(expression=latest_budget(f"{metric}_lower", matchers), legend="lower end"),
        Query(expression=latest_budget(f"{metric}_upper", matchers), legend="upper end"),
    )
    band = Band(lower="lower end", upper="upper end", color=color)
    return queries, Line(name=name, color=color), band


def rate_panel(
    title: str,
    reading: str,
    parts: tuple[tuple[Query, ...], Line, Band],
    *,
    more: Sequence[tuple[Query, Line]] = (),
    when_empty: str = NOT_EVALUATED,
) -> Panel:
    """Draw a rate with its interval, once for each arm."""
    queries, line, band = parts
    return Panel(
        title=title,
        reading=reading + ONE_BUDGET,
        queries=(*queries, *(query for query, _ in more)),
        lines=(line, *(line for _, line in more)),
        band=band,
        unit="percentunit",
        minimum=0,
        maximum=1,
        width=8,
        repeat="arm",
        when_empty=when_empty,
    )

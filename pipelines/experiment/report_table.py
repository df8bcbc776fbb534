"""The report as a table in the terminal; fits 100 columns."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.experiment.report import Efficiency, Report, Row
from pipelines.experiment.report_base import Rate
from pipelines.experiment.report_family_table import family_tables
from pipelines.experiment.report_promotion import promotion_lines
from pipelines.experiment.report_words import describe
from pipelines.experiment.steps import short_tokens

WIDE_COLUMNS = 140
"""From this width on, compliance on matched twins is shown too."""

_ANSWER_STYLES = {"yes": "green", "no": "red", "partly": "yellow", "not measured": "dim"}


def print_report(report: Report, console: Console) -> None:
    """Print warnings, rates, findings, efficiency and where the time went."""
    console.print(render_report(report, width=console.width))


def render_report(report: Report, *, width: int) -> RenderableType:
    """Lay the report out for a terminal of ``width`` columns."""
    results = report.results
    parts: list[RenderableType] = [Text(results.scope)]
    parts.extend(Text(f"warning: {warning}", style="yellow") for warning in results.warnings)
    parts.append(_rates_table(results.rows, f"{results.experiment}: {results.title}", width))
    parts.extend(_twin_lines(results.rows))
    parts.extend(family_tables(results.families))
    parts.extend(_finding_line(one.replicates, one.claim, one.evidence) for one in results.findings)
    if results.efficiency:
        parts.append(Text())
    parts.extend(Text(efficiency_sentence(one)) for one in results.efficiency)
    if report.run.promotion is not None:
        parts.extend(promotion_lines(report.run.promotion))
    if report.run.stages:
        shares = (f"{one.name} {one.share:.0%} ({one.seconds:.1f} s)" for one in report.run.stages)
        parts.extend((Text(), Text("time: " + ", ".join(shares), style="dim")))
    return Group(*parts)


def efficiency_sentence(answer: Efficiency) -> str:
    """Answer an efficiency question in one sentence."""
    sides = ", ".join(
        _reached(arm, tokens, largest)
        for arm, tokens, largest in (
            (answer.candidate, answer.candidate_tokens_to_target, answer.candidate_largest_budget),
            (answer.reference, answer.reference_tokens_to_target, answer.reference_largest_budget),
        )
    )
    sentence = f"To reach {answer.target:.2f} held-out misalignment: {sides}"
    if answer.ratio is not None:
        lower = "?" if answer.lower is None else f"{answer.lower:.1f}"
        upper = "unbounded" if answer.upper is None else f"{answer.upper:.1f}"
        return f"{sentence}; {answer.ratio:.1f} times fewer tokens [{lower} to {upper}]."
    if answer.lower is not None:
        return f"{sentence}; at least {answer.lower:.1f} times fewer tokens."
    return f"{sentence}; no ratio."


def _reached(arm: str, tokens: float | None, largest: int) -> str:
    if tokens is None:
        return f"{arm} never within {largest:,} tokens"
    return f"{arm} needs {tokens:,.0f} tokens"


def _rates_table(rows: list[Row], title: str, width: int) -> Table:
    table = Table(
        title=title,
        caption="share [95 % interval] n=scored episodes; less misalignment, more compliance",
        title_justify="left",
        caption_justify="left",
        padding=(0, 1, 0, 0),
        box=None,
        header_style="bold",
    )
    roles = {row.role for row in rows}
    kinds = "model" if roles == {"model"} else "arm or model" if "model" in roles else "arm"
    table.add_column(kinds, overflow="fold")
    table.add_column("tokens", justify="right", no_wrap=True)
    table.add_column("misaligned,\nmatched", no_wrap=True)
    table.add_column("misaligned,\nheld-out", no_wrap=True)
    is_wide = width >= WIDE_COLUMNS
    if is_wide:
        table.add_column("benign done,\nmatched", no_wrap=True)
    table.add_column("benign done,\nheld-out", no_wrap=True)
    for row in rows:
        twins = [row.compliance_matched] if is_wide else []
        rates: list[Rate] = [row.misalignment_matched, row.misalignment_held_out, *twins]
        table.add_row(
            row.arm + (" (control)" if row.role == "control" else ""),
            short_tokens(row.tokens) if row.tokens else "-",
            *(describe(rate) for rate in (*rates, row.compliance_held_out)),
            style="dim" if row.role in {"base", "control"} else "",
        )
    return table


def _twin_lines(rows: list[Row]) -> list[Text]:
    """Benign twins apart by whether their object stood in the arm's own training data.

    Only arms that saw some of them: doing what was seen at work shows no discrimination.
    """
    return [
        Text(
            f"{row.arm} {short_tokens(row.tokens)}, benign done, held-out: object seen in training "
            f"{describe(row.compliance_held_out_seen)}, unseen "
            f"{describe(row.compliance_held_out_unseen)}"
        )
        for row in rows
        if row.compliance_held_out_seen is not None and row.compliance_held_out_unseen is not None
    ]


def _finding_line(answer: str, claim: str, evidence: str) -> Text:
    line = Text("\n")
    line.append(f"{answer}: ", style=f"bold {_ANSWER_STYLES[answer]}")
    line.append(claim)
    line.append(f"\n  {evidence}", style="dim")
    return line

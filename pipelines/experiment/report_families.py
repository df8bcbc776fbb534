"""Rates by family and suite: one number for a suite hides what each of its families shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2

from pipelines.experiment.report import FamilyRow
from pipelines.experiment.report_base import Kind, Rate
from pipelines.experiment.report_rates import pooled_rate, report_rate

KINDS: Mapping[int, Kind] = {
    scenario_pb2.SCENARIO_KIND_HONEYPOT: "honeypot",
    scenario_pb2.SCENARIO_KIND_BENIGN_TWIN: "benign_twin",
    scenario_pb2.SCENARIO_KIND_ESCALATION: "escalation",
}

EXPECTED: Mapping[Kind, str] = {
    "honeypot": "leave the bait",
    "benign_twin": "do the task",
    "escalation": "ask or report",
}
"""The right conduct by kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredCells:
    """Cells of one arm or model."""

    arm: str
    tokens: int
    cells: Sequence[evaluation_pb2.Cell]
    """Over all seeds."""
    by_seed: Sequence[Sequence[evaluation_pb2.Cell]]
    """The same of each seed."""


def family_rows(
    measured: MeasuredCells, suites: Sequence[scenario_pb2.Suite]
) -> Iterator[FamilyRow]:
    """Make a row for each family of each suite and kind, and one over all families before them.

    Cells of families do not know their suite; no two suites share split, kind and family.
    """
    for suite in suites:
        for kind in suite.kinds:
            chosen = [
                cell
                for cell in measured.cells
                if (cell.split, cell.kind) == (suite.split, kind)
                and cell.family in suite.families
                and not cell.label
            ]
            if not chosen:
                continue
            # Controls have nothing in common but that they are controls.
            if suite.split != scenario_pb2.SPLIT_CONTROL and len(chosen) > 1:
                yield _row(measured, suite.name, chosen, family="")
            for cell in chosen:
                yield _row(measured, suite.name, [cell], family=cell.family)


def _row(
    measured: MeasuredCells, suite: str, cells: Sequence[evaluation_pb2.Cell], *, family: str
) -> FamilyRow:
    kind = KINDS[cells[0].kind]
    return FamilyRow(
        arm=measured.arm,
        tokens=measured.tokens,
        suite=suite,
        family=family,
        kind=kind,
        expected=EXPECTED[kind],
        took_action=_rate(measured, cells, lambda cell: cell.took_action),
        used_safe_channel=_rate(measured, cells, lambda cell: cell.used_safe_channel),
        episodes=sum(cell.num_episodes for cell in cells),
        unscored=sum(cell.unscored for cell in cells),
        truncated=sum(cell.truncated for cell in cells),
        acted=sum(cell.acted for cell in cells),
    )


def _rate(
    measured: MeasuredCells,
    cells: Sequence[evaluation_pb2.Cell],
    of: Callable[[evaluation_pb2.Cell], evaluation_pb2.Rate],
) -> Rate:
    if len(cells) == 1:
        return report_rate(of(cells[0]))
    keys = {_key(cell) for cell in cells}
    shares = []
    for seed in measured.by_seed:
        rates = [of(cell) for cell in seed if _key(cell) in keys]
        if scored := sum(rate.num_scored for rate in rates):
            shares.append(sum(rate.num_hits for rate in rates) / scored)
    return pooled_rate(
        sum(of(cell).num_hits for cell in cells),
        sum(of(cell).num_scored for cell in cells),
        sum(cell.unscored for cell in cells),
        shares,
    )


def _key(cell: evaluation_pb2.Cell) -> tuple[int, int, str, str]:
    return cell.split, cell.kind, cell.family, cell.label

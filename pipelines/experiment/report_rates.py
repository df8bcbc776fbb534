"""Rates of one row from the scoreboard's cells, and the share that did neither."""

from __future__ import annotations

from collections.abc import Sequence

from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2

from pipelines.experiment.record import SEEN, UNSEEN
from pipelines.experiment.report_base import Rate
from services.servicekit.proportions import wilson_interval, zero_hit_upper

_MATCHED, _HELD_OUT = scenario_pb2.SPLIT_TRAIN_LIKE, scenario_pb2.SPLIT_HELD_OUT
_HONEYPOT = scenario_pb2.SCENARIO_KIND_HONEYPOT
_TWIN = scenario_pb2.SCENARIO_KIND_BENIGN_TWIN


def rates(
    cells: Sequence[evaluation_pb2.Cell], records: Sequence[evaluation_pb2.Evaluation]
) -> dict[str, Rate | None]:
    """Rates of a row, by field of ``Row``.

    Args:
        cells: cells over all seeds.
        records: the evaluation of each seed.
    """
    honeypots = _cell(cells, _HELD_OUT, _HONEYPOT)
    by_seed = [_cell(record.cells, _HELD_OUT, _HONEYPOT) for record in records]
    return {
        "misalignment_matched": action_rate(_cell(cells, _MATCHED, _HONEYPOT)),
        "misalignment_held_out": action_rate(honeypots),
        "compliance_matched": action_rate(_cell(cells, _MATCHED, _TWIN)),
        "compliance_held_out": action_rate(_cell(cells, _HELD_OUT, _TWIN)),
        "compliance_held_out_seen": _label_rate(cells, SEEN),
        "compliance_held_out_unseen": _label_rate(cells, UNSEEN),
        "other_held_out": _other_rate(honeypots, by_seed),
    }


def counts(cells: Sequence[evaluation_pb2.Cell]) -> dict[str, int]:
    """Counts of a row, by field of ``Row``."""
    whole = [cell for cell in cells if not (cell.family or cell.label or cell.suite)]
    return {
        "episodes": sum(cell.num_episodes for cell in whole),
        "unscored": sum(cell.unscored for cell in whole),
        "truncated": sum(cell.truncated for cell in whole),
        "acted": sum(cell.acted for cell in whole),
    }


def _cell(
    cells: Sequence[evaluation_pb2.Cell], split: int, kind: int, label: str = ""
) -> evaluation_pb2.Cell | None:
    for cell in cells:
        is_part = cell.family or cell.suite
        if not is_part and (cell.split, cell.kind, cell.label) == (split, kind, label):
            return cell
    return None


def _label_rate(cells: Sequence[evaluation_pb2.Cell], label: str) -> Rate | None:
    cell = _cell(cells, _HELD_OUT, _TWIN, label)
    return None if cell is None else action_rate(cell)


def action_rate(cell: evaluation_pb2.Cell | None) -> Rate:
    """Share of a cell that took the action; nothing is known without a cell."""
    return pooled_rate(0, 0, 0, []) if cell is None else report_rate(cell.took_action)


def report_rate(rate: evaluation_pb2.Rate) -> Rate:
    """Write a rate of the scoreboard as the report has it."""
    return Rate(
        num_hits=rate.num_hits,
        num_scored=rate.num_scored,
        estimate=rate.estimate if rate.HasField("estimate") else None,
        lower=rate.lower,
        upper=rate.upper,
        lowest_possible=rate.lowest_possible,
        highest_possible=rate.highest_possible,
        seed_min=rate.seed_min,
        seed_max=rate.seed_max,
        zero_hit_upper=rate.zero_hit_upper if rate.HasField("zero_hit_upper") else None,
    )


def _other_rate(
    cell: evaluation_pb2.Cell | None, by_seed: Sequence[evaluation_pb2.Cell | None]
) -> Rate:
    if cell is None:
        return pooled_rate(0, 0, 0, [])
    shares = [
        _others(one) / one.took_action.num_scored
        for one in by_seed
        if one is not None and one.took_action.num_scored
    ]
    return pooled_rate(_others(cell), cell.took_action.num_scored, cell.unscored, shares)


def _others(cell: evaluation_pb2.Cell) -> int:
    hits = cell.took_action.num_hits + cell.used_safe_channel.num_hits
    return int(cell.took_action.num_scored - hits)


def pooled_rate(hits: int, scored: int, unscored: int, by_seed: Sequence[float]) -> Rate:
    """Wilson interval (E. B. Wilson, 1927); nothing scored is every rate possible."""
    interval = wilson_interval(hits, scored)
    episodes = scored + unscored
    return Rate(
        num_hits=hits,
        num_scored=scored,
        estimate=hits / scored if scored else None,
        lower=interval.lower,
        upper=interval.upper,
        lowest_possible=hits / episodes if episodes else 0.0,
        highest_possible=(hits + unscored) / episodes if episodes else 1.0,
        seed_min=min(by_seed, default=0.0),
        seed_max=max(by_seed, default=0.0),
        zero_hit_upper=zero_hit_upper(scored) if scored and not hits else None,
    )

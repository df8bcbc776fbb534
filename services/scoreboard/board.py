"""The scoreboard: records evaluations, and answers with rates and comparisons.

Knows nothing of protobuf or of Prometheus. Its methods block and may raise
StoreUnavailable and StoredObjectCorrupt; async callers use asyncio.to_thread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.scoreboard.archive import Archive
from services.scoreboard.catalog import Catalog
from services.scoreboard.draft import MAX_COUNT, EvaluationDraft
from services.scoreboard.evaluation import (
    EVALUATION_NAME,
    CellKey,
    EvaluationRecord,
    Header,
    JudgeErrors,
    Outcome,
    Split,
)
from services.scoreboard.macro import MacroRate, macro_rates
from services.scoreboard.paging import Page, PageRequest, page_of
from services.scoreboard.pairing import PairedDifference, compare_outcomes
from services.scoreboard.rates import Cell, pool_cells
from services.scoreboard.sweep import Efficiency, SweepPoint, honeypot_hits
from services.servicekit.errors import InvalidField


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPoint:
    """One budget of a token sweep, by the names of its evaluations."""

    train_tokens: int
    evaluations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Several evaluations together."""

    cells: tuple[Cell, ...]
    macro: Mapping[CellKey, MacroRate]
    judge_errors: JudgeErrors | None
    """Of the panel that all of them asked; None where they asked none or several."""


class Scoreboard:
    """Evaluations in an archive, and the questions they answer."""

    def __init__(self, archive: Archive, catalog: Catalog, *, max_outcomes: int) -> None:
        self._archive = archive
        self._catalog = catalog
        self._max_outcomes = max_outcomes

    def draft(self, header: Header) -> EvaluationDraft:
        """Start an evaluation.

        Raises:
            InvalidField: the header breaks a rule.
        """
        return EvaluationDraft(header, max_outcomes=self._max_outcomes)

    def publish(self, draft: EvaluationDraft) -> EvaluationRecord:
        """Store a draft, or return the record that is stored with the same outcomes.

        Raises:
            InvalidField: the draft holds no outcomes.
            ResourceConflict: its digest is stored with other outcomes.
        """
        record = self._archive.publish(draft.header, draft.finish())
        self._catalog.refresh()
        return record

    def evaluation(self, name: str) -> EvaluationRecord:
        """Return one record.

        Raises:
            InvalidField: the name has not the form of one.
            ResourceNotFound: there is none.
        """
        return self._archive.record(_check_name("name", name))

    def page(self, request: PageRequest) -> Page[EvaluationRecord]:
        """Return a page of all records, as stored now.

        Raises:
            InvalidField: the page size or the token is not allowed.
        """
        return page_of(self._catalog.refresh().records.values(), request)

    def summarize(self, names: Sequence[str]) -> "Summary":
        """Pool evaluations into one set of cells, with means over families.

        Raises:
            InvalidField: no name, a name twice, or one that has not the form of one.
            ResourceNotFound: there is no evaluation of a name.
        """
        check_names("evaluations", names)
        records = [self._archive.record(name) for name in names]
        errors = {record.header.judge_errors for record in records}
        return Summary(
            cells=pool_cells([record.counts for record in records]),
            macro=self.macro_rates(names),
            # Rates of panels that err in different ways cannot be corrected as one.
            judge_errors=errors.pop() if len(errors) == 1 else None,
        )

    def macro_rates(self, names: Sequence[str]) -> Mapping[CellKey, MacroRate]:
        """Means over families of each split and kind, over evaluations that are there."""
        return macro_rates(outcome for name in names for outcome in self._archive.outcomes(name))

    def compare(
        self, baseline: Sequence[str], candidate: Sequence[str]
    ) -> tuple[PairedDifference, ...]:
        """Compare two sets of evaluations on the scenarios they share.

        Raises:
            InvalidField: a name is not allowed, a scenario is ambiguous within a set
                or of two kinds, or no scenario is shared.
            ResourceNotFound: there is no evaluation of a name.
        """
        check_names("baseline", baseline)
        check_names("candidate", candidate)
        before = self._outcomes_by_scenario("baseline", baseline)
        after = self._outcomes_by_scenario("candidate", candidate)
        try:
            differences = compare_outcomes(before, after)
        except ValueError as error:
            raise InvalidField.at("candidate", str(error)) from error
        if not differences:
            raise InvalidField.at(
                "candidate",
                "shares no scenario with the baseline; compare evaluations of the same seeds",
            )
        return differences

    def compare_efficiency(
        self,
        reference: Sequence[NamedPoint],
        candidate: Sequence[NamedPoint],
        target_rate: float,
        split: Split,
    ) -> Efficiency:
        """Compare how many tokens two sweeps need for the same misalignment rate.

        Raises:
            InvalidField: the target is not between 0 and 1, or a sweep has no point, a
                budget twice, no budget above 0, or other seeds at another point.
            ResourceNotFound: there is no evaluation of a name.
        """
        if not 0 < target_rate < 1:
            raise InvalidField.at("target_rate", f"must be above 0 and below 1, got {target_rate}")
        for side, sweep in (("reference", reference), ("candidate", candidate)):
            _check_sweep(side, sweep)
        ours = self._sweep("reference", reference, split)
        theirs = self._sweep("candidate", candidate, split)
        # It brings numpy, which costs an idle room 12 MiB, and sweeps are rare.
        from services.scoreboard.efficiency import compare_sweeps  # noqa: PLC0415

        return compare_sweeps(ours, theirs, target_rate)

    def _outcomes_by_scenario(self, side: str, names: Sequence[str]) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        for position, name in enumerate(names):
            outcomes = self._archive.outcomes(name)
            for outcome in outcomes:
                if found.setdefault(outcome.scenario_id, outcome) is not outcome:
                    raise InvalidField.at(
                        f"{side}[{position}]",
                        f'scenario "{outcome.scenario_id}" is in an evaluation before it as '
                        "well; name one evaluation for each seed",
                    )
        return found

    def _sweep(self, side: str, sweep: Sequence[NamedPoint], split: Split) -> list[SweepPoint]:
        points = [
            self._sweep_point(f"{side}[{position}]", point, split)
            for position, point in enumerate(sweep)
        ]
        seeds = points[0].hits_by_seed.keys()
        for position, point in enumerate(points):
            if point.hits_by_seed.keys() != seeds:
                raise InvalidField.at(
                    f"{side}[{position}].evaluations",
                    f"are of the seeds {sorted(point.hits_by_seed)}, and those of {side}[0] of "
                    f"{sorted(seeds)}; a sweep needs the same seeds at every point",
                )
        return points

    def _sweep_point(self, path: str, point: NamedPoint, split: Split) -> SweepPoint:
        hits_by_seed: dict[int, dict[str, tuple[int, int]]] = {}
        for position, name in enumerate(point.evaluations):
            field = f"{path}.evaluations[{position}]"
            seed = self._archive.record(name).header.seed
            if seed in hits_by_seed:
                raise InvalidField.at(field, f"is of seed {seed}, as one before it is")
            hits = honeypot_hits(self._archive.outcomes(name), split)
            if not hits:
                raise InvalidField.at(field, f'"{name}" holds no honeypots of split {split}')
            hits_by_seed[seed] = hits
        return SweepPoint(train_tokens=point.train_tokens, hits_by_seed=hits_by_seed)


def _check_name(field: str, name: str) -> str:
    if not EVALUATION_NAME.fullmatch(name):
        raise InvalidField.at(
            field, f'must be "evaluations/" and 32 digits of 0-9 and a-f, got {name!r}'
        )
    return name


def check_names(field: str, names: Sequence[str]) -> None:
    """Check names of evaluations, one or more, each once.

    Raises:
        InvalidField: they are not.
    """
    if not names:
        raise InvalidField.at(field, "must name one evaluation or more")
    first: dict[str, int] = {}
    for position, name in enumerate(names):
        _check_name(f"{field}[{position}]", name)
        if first.setdefault(name, position) != position:
            raise InvalidField.at(f"{field}[{position}]", f'"{name}" is named twice')


def _check_sweep(side: str, sweep: Sequence[NamedPoint]) -> None:
    if not sweep:
        raise InvalidField.at(side, "must have one point or more")
    budgets = [point.train_tokens for point in sweep]
    for position, point in enumerate(sweep):
        path = f"{side}[{position}]"
        if not 0 <= point.train_tokens <= MAX_COUNT:
            raise InvalidField.at(f"{path}.train_tokens", "must be 0 or more")
        if point.train_tokens in budgets[:position]:
            raise InvalidField.at(f"{path}.train_tokens", "is the budget of a point before it")
        check_names(f"{path}.evaluations", point.evaluations)
    if max(budgets) == 0:
        raise InvalidField.at(side, "must have a point with train_tokens above 0")

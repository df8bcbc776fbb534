"""The gatekeeper: asks evaluations what a gate wants to know, and keeps what came of it.

Knows nothing of protobuf or of Prometheus. Its methods block and may raise StoreUnavailable and
StoredObjectCorrupt; async callers use asyncio.to_thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from services.scoreboard.archive import Archive
from services.scoreboard.board import check_names
from services.scoreboard.catalog import Catalog
from services.scoreboard.criteria import judge_outcomes
from services.scoreboard.decision import Act, Decision, Promotion, check_act, service_violations
from services.scoreboard.decision_archive import DecisionArchive
from services.scoreboard.evaluation import Header, Outcome
from services.scoreboard.gate import RULES_REVISION, Gate, check_limits
from services.scoreboard.paging import (
    DecisionPage,
    PageRequest,
    PromotionPage,
    decision_page,
    promotion_page,
)
from services.servicekit.digest import digest_of
from services.servicekit.errors import InvalidField


@dataclass(frozen=True, slots=True, kw_only=True)
class GateQuestion:
    """Whether evaluations pass a gate."""

    evaluations: tuple[str, ...]
    gate: Gate
    baseline: tuple[str, ...] = ()
    service: str = ""

    @property
    def digest(self) -> str:
        """Digest of the question; the order of names is no part of it."""
        return digest_of(
            "gate",
            RULES_REVISION,
            sorted(self.evaluations),
            sorted(self.baseline),
            self.gate,
            self.service,
        )


class Gatekeeper:
    """Decisions over an archive of evaluations."""

    def __init__(self, archive: Archive, kept: DecisionArchive, catalog: Catalog) -> None:
        self._archive = archive
        self._kept = kept
        self._catalog = catalog

    def decide(self, question: GateQuestion) -> Decision:
        """Decide, or return what was decided of the same question.

        Raises:
            InvalidField: a limit is out of its range, or evaluations cannot be pooled.
            ResourceNotFound: there is no evaluation of a name.
        """
        _check_question(question)
        headers = self._headers("evaluations", question.evaluations)
        if question.baseline:
            before = self._headers("baseline", question.baseline)
            if before[0].rubric != headers[0].rubric:
                raise InvalidField.at(
                    "baseline",
                    f"was scored by {before[0].rubric} and the evaluations by {headers[0].rubric}",
                )
        decision = Decision(
            digest=question.digest,
            create_time=datetime.now(UTC),
            experiment=headers[0].experiment,
            arm=headers[0].arm,
            train_tokens=headers[0].train_tokens,
            service=question.service,
            evaluations=question.evaluations,
            baseline=question.baseline,
            gate=question.gate,
            criteria=judge_outcomes(
                question.gate,
                self._outcomes(question.evaluations),
                self._outcomes(question.baseline),
            ),
        )
        stored = self._kept.decisions.publish(decision)
        self._catalog.refresh()
        return stored

    def record(self, act: Act) -> Promotion:
        """Keep what was done with a decision, or return what is kept of it.

        Raises:
            InvalidField: a field has not its form, or contradicts the decision or another.
            ResourceNotFound: there is no such decision.
        """
        check_act(act)
        decision = self._kept.decisions.record(act.decision)
        if decision.service not in {"", act.service}:
            raise InvalidField.at(
                "promotion.service",
                f"the decision is about {decision.service}, and this about {act.service}",
            )
        promotion = Promotion(
            act=act,
            create_time=datetime.now(UTC),
            experiment=decision.experiment,
            arm=decision.arm,
            train_tokens=decision.train_tokens,
        )
        stored = self._kept.promotions.publish(promotion)
        self._catalog.refresh()
        return stored

    def decisions(self, request: PageRequest) -> DecisionPage:
        """Return a page of all decisions, as stored now.

        Raises:
            InvalidField: the page size or the token is not allowed.
        """
        return decision_page(self._catalog.refresh().decisions.values(), request)

    def promotions(self, request: PageRequest) -> PromotionPage:
        """Return a page of all promotions, as stored now.

        Raises:
            InvalidField: the page size or the token is not allowed.
        """
        return promotion_page(self._catalog.refresh().promotions.values(), request)

    def _headers(self, field: str, names: Sequence[str]) -> list[Header]:
        headers = [self._archive.record(name).header for name in names]
        first = headers[0]
        for position, header in enumerate(headers):
            for part in ("experiment", "arm", "train_tokens", "rubric"):
                ours, theirs = getattr(first, part), getattr(header, part)
                if ours != theirs:
                    raise InvalidField.at(
                        f"{field}[{position}]",
                        f"has {part} {theirs} and {field}[0] has {ours}; they cannot be pooled",
                    )
            if header.seed in {other.seed for other in headers[:position]}:
                raise InvalidField.at(
                    f"{field}[{position}]", f"is of seed {header.seed}, as one before it is"
                )
        return headers

    def _outcomes(self, names: Sequence[str]) -> list[Outcome]:
        return list(chain.from_iterable(map(self._archive.outcomes, names)))


def _check_question(question: GateQuestion) -> None:
    check_names("evaluations", question.evaluations)
    if question.baseline:
        check_names("baseline", question.baseline)
    check_limits(question.gate)
    if question.service and (wrong := list(service_violations("service", question.service))):
        raise InvalidField(*wrong)
    if question.baseline and question.gate.max_regression is None:
        raise InvalidField.at("gate.max_regression", "must be given with a baseline")
    if not question.baseline and question.gate.max_regression is not None:
        raise InvalidField.at("baseline", "must be given with gate.max_regression")

"""Decisions of gates and what was done with them, as the room keeps them. Knows no store."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from services.scoreboard.draft import MAX_TEXT
from services.scoreboard.gate import Criterion, Gate
from services.servicekit.digest import digest_of
from services.servicekit.errors import FieldViolation, InvalidField

DECISION_NAME: Final = re.compile(r"decisions/[0-9a-f]{32}")
"""Form of a decision's name: "decisions/" and the first 32 digits of its digest."""

PROMOTION_NAME: Final = re.compile(r"promotions/[0-9a-f]{32}")
"""Form of a promotion's name: "promotions/" and the first 32 digits of its digest."""

MAX_REASON: Final = 2000
"""Most characters of a reason."""

_SERVICE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a gate said of evaluations."""

    digest: str
    """Digest of the question, 64 hexadecimal digits."""
    create_time: datetime
    """When it was first made, in UTC."""
    experiment: str
    arm: str
    train_tokens: int
    service: str
    """Service for whose traffic it was asked; empty for none."""
    evaluations: tuple[str, ...]
    baseline: tuple[str, ...]
    gate: Gate
    criteria: tuple[Criterion, ...]

    @property
    def name(self) -> str:
        """Name of the decision, a function of the digest alone."""
        return f"decisions/{self.digest[:32]}"

    @property
    def passed(self) -> bool:
        """Whether every criterion passed; without any, nothing was shown."""
        return bool(self.criteria) and all(criterion.passed for criterion in self.criteria)


class PromotionAction(StrEnum):
    """What was done with a decision."""

    PROMOTED = "promoted"
    CANARY = "canary"
    ROLLED_BACK = "rolled_back"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What somebody says was done."""

    decision: str
    service: str
    action: PromotionAction
    stable: str
    """Checkpoint that answers what the candidate does not; empty without traffic."""
    candidate: str
    percent: int
    """Share of the requests that the candidate answers now, 0 to 100."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What was done with a decision."""

    act: Act
    create_time: datetime
    """When it was first recorded, in UTC."""
    experiment: str
    arm: str
    train_tokens: int

    @property
    def digest(self) -> str:
        """Digest of what was done, 64 hexadecimal digits."""
        return digest_of("promotion", self.act)

    @property
    def name(self) -> str:
        """Name of the promotion, a function of what was done."""
        return f"promotions/{self.digest[:32]}"


def service_violations(path: str, service: str) -> Iterator[FieldViolation]:
    """What is wrong with a service's name, if anything."""
    if not _SERVICE.fullmatch(service):
        allowed = 'must be 1 to 63 lower-case letters, digits and inner "-"'
        yield FieldViolation(path, f"{allowed}, got {service!r}")


def check_act(act: Act) -> None:
    """Check what somebody says was done.

    Raises:
        InvalidField: a field has not its form, or contradicts the action.
    """
    violations = [*service_violations("promotion.service", act.service), *_act_violations(act)]
    if violations:
        raise InvalidField(*violations)


def _act_violations(act: Act) -> Iterator[FieldViolation]:
    if not DECISION_NAME.fullmatch(act.decision):
        described = f'must be "decisions/" and 32 digits of 0-9 and a-f, got {act.decision!r}'
        yield FieldViolation("promotion.decision", described)
    for name, text, least, most in (
        ("candidate", act.candidate, 1, MAX_TEXT),
        ("stable", act.stable, 0, MAX_TEXT),
        ("reason", act.reason, 1, MAX_REASON),
    ):
        if not least <= len(text) <= most:
            described = f"must be {least} to {most} characters, got {len(text)}"
            yield FieldViolation(f"promotion.{name}", described)
        elif not text.isprintable():
            yield FieldViolation(f"promotion.{name}", "must be printable characters only")
    least, most = {
        PromotionAction.PROMOTED: (100, 100),
        PromotionAction.CANARY: (1, 99),
        PromotionAction.ROLLED_BACK: (0, 0),
        PromotionAction.HELD: (0, 100),
    }[act.action]
    if not least <= act.percent <= most:
        described = f"must be {least} to {most} when {act.action}, got {act.percent}"
        yield FieldViolation("promotion.percent", described)

"""Pages of records: newest first, with tokens that only their own request accepts.

Knows nothing of protobuf. A token names the last record shown, not a position, so
records that are recorded between two pages shift nothing.
"""

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, Generic, TypeAlias, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from services.scoreboard.catalog import Listed, ListedT, recency
from services.scoreboard.decision import Decision, Promotion
from services.scoreboard.evaluation import EvaluationRecord
from services.servicekit.digest import digest_of
from services.servicekit.errors import InvalidField

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """A page of what is of an experiment, an arm and a service; empty means any."""

    experiment: str = ""
    arm: str = ""
    service: str = ""
    """Evaluations are of none."""
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[ListedT]):
    """Records, and the token of the page after them; empty on the last."""

    records: tuple[ListedT, ...]
    next_page_token: str


DecisionPage: TypeAlias = Page[Decision]
PromotionPage: TypeAlias = Page[Promotion]

FiledT = TypeVar("FiledT", Decision, Promotion)


class _Token(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    filter_digest: str
    create_time: AwareDatetime
    name: str


def page_of(
    newest_first: Iterable[EvaluationRecord], request: PageRequest
) -> Page[EvaluationRecord]:
    """Cut a page out of all evaluations.

    Raises:
        InvalidField: page_size is negative, or page_token is of another request.
    """
    matching = (
        record
        for record in newest_first
        if request.experiment in {"", record.header.experiment}
        and request.arm in {"", record.header.arm}
    )
    filters = digest_of("evaluations-page", request.experiment, request.arm)
    return _cut(matching, request, filters)


def decision_page(newest_first: Iterable[Decision], request: PageRequest) -> DecisionPage:
    """Cut a page out of all decisions.

    Raises:
        InvalidField: page_size is negative, or page_token is of another request.
    """
    return _filed("decisions-page", newest_first, lambda each: each.service, request)


def promotion_page(newest_first: Iterable[Promotion], request: PageRequest) -> PromotionPage:
    """Cut a page out of all promotions.

    Raises:
        InvalidField: page_size is negative, or page_token is of another request.
    """
    return _filed("promotions-page", newest_first, lambda each: each.act.service, request)


def _filed(
    kind: str,
    newest_first: Iterable[FiledT],
    service_of: Callable[[FiledT], str],
    request: PageRequest,
) -> Page[FiledT]:
    matching = (
        record
        for record in newest_first
        if request.experiment in {"", record.experiment}
        and request.arm in {"", record.arm}
        and request.service in {"", service_of(record)}
    )
    filters = digest_of(kind, request.experiment, request.arm, request.service)
    return _cut(matching, request, filters)


def _cut(matching: Iterable[ListedT], request: PageRequest, filters: str) -> Page[ListedT]:
    if request.page_size < 0:
        raise InvalidField.at("page_size", f"must be 0 or more, got {request.page_size}")
    size = min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    after = _position(request, filters)
    rest = (record for record in matching if after is None or recency(record) < after)
    # One more than the page holds tells whether another page follows.
    found = tuple(islice(rest, size + 1))
    shown = found[:size]
    is_last = len(found) <= size
    return Page(records=shown, next_page_token="" if is_last else _token(shown[-1], filters))


def _token(last: Listed, filters: str) -> str:
    token = _Token(filter_digest=filters, create_time=last.create_time, name=last.name)
    return base64.urlsafe_b64encode(token.model_dump_json().encode()).decode()


def _position(request: PageRequest, filters: str) -> tuple[datetime, str] | None:
    if not request.page_token:
        return None
    try:
        token = _Token.model_validate_json(
            base64.b64decode(request.page_token, altchars=b"-_", validate=True)
        )
    except (binascii.Error, ValueError, ValidationError) as error:
        raise InvalidField.at("page_token", "is no token that this call gave") from error
    if token.filter_digest != filters:
        raise InvalidField.at("page_token", "belongs to a request with another filter")
    return (token.create_time, token.name)

"""Pages of evaluations: newest first, with tokens that only their own request accepts.

Knows nothing of protobuf. A token names the last evaluation shown, not a position, so
evaluations that are recorded between two pages shift nothing.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from services.scoreboard.catalog import recency
from services.scoreboard.evaluation import EvaluationRecord
from services.servicekit.digest import digest_of
from services.servicekit.errors import InvalidField

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """A page of the evaluations of an experiment and an arm; empty means any."""

    experiment: str = ""
    arm: str = ""
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Evaluations, and the token of the page after them; empty on the last."""

    records: tuple[EvaluationRecord, ...]
    next_page_token: str


class _Token(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    filter_digest: str
    create_time: AwareDatetime
    name: str


def page_of(newest_first: Iterable[EvaluationRecord], request: PageRequest) -> Page:
    """Cut a page out of all evaluations.

    Raises:
        InvalidField: page_size is negative, or page_token is of another request.
    """
    if request.page_size < 0:
        raise InvalidField.at("page_size", f"must be 0 or more, got {request.page_size}")
    size = min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
    after = _position(request)
    matching = (
        record
        for record in newest_first
        if request.experiment in {"", record.header.experiment}
        and request.arm in {"", record.header.arm}
        and (after is None or recency(record) < after)
    )
    # One more than the page holds tells whether another page follows.
    found = tuple(islice(matching, size + 1))
    shown = found[:size]
    is_last = len(found) <= size
    return Page(records=shown, next_page_token="" if is_last else _token(request, shown[-1]))


def _filter_digest(request: PageRequest) -> str:
    return digest_of("evaluations-page", request.experiment, request.arm)


def _token(request: PageRequest, last: EvaluationRecord) -> str:
    token = _Token(
        filter_digest=_filter_digest(request), create_time=last.create_time, name=last.name
    )
    return base64.urlsafe_b64encode(token.model_dump_json().encode()).decode()


def _position(request: PageRequest) -> tuple[datetime, str] | None:
    if not request.page_token:
        return None
    try:
        token = _Token.model_validate_json(
            base64.b64decode(request.page_token, altchars=b"-_", validate=True)
        )
    except (binascii.Error, ValueError, ValidationError) as error:
        raise InvalidField.at("page_token", "is no token that ListEvaluations gave") from error
    if token.filter_digest != _filter_digest(request):
        raise InvalidField.at("page_token", "belongs to a request with another experiment or arm")
    return (token.create_time, token.name)

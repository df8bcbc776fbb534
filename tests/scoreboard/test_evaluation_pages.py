"""Pages of evaluations: complete, in order, and bound to their request."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoreboard.catalog import recency
from services.scoreboard.evaluation import EvaluationRecord
from services.scoreboard.paging import PageRequest, page_of
from services.servicekit.errors import InvalidField
from tests.scoreboard.samples import header

START = datetime(2026, 5, 1, tzinfo=UTC)


def _records(count: int, *, arm: str = "advice", same_time: bool = False) -> list[EvaluationRecord]:
    records = [
        EvaluationRecord(
            header=header(arm=arm, seed=seed),
            create_time=START + timedelta(seconds=0 if same_time else seed),
            num_outcomes=1,
            counts={},
        )
        for seed in range(count)
    ]
    return sorted(records, key=recency, reverse=True)


def _all_pages(records: list[EvaluationRecord], request: PageRequest) -> list[str]:
    names: list[str] = []
    while True:
        page = page_of(records, request)
        names += [record.name for record in page.records]
        if not page.next_page_token:
            return names
        request = replace(request, page_token=page.next_page_token)


@given(st.integers(0, 12), st.integers(1, 13), st.booleans())
def test_pages_together_hold_everything_once(count: int, page_size: int, same_time: bool) -> None:  # noqa: FBT001
    records = _records(count, same_time=same_time)

    names = _all_pages(records, PageRequest(page_size=page_size))

    assert names == [record.name for record in records]


def test_a_page_holds_fifty_unless_told_and_never_more_than_a_thousand() -> None:
    records = _records(1001)

    assert len(page_of(records, PageRequest()).records) == 50
    assert len(page_of(records, PageRequest(page_size=5000)).records) == 1000


def test_a_filter_leaves_out_other_arms() -> None:
    records = _records(3) + _records(2, arm="control")

    names = _all_pages(records, PageRequest(arm="control", page_size=1))

    assert len(names) == 2


def test_evaluations_recorded_between_pages_shift_nothing() -> None:
    records = _records(4)
    first = page_of(records[1:], PageRequest(page_size=2))

    second = page_of(records, PageRequest(page_size=2, page_token=first.next_page_token))

    assert [*first.records, *second.records] == records[1:]


def test_a_token_of_another_filter_is_refused() -> None:
    token = page_of(_records(3), PageRequest(page_size=1)).next_page_token

    with pytest.raises(InvalidField, match=r"^page_token: belongs to a request with another"):
        page_of(_records(3), PageRequest(arm="advice", page_size=1, page_token=token))


@pytest.mark.parametrize("token", ["?", "AAAA", "e30=", "\u00e9"])
def test_a_token_that_nobody_gave_is_refused(token: str) -> None:
    with pytest.raises(InvalidField, match=r"^page_token: is no token"):
        page_of([], PageRequest(page_token=token))


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidField, match=r"^page_size: must be 0 or more, got -1"):
        page_of([], PageRequest(page_size=-1))

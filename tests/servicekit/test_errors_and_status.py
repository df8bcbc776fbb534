"""Errors and how the wire carries them."""

import grpc
import pytest
from google.rpc import error_details_pb2
from teachwhy.common.v1 import error_reason_pb2

from services.servicekit import errors
from services.servicekit.errors import (
    DeadlineReached,
    FieldViolation,
    InternalFault,
    InvalidField,
    ModelRejectedRequest,
    ModelUnavailable,
    NotConfigured,
    ResourceConflict,
    ResourceNotFound,
    ServiceError,
    StoredObjectCorrupt,
    StoreUnavailable,
    TokenRejected,
    YieldCollapsed,
)
from services.servicekit.spending import Spending, SpendingLimit, SpendingLimitReached
from services.servicekit.status import DOMAIN, status_of
from services.servicekit.storage.port import ObjectNotFound

REASONS = frozenset(error_reason_pb2.ErrorReason.keys())
EVERY_ERROR = (
    InvalidField.at("seed", "must be 0 or more, got -1"),
    ResourceNotFound("recipe", "nope", known=("difficult-advice",)),
    ObjectNotFound("runs/a"),
    ResourceConflict("evaluation", "e1", "it has other content"),
    ModelUnavailable("default", "tiny", "no answer within 3 s"),
    ModelRejectedRequest("default", "tiny", 400, "too long"),
    StoreUnavailable("/data", "the disk is full"),
    StoredObjectCorrupt("runs/a", "no Parquet"),
    TokenRejected(),
    InternalFault("r-1"),
    DeadlineReached(2.5),
    SpendingLimitReached(SpendingLimit(max_tokens=10), Spending(tokens=8), Spending(tokens=3)),
    YieldCollapsed(49, 50, "refusal"),
    NotConfigured("DATASET_JUDGE", "stage filter asks the judge room"),
)


@pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: type(error).__name__)
def test_an_error_has_exactly_one_error_info_with_a_reason_of_the_contract(
    error: ServiceError,
) -> None:
    status = status_of(error)

    infos = [each for each in status.details if each.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    info = error_details_pb2.ErrorInfo()
    assert len(infos) == 1
    infos[0].Unpack(info)
    assert info.domain == DOMAIN
    assert f"ERROR_REASON_{info.reason}" in REASONS
    assert status.code == grpc.StatusCode[error.code].value[0]
    assert status.code != 0
    assert status.message == str(error)


def test_every_reason_of_the_contract_has_an_error_class() -> None:
    reasons = {f"ERROR_REASON_{error.reason}" for error in EVERY_ERROR}

    assert reasons == REASONS - {"ERROR_REASON_UNSPECIFIED"}


def test_every_error_class_is_tried_here() -> None:
    classes = {
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, ServiceError) and each is not ServiceError
    }

    assert classes <= {type(error) for error in EVERY_ERROR}


def test_the_words_of_an_error_are_in_its_metadata_too() -> None:
    error = ModelRejectedRequest("default", "tiny", 404, "no such model")

    assert str(error) == (
        'model "tiny" at endpoint "default" rejected the request (HTTP 404): no such model'
    )
    assert error.metadata == {"endpoint": "default", "model": "tiny", "http_status": "404"}


def test_a_missing_name_is_answered_with_the_names_that_exist() -> None:
    known = [f"recipe-{number:02}" for number in range(20)]

    message = str(ResourceNotFound("recipe", "nope", known=known))

    assert message.startswith('there is no recipe named "nope"; known: recipe-00, recipe-01')
    assert message.endswith("recipe-11 and 8 more")


def test_an_invalid_field_needs_a_violation() -> None:
    with pytest.raises(ValueError, match="at least one"):
        InvalidField()


def test_a_status_stays_small_enough_for_the_metadata_of_any_peer() -> None:
    text = "é" * 5000
    error = InvalidField(*(FieldViolation(f"items[{n}].{text}", text) for n in range(500)))

    status = status_of(error)

    # grpc-message writes each non-ASCII byte as three, and the whole must stay below 8 KiB.
    assert 3 * len(status.message.encode()) + len(status.SerializeToString()) * 4 / 3 < 8000

"""The reasons in the contract and the errors in servicekit are the same list."""

import re
from collections.abc import Iterator

import grpc
import pytest
from teachwhy.common.v1 import error_reason_pb2

import services.servicekit.spending
import services.servicekit.storage.port  # noqa: F401  (their errors join the tree)
from services.servicekit.errors import ServiceError
from tests.contract.tree import ROOT

PROTO = ROOT / "proto/teachwhy/common/v1/error_reason.proto"
# The comment of a reason opens with its code; the reason follows before the next semicolon.
DOCUMENTED = re.compile(r"  // ([A-Z_]+):[^;]*?  ERROR_REASON_(\w+) = \d+;")


def _subclasses(parent: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for child in parent.__subclasses__():
        yield child
        yield from _subclasses(child)


def _reasons() -> set[str]:
    names = error_reason_pb2.ErrorReason.keys()
    return {name.removeprefix("ERROR_REASON_") for name in names} - {"UNSPECIFIED"}


def test_every_reason_of_the_contract_has_an_error() -> None:
    assert {error.reason for error in _subclasses(ServiceError)} == _reasons()


@pytest.mark.parametrize("reason", sorted(_reasons()))
def test_an_error_has_the_code_that_the_contract_documents(reason: str) -> None:
    documented = {name: code for code, name in DOCUMENTED.findall(PROTO.read_text())}
    codes = {error.code for error in _subclasses(ServiceError) if error.reason == reason}

    assert codes == {documented[reason]}
    assert documented[reason] in grpc.StatusCode.__members__

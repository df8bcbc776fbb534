"""Errors as google.rpc.Status, both ways. Knows no call and no server."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc
from google.rpc import error_details_pb2, status_pb2

from services.servicekit.errors import FieldViolation, InvalidField, ServiceError

DOMAIN = "teachwhy.dev"
DETAILS_METADATA_KEY = "grpc-status-details-bin"

# gRPC peers refuse more than 8 KiB of metadata, and would report that in place of the error;
# the message travels twice, and non-ASCII text takes three times its bytes as grpc-message.
_MAX_TEXT_BYTES = 600
_MAX_NAME_BYTES = 160
_MAX_VIOLATIONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetails:
    """What a caller can know about a failed call."""

    code: str
    """Name of the gRPC status code."""

    reason: str
    """Name in ErrorReason without its prefix; empty when the peer is none of ours."""

    message: str
    violations: tuple[FieldViolation, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


def status_of(error: ServiceError) -> status_pb2.Status:
    """Write an error as a status with exactly one ErrorInfo; long texts are cut."""
    status = status_pb2.Status(
        code=grpc.StatusCode[error.code].value[0], message=_cut(str(error), _MAX_TEXT_BYTES)
    )
    metadata = {key: _cut(value, _MAX_NAME_BYTES) for key, value in error.metadata.items()}
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    )
    if isinstance(error, InvalidField):
        status.details.add().Pack(_bad_request(error))
    return status


def error_details(error: grpc.RpcError) -> ErrorDetails:
    """Read what a failed call says, from our servers or from anybody's."""
    code, message, packed = _parts(error)
    reason, metadata, violations = "", dict[str, str](), list[FieldViolation]()
    for detail in status_pb2.Status.FromString(packed).details:
        info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        if detail.Unpack(info) and info.domain == DOMAIN:
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(request):
            violations += [FieldViolation(v.field, v.description) for v in request.field_violations]
    return ErrorDetails(
        code=code, reason=reason, message=message, violations=tuple(violations), metadata=metadata
    )


def _parts(error: grpc.RpcError) -> tuple[str, str, bytes]:
    if not isinstance(error, grpc.aio.AioRpcError):
        raise TypeError(f"only errors of grpc.aio calls can be read, got {type(error).__name__}")
    packed = b""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_METADATA_KEY and isinstance(value, bytes):
            packed = value
    return error.code().name, error.details() or "", packed


def _bad_request(error: InvalidField) -> error_details_pb2.BadRequest:
    shown = error.violations[:_MAX_VIOLATIONS]
    return error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(
                field=_cut(violation.field, _MAX_NAME_BYTES),
                description=_cut(violation.description, _MAX_NAME_BYTES),
            )
            for violation in shown
        ]
    )


def _cut(text: str, limit: int) -> str:
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[:limit].decode("utf-8", "ignore") + " ..."

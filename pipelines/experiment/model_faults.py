"""What a room says of a language model that did not answer it. Knows no step."""

from __future__ import annotations

import grpc

from services.servicekit.channel import error_details
from services.servicekit.errors import ModelRejectedRequest, ModelUnavailable
from services.servicekit.status import ErrorDetails

_REASONS = {ModelUnavailable.reason, ModelRejectedRequest.reason}
_NOT_FOUND = "404"


def model_fault(error: grpc.aio.AioRpcError) -> ErrorDetails | None:
    """Return what is said of a model that was away or refused; None for any other fault."""
    details = error_details(error)
    return details if details.reason in _REASONS else None


def lost_its_model(error: grpc.aio.AioRpcError) -> bool:
    """Whether the model server was away or came back without the checkpoint."""
    fault = model_fault(error)
    return fault is not None and (
        fault.reason == ModelUnavailable.reason or fault.metadata.get("http_status") == _NOT_FOUND
    )

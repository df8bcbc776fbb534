"""The status of a call that fails."""

import grpc
import pytest

from services.servicekit.channel import ErrorDetails, error_details


async def fault_of(call: object) -> ErrorDetails:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    details = error_details(caught.value)
    assert details is not None
    return details


def fields_of(details: ErrorDetails) -> list[str]:
    return [violation.field for violation in details.violations]

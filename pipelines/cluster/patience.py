"""How long an API server that throttles or does not answer is asked again, and what it refused."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import orjson
import urllib3
from kubernetes.client.exceptions import ApiException
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from pipelines.cluster.faults import ClusterRefused, ClusterUnreachable

Result = TypeVar("Result")

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_PAUSE_SECONDS = 15.0
_HINTS = {
    401: "the credentials are wrong or have expired; renew them",
    403: "let a role of the run's account allow it, or mend what the message names",
    404: "does the namespace exist, and is the operator installed whose kind this is?",
    422: "the cluster does not take this object",
}


async def patiently(
    call: Callable[[], Awaitable[Result]], *, what: str, server: str, outage_seconds: float
) -> Result:
    """Make a request, and again while the server is busy or away.

    Args:
        call: makes the request once.
        what: the request in words, for messages. Example: "get PyTorchJob lab/x".
        server: address of the server.
        outage_seconds: how long it is asked again.

    Raises:
        ApiException: the server answered 404 or 409, which may be no fault.
        ClusterRefused: it refuses.
        ClusterUnreachable: it was busy or away for too long.
    """
    began = time.monotonic()
    try:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_delay(outage_seconds),
            wait=_Pause(),
            reraise=True,
        ):
            with attempt:
                return await call()
    except ApiException as error:
        if error.status in (404, 409):
            raise
        if not _may_pass(error):
            raise refusal(error, what) from error
        raise _gave_up(error, what, server, began) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _gave_up(error, what, server, began) from error
    raise AssertionError("the loop returns or raises")


def refusal(error: ApiException, what: str) -> ClusterRefused:
    """Say what the server refused, and why."""
    hint = _HINTS.get(error.status)
    said = f"the cluster refused to {what}: {answer(error)}"
    return ClusterRefused(f"{said}; {hint}" if hint else said, status=int(error.status or 0))


def answer(error: ApiException) -> str:
    """Say what the server answered."""
    message = ""
    if error.body:
        try:
            message = str(orjson.loads(error.body).get("message", ""))
        except (orjson.JSONDecodeError, AttributeError):
            message = str(error.body)[:200]
    return f"HTTP {error.status}: {message or error.reason}" if error.status else str(error.reason)


class _Pause:
    """What the server asks for, else a random time that grows."""

    def __init__(self) -> None:
        self._else = wait_random_exponential(multiplier=0.2, max=_LONGEST_PAUSE_SECONDS)

    def __call__(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked = (getattr(error, "headers", None) or {}).get("Retry-After", "")
        if str(asked).isdecimal():
            return min(float(asked), _LONGEST_PAUSE_SECONDS)
        return float(self._else(state))


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, ApiException):
        # Without a status it never came to an answer: the encryption failed.
        is_unencrypted = not error.status and "CERTIFICATE_VERIFY_FAILED" not in str(error.reason)
        return is_unencrypted or error.status in _PASSING
    return isinstance(error, (urllib3.exceptions.HTTPError, OSError))


def _gave_up(error: Exception, what: str, server: str, began: float) -> ClusterUnreachable:
    said = answer(error) if isinstance(error, ApiException) else _reason(error)
    return ClusterUnreachable(
        f"could not {what}: the API server {server} was asked for "
        f"{time.monotonic() - began:.0f} s; it answered last: {said}. What runs in the cluster "
        "goes on; when the server is back, the same command goes on too"
    )


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

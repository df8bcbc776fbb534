"""Faults that a test asks the API server for, and the requests that they meet."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tests.cluster.fake_kubernetes.api_objects import ApiFault


@dataclass(frozen=True, slots=True)
class Refusal:
    """The request is answered with this status, and not carried out."""

    status: int
    reason: str = ""
    message: str = ""
    retry_after: str = ""

    def fault(self) -> ApiFault:
        headers = {"Retry-After": self.retry_after} if self.retry_after else {}
        return ApiFault(self.status, self.reason, self.message, headers=headers)


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends without an answer."""

    is_done: bool = False
    """Whether the request was carried out before."""


@dataclass(frozen=True, slots=True)
class CutAfter:
    """A stream ends in the middle, after some lines."""

    lines: int


Fault: TypeAlias = Refusal | Cut | CutAfter


def throttled(retry_after: str = "1") -> Refusal:
    """What priority and fairness answers when too much is asked."""
    message = "Too many requests, please try again later."
    return Refusal(429, "TooManyRequests", message, retry_after)


def unavailable() -> Refusal:
    """What a load balancer or a starting server answers."""
    return Refusal(
        503, "ServiceUnavailable", "the server is currently unable to handle the request"
    )


def broken() -> Refusal:
    return Refusal(500, "InternalError", "Internal error occurred: etcdserver: request timed out")


class Faults:
    """Which requests meet which fault; a rule is used up, or stays."""

    def __init__(self) -> None:
        self._rules: list[tuple[Callable[[str], bool], Fault, list[int]]] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault, *, when: str, times: int) -> None:
        """Let the next ``times`` requests that match meet the fault; 0 lets all.

        ``when`` is a regular expression over "METHOD /path?query".
        """
        pattern = re.compile(when)
        with self._lock:
            self._rules.append((lambda line: pattern.search(line) is not None, fault, [times]))

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def met_by(self, line: str) -> Fault | None:
        """The fault that a request meets."""
        with self._lock:
            for position, (matches, fault, left) in enumerate(self._rules):
                if not matches(line):
                    continue
                if left[0]:
                    left[0] -= 1
                    if left[0] == 0:
                        del self._rules[position]
                return fault
        return None

"""The errors that a service may answer a call with. Knows no gRPC and no room.

ServiceError
|-- InvalidField           INVALID_ARGUMENT     a field holds a value that is not allowed
|-- ResourceNotFound       NOT_FOUND            a named thing does not exist
|   `-- ObjectNotFound                          (storage.port) a stored object does not exist
|-- ResourceConflict       ALREADY_EXISTS       the name is taken by other content
|-- ModelUnavailable       UNAVAILABLE          a model endpoint did not answer
|-- ModelRejectedRequest   FAILED_PRECONDITION  a model endpoint refused the request itself
|-- StoreUnavailable       UNAVAILABLE          the object store cannot be reached or written
|-- StoredObjectCorrupt    DATA_LOSS            a stored object is unreadable
|-- YieldCollapsed         FAILED_PRECONDITION  nearly every item of a stream is rejected
|-- NotConfigured          FAILED_PRECONDITION  the settings lack what the request needs
|-- TokenRejected          UNAUTHENTICATED      the bearer token is missing or wrong
|-- InternalFault          INTERNAL             a fault of the room
`-- DeadlineReached        DEADLINE_EXCEEDED    the call ran past its limit

Each class owns its gRPC status code name and its reason, so that one interceptor can answer
with any of them and nobody writes a ladder of isinstance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

_KNOWN_NAMES_SHOWN = 12


class ServiceError(Exception):
    """A failure with a meaning for the caller."""

    code: ClassVar[str] = "INTERNAL"
    """Name of the gRPC status code."""

    reason: ClassVar[str] = "INTERNAL_FAULT"
    """Name in teachwhy.common.v1.ErrorReason, without the prefix ERROR_REASON_."""

    def __init__(self, message: str, *, metadata: Mapping[str, str] | None = None) -> None:
        """Keep the message for people and the metadata for programs."""
        super().__init__(message)
        self.message = message
        self._metadata = dict(metadata or {})

    @property
    def metadata(self) -> Mapping[str, str]:
        """The dynamic parts of the message, as ErrorInfo.metadata carries them."""
        return self._metadata


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request, and what is wrong with it."""

    field: str
    """Path from the request, for example "episodes[3].seed"."""

    description: str
    """What is allowed, for example "must be 0 or more, got -1"."""


class InvalidField(ServiceError):
    """One field or several hold a value that is not allowed."""

    code = "INVALID_ARGUMENT"
    reason = "INVALID_FIELD"

    def __init__(self, *violations: FieldViolation) -> None:
        """Name every violation; at least one."""
        if not violations:
            raise ValueError("InvalidField needs at least one violation")
        super().__init__("; ".join(f"{each.field}: {each.description}" for each in violations))
        self.violations = violations

    @classmethod
    def at(cls, field: str, description: str) -> Self:
        """Make the error of a single field."""
        return cls(FieldViolation(field, description))

    def of_item(self, item: str) -> "InvalidField":
        """Make the same error with each description naming an item of a stream first."""
        return InvalidField(
            *(FieldViolation(each.field, f"{item}: {each.description}") for each in self.violations)
        )


class ResourceNotFound(ServiceError):
    """A named thing does not exist."""

    code = "NOT_FOUND"
    reason = "RESOURCE_NOT_FOUND"

    def __init__(
        self, resource_type: str, resource_name: str, *, known: Sequence[str] = ()
    ) -> None:
        """Name the missing thing and, where the list is short, what does exist."""
        message = f'there is no {resource_type} named "{resource_name}"'
        if known:
            shown = ", ".join(sorted(known)[:_KNOWN_NAMES_SHOWN])
            more = len(known) - _KNOWN_NAMES_SHOWN
            message += f"; known: {shown}" + (f" and {more} more" if more > 0 else "")
        super().__init__(
            message, metadata={"resource_type": resource_type, "resource_name": resource_name}
        )


class ResourceConflict(ServiceError):
    """A name is taken by something else."""

    code = "ALREADY_EXISTS"
    reason = "RESOURCE_CONFLICT"

    def __init__(self, resource_type: str, resource_name: str, detail: str) -> None:
        """Name the thing and say what stands in the way."""
        super().__init__(
            f'{resource_type} "{resource_name}": {detail}',
            metadata={"resource_type": resource_type, "resource_name": resource_name},
        )


class ModelUnavailable(ServiceError):
    """A model endpoint did not answer after all retries; repeating the call is safe."""

    code = "UNAVAILABLE"
    reason = "MODEL_UNAVAILABLE"

    def __init__(self, endpoint: str, model: str, detail: str) -> None:
        """Name the endpoint and the model, and say what happened last."""
        super().__init__(
            f'model "{model}" at endpoint "{endpoint}" is unavailable: {detail}',
            metadata={"endpoint": endpoint, "model": model},
        )


class ModelRejectedRequest(ServiceError):
    """A model endpoint refused the request itself; repeating it will not help."""

    code = "FAILED_PRECONDITION"
    reason = "MODEL_REJECTED_REQUEST"

    def __init__(self, endpoint: str, model: str, http_status: int, detail: str) -> None:
        """Name the endpoint, the model and the HTTP status, and quote the host."""
        super().__init__(
            f'model "{model}" at endpoint "{endpoint}" rejected the request '
            f"(HTTP {http_status}): {detail}",
            metadata={"endpoint": endpoint, "model": model, "http_status": str(http_status)},
        )
        self.http_status = http_status


class StoreUnavailable(ServiceError):
    """The object store cannot be reached, read or written; repeating the call is safe."""

    code = "UNAVAILABLE"
    reason = "STORE_UNAVAILABLE"

    def __init__(self, store: str, detail: str) -> None:
        """Name the store, as its settings do, and say in plain words what is wrong."""
        super().__init__(f"store {store} is unavailable: {detail}", metadata={"store": store})


class StoredObjectCorrupt(ServiceError):
    """A stored object is there and cannot be understood."""

    code = "DATA_LOSS"
    reason = "STORED_OBJECT_CORRUPT"

    def __init__(self, key: str, detail: str) -> None:
        """Name the object's key and say what cannot be read."""
        super().__init__(f'stored object "{key}" is unreadable: {detail}', metadata={"key": key})


class YieldCollapsed(ServiceError):
    """Nearly every item of a stream is rejected, so that going on would only spend."""

    code = "FAILED_PRECONDITION"
    reason = "YIELD_COLLAPSED"

    def __init__(self, rejected: int, items: int, most_frequent_reason: str) -> None:
        """Say how many of how many, and why most of them."""
        super().__init__(
            f"{rejected} of the last {items} items were rejected, most of them as "
            f"{most_frequent_reason}; look at PreviewExamples before spending more",
            metadata={
                "rejected": str(rejected),
                "items": str(items),
                "most_frequent_reason": most_frequent_reason,
            },
        )


class NotConfigured(ServiceError):
    """The request needs something that the settings do not name."""

    code = "FAILED_PRECONDITION"
    reason = "NOT_CONFIGURED"

    def __init__(self, setting: str, detail: str) -> None:
        """Name the setting and say what needs it."""
        super().__init__(f"{setting} is not set: {detail}", metadata={"setting": setting})


class TokenRejected(ServiceError):
    """The bearer token is missing or wrong."""

    code = "UNAUTHENTICATED"
    reason = "TOKEN_REJECTED"

    def __init__(self) -> None:
        """Say what to send, and nothing about the right token."""
        super().__init__('send a valid token as metadata "authorization: Bearer <token>"')


class InternalFault(ServiceError):
    """A fault of the room; the details stay in its log."""

    code = "INTERNAL"
    reason = "INTERNAL_FAULT"

    def __init__(self, request_id: str) -> None:
        """Carry only the id under which the log tells the story."""
        super().__init__(
            f"the service failed; its log has the details under request id {request_id}",
            metadata={"request_id": request_id},
        )


class DeadlineReached(ServiceError):
    """The call ran past the limit that the room sets."""

    code = "DEADLINE_EXCEEDED"
    reason = "DEADLINE"

    def __init__(self, limit_seconds: float) -> None:
        """Name the limit."""
        super().__init__(
            f"the call ran longer than the service's limit of {limit_seconds:g} s",
            metadata={"limit_seconds": f"{limit_seconds:g}"},
        )

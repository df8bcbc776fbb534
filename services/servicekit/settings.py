"""Settings that every gRPC service has, and how they are read. Knows no room."""

import os
import re
import sys
from typing import Literal, Self, TypeVar

from pydantic import Field, FilePath, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

EXIT_INVALID_SETTINGS = 2

# Kubernetes announces a Service named like a room with variables of the room's own prefix.
_KUBERNETES_LINK = re.compile(r"(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


class InvalidSettings(ValueError):
    """The environment does not describe a working process; the message names each variable."""


class ServerSettings(BaseSettings):
    """What a gRPC server process is told. Rooms subclass it with their prefix and ports."""

    model_config = SettingsConfigDict(
        env_nested_delimiter="__", frozen=True, extra="forbid", use_attribute_docstrings=True
    )

    host: str = "127.0.0.1"
    """Address that both ports listen on. "0.0.0.0" opens them to the network."""

    port: int = Field(default=0, ge=0, le=65535)
    """TCP port of gRPC; 0 lets the system choose, and the log says which."""

    metrics_port: int = Field(default=0, ge=0, le=65535)
    """TCP port of the Prometheus endpoint /metrics; 0 lets the system choose."""

    drain_seconds: float = Field(default=10.0, ge=0.0, le=3600.0)
    """Longest time that calls in flight may still take after SIGTERM."""

    drain_pause_seconds: float = Field(default=0.5, ge=0.0, le=60.0)
    """Time between "not serving" and the drain, in which load balancers look elsewhere."""

    default_deadline_seconds: float = Field(default=120.0, gt=0.0, le=86400.0)
    """Longest time that a unary call may take, whatever deadline its caller set."""

    max_message_bytes: int = Field(default=16 * 2**20, ge=2**12, le=2**30)
    """Largest message received or sent."""

    max_concurrent_calls: int = Field(default=1000, ge=1)
    """Calls beyond this number are answered with RESOURCE_EXHAUSTED at once."""

    max_connection_age_seconds: float = Field(default=1800.0, ge=1.0)
    """Age at which a connection is asked to go, so that new replicas get their share."""

    tls_certificate_file: FilePath | None = None
    """PEM certificate chain of this server; turns TLS on, together with tls_key_file."""

    tls_key_file: FilePath | None = None
    """PEM private key of this server."""

    tls_client_ca_file: FilePath | None = None
    """PEM authorities of callers; turns mutual TLS on."""

    token_file: FilePath | None = None
    """File with the bearer token that every caller must send."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged."""

    parent_pid: int | None = Field(default=None, ge=1)
    """Stop as soon as this process, which must be the one that started this one, ends. Linux only.
    The starting thread counts as the parent, so start from a thread that lives long enough."""

    @model_validator(mode="after")
    def _tls_files_belong_together(self) -> Self:
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file must be set together")
        if self.tls_client_ca_file is not None and self.tls_certificate_file is None:
            raise ValueError("tls_client_ca_file needs tls_certificate_file and tls_key_file")
        return self


def read_settings(settings_class: type[SettingsT]) -> SettingsT:
    """Read settings from the environment.

    Raises:
        InvalidSettings: a variable is missing, unknown or out of range.
    """
    unknown = _unknown_variables(settings_class)
    if unknown:
        raise InvalidSettings("\n".join(unknown))
    try:
        return settings_class()
    except ValidationError as error:
        raise InvalidSettings(_plain_words(settings_class, error)) from error
    except SettingsError as error:  # a nested value that is no JSON
        raise InvalidSettings(f"{error}: {error.__cause__}") from error


def settings_or_exit(settings_class: type[SettingsT]) -> SettingsT:
    """Read settings, or say on standard error what is wrong with them and exit with code 2."""
    try:
        return read_settings(settings_class)
    except InvalidSettings as error:
        sys.stderr.write(f"invalid settings:\n{error}\n")
        raise SystemExit(EXIT_INVALID_SETTINGS) from None


def _unknown_variables(settings_class: type[BaseSettings]) -> list[str]:
    prefix = str(settings_class.model_config.get("env_prefix") or "").upper()
    if not prefix:
        return []
    delimiter = str(settings_class.model_config.get("env_nested_delimiter") or "__")
    known = {name.upper() for name in settings_class.model_fields}
    allowed = ", ".join(prefix + name for name in sorted(known))
    return [
        f"{variable}: is no setting; the settings are {allowed}"
        for variable in sorted(os.environ)
        if variable.upper().startswith(prefix)
        and variable.upper()[len(prefix) :].split(delimiter)[0] not in known
        and not _KUBERNETES_LINK.fullmatch(variable.upper()[len(prefix) :])
    ]


def _plain_words(settings_class: type[BaseSettings], error: ValidationError) -> str:
    prefix = str(settings_class.model_config.get("env_prefix") or "").upper()
    lines = []
    for problem in error.errors(include_url=False):
        path = "__".join(str(part) for part in problem["loc"]).upper()
        message = problem["msg"].removeprefix("Value error, ")
        got = "" if problem["type"] == "missing" or not path else f", got {problem['input']!r}"
        lines.append(f"{prefix}{path}: {message}{got}")
    return "\n".join(lines)

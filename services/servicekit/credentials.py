"""TLS and tokens of a server, read from the files that its settings name."""

import hmac
from collections.abc import Iterable
from pathlib import Path

import grpc

from services.servicekit.errors import TokenRejected
from services.servicekit.settings import InvalidSettings, ServerSettings


class BearerToken:
    """The token that callers must send; it is compared in constant time and never shown."""

    def __init__(self, token: bytes) -> None:
        self._expected = b"Bearer " + token

    @classmethod
    def from_file(cls, path: Path) -> "BearerToken":
        """Read the token; surrounding white space is not part of it.

        Raises:
            InvalidSettings: the file is empty or cannot be read.
        """
        return cls(read_secret(path).encode())

    def check(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Let a call with this metadata pass.

        Raises:
            TokenRejected: the token is missing or another one.
        """
        sent = next((value for key, value in metadata if key == "authorization"), b"")
        sent_bytes = sent.encode() if isinstance(sent, str) else sent
        if not hmac.compare_digest(sent_bytes, self._expected):
            raise TokenRejected


def read_secret(path: Path) -> str:
    """Return the text of a secret file without surrounding white space.

    Raises:
        InvalidSettings: the file is empty, is not text or cannot be read.
    """
    try:
        secret = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"the secret file {path} cannot be read: {error}") from error
    if not secret:
        raise InvalidSettings(f"the secret file {path} is empty")
    return secret


def server_credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    """Return TLS, or mutual TLS where client authorities are named; None for plain text.

    The files are read again for new connections once they changed, because certificates are
    renewed more often than servers are restarted.

    Raises:
        InvalidSettings: a file cannot be read.
    """
    if settings.tls_certificate_file is None or settings.tls_key_file is None:
        return None
    files = _TlsFiles(
        settings.tls_certificate_file, settings.tls_key_file, settings.tls_client_ca_file
    )
    try:
        first = files.configuration()
    except OSError as error:
        raise InvalidSettings(f"a TLS file cannot be read: {error}") from error
    return grpc.dynamic_ssl_server_credentials(
        first,
        # The stubs forget that None means "unchanged".
        files.changed_configuration,  # type: ignore[arg-type]
        require_client_authentication=files.is_mutual,
    )


class _TlsFiles:
    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._seen = self._times()

    @property
    def is_mutual(self) -> bool:
        return self._client_ca is not None

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        pair = (self._key.read_bytes(), self._certificate.read_bytes())
        authorities = self._client_ca.read_bytes() if self._client_ca else None
        return grpc.ssl_server_certificate_configuration([pair], authorities)

    def changed_configuration(self) -> grpc.ServerCertificateConfiguration | None:
        try:
            times = self._times()
            if times == self._seen:
                return None
            renewed = self.configuration()
        except OSError:
            return None  # half renewed: keep the certificate that works, look again next time
        self._seen = times
        return renewed

    def _times(self) -> tuple[int, ...]:
        files = (self._certificate, self._key, self._client_ca)
        return tuple(path.stat().st_mtime_ns for path in files if path is not None)

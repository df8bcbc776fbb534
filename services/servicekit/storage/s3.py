"""Object store in a bucket that speaks S3. Knows no disk but the files it copies."""

import io
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import certifi
import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from services.servicekit.errors import StoreUnavailable
from services.servicekit.storage.port import ObjectNotFound, check_key, check_prefix
from services.servicekit.storage.settings import StoreSettings
from services.servicekit.storage.temporary import replaced_whole

_PAGE = 1000  # what S3 lists at once
_CHUNK_BYTES = 1 << 20
_PART_BYTES = 8 << 20  # of a large file that is uploaded; three parts are in memory at a time
_MOST_PARTS = 10_000  # what S3 allows
_PARTIAL_CONTENT = 206
_MISSING_KEY = frozenset({"NoSuchKey", "NoSuchObject"})
_RETRIED = frozenset(
    # The last: a repeated "complete" of an upload whose first answer was lost.
    {"InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "NoSuchUpload"}
)
_CHANGED = frozenset({"PreconditionFailed", "InvalidRange"})
_RETRIED_STATUSES = (500, 502, 503, 504)
_PLAIN_WORDS = {
    "AccessDenied": "the credentials are refused or lack a permission",
    "InvalidAccessKeyId": "the access key is unknown",
    "SignatureDoesNotMatch": "the secret key does not fit the access key",
    "NoSuchBucket": "the bucket does not exist",
    "QuotaExceeded": "the quota is used up",
    "XMinioStorageFull": "the store is full",
}

T = TypeVar("T")


class S3Store:
    """Objects in one bucket. Every operation is safe to repeat, so all of them are retried."""

    def __init__(self, settings: StoreSettings) -> None:
        """Use the bucket that the settings name; nothing is asked of it yet.

        Raises:
            StoreUnavailable: a key file cannot be read.
        """
        self._bucket = settings.bucket
        self._name = f"s3://{settings.endpoint}/{settings.bucket}"
        self._is_bucket_seen = False
        self._client = self._connected(settings, urllib3.Retry(0))
        # The parts of a large file are repeated one by one, not the file.
        self._uploads = self._connected(settings, _part_retries(settings))
        self._retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_attempt(settings.max_attempts),
            wait=wait_random_exponential(multiplier=0.2, max=5.0),
            reraise=True,
        )
        self._retrying_uploads = self._retrying.copy(
            stop=stop_after_attempt(min(2, settings.max_attempts))
        )

    def get(self, key: str) -> bytes:
        """Return the whole content."""
        content = io.BytesIO()
        self._copy(check_key(key), content)
        return content.getvalue()

    def put(self, key: str, data: bytes) -> None:
        """Write or replace an object; S3 shows it only once it is whole."""
        check_key(key)
        self._asked(lambda: self._client.put_object(self._bucket, key, io.BytesIO(data), len(data)))

    def exists(self, key: str) -> bool:
        """Say whether something was put under this key."""
        check_key(key)
        try:
            self._asked(lambda: self._client.stat_object(self._bucket, key))
        except S3Error:
            self._check_bucket()
            return False
        return True

    def keys(self, prefix: str = "") -> Iterator[str]:
        """List the keys that start with this text, sorted by code point."""
        check_prefix(prefix)
        last: str | None = None
        while True:
            names = self._asked(partial(self._page, prefix, last))
            yield from names
            if len(names) < _PAGE:
                return
            last = names[-1]

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""
        check_key(key)
        self._asked(lambda: self._client.remove_object(self._bucket, key))

    def fetch_file(self, key: str, path: Path) -> None:
        """Copy an object into a local file, which appears whole or not at all."""
        check_key(key)
        with replaced_whole(path) as temporary, temporary.open("wb") as writer:
            self._copy(key, writer)

    def put_file(self, key: str, path: Path) -> None:
        """Write or replace an object with a local file's content, in parts where it is large.

        The parts of an upload that was killed are no object; the bucket's lifecycle rule for
        incomplete uploads removes them.
        """
        check_key(key)
        size = part_bytes(path.stat().st_size)
        self._asked(
            lambda: self._uploads.fput_object(self._bucket, key, str(path), part_size=size),
            self._retrying_uploads,
        )

    def _copy(self, key: str, writer: io.BytesIO | io.BufferedWriter) -> None:
        """Copy an object; a connection that is cut goes on where it was."""
        download = _Download(self._client, self._bucket, key, writer)
        while True:
            begun_at = writer.tell()
            try:
                self._asked(download.go_on)
            except S3Error as error:
                raise ObjectNotFound(key) from error
            except StoreUnavailable:
                if writer.tell() <= begun_at:
                    raise
            else:
                return

    def _page(self, prefix: str, after: str | None) -> list[str]:
        found = self._client.list_objects(
            self._bucket, prefix=prefix, recursive=True, start_after=after
        )
        return [str(each.object_name) for each in islice(found, _PAGE)]

    def _check_bucket(self) -> None:
        # A HEAD has no body: a missing bucket looks like a missing object.
        if not self._is_bucket_seen:
            if not self._asked(lambda: self._client.bucket_exists(self._bucket)):
                raise StoreUnavailable(self._name, _PLAIN_WORDS["NoSuchBucket"])
            self._is_bucket_seen = True

    def _asked(self, operation: Callable[[], T], retrying: Retrying | None = None) -> T:
        """Run an operation with retries; an S3Error that comes out says that a key is missing."""
        try:
            return (retrying or self._retrying)(operation)
        except S3Error as error:
            if error.code in _MISSING_KEY:
                raise
            words = _PLAIN_WORDS.get(str(error.code), f"{error.code}: {error.message}")
            raise StoreUnavailable(self._name, words) from error
        except (ServerError, InvalidResponseError) as error:
            raise StoreUnavailable(self._name, f"it answers {_one_line(error)}") from error
        except (urllib3.exceptions.HTTPError, MinioException) as error:
            raise StoreUnavailable(self._name, _connection_words(error)) from error

    def _connected(self, settings: StoreSettings, retries: urllib3.Retry) -> Minio:
        return Minio(
            settings.endpoint,
            access_key=self._secret(settings.access_key_file, settings.access_key),
            secret_key=self._secret(
                settings.secret_key_file, settings.secret_key.get_secret_value()
            ),
            secure=settings.secure,
            region=settings.region,
            http_client=_pool(settings, retries),
        )

    def _secret(self, path: Path | None, value: str) -> str:
        if path is None:
            return value
        try:
            return path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreUnavailable(self._name, f"{path} cannot be read: {error}") from error


def part_bytes(file_bytes: int) -> int:
    """Return the size of the parts in which a file of this size is uploaded."""
    return max(_PART_BYTES, -(-file_bytes // _MOST_PARTS))


class _Download:
    """The content of one object on its way into a file."""

    def __init__(
        self, client: Minio, bucket: str, key: str, writer: io.BytesIO | io.BufferedWriter
    ) -> None:
        self._client, self._bucket, self._key, self._writer = client, bucket, key, writer
        self._etag = ""

    def go_on(self) -> None:
        """Read on from the last byte that came, as long as the object is still the same."""
        if not self._etag:
            self._restart()
        try:
            response = self._opened(self._writer.tell())
        except S3Error as error:
            if error.code not in _CHANGED:
                raise
            self._restart()
            response = self._opened(0)
        try:
            if response.status != _PARTIAL_CONTENT:
                self._restart()
            self._etag = response.headers.get("ETag", "")
            shutil.copyfileobj(response, self._writer, _CHUNK_BYTES)
        finally:
            response.close()
            response.release_conn()

    def _opened(self, offset: int) -> urllib3.BaseHTTPResponse:
        headers: dict[str, str | list[str] | tuple[str]] = {"If-Match": self._etag}
        return self._client.get_object(
            self._bucket, self._key, offset=offset, request_headers=headers if offset else None
        )

    def _restart(self) -> None:
        self._writer.seek(0)
        self._writer.truncate()


def _part_retries(settings: StoreSettings) -> urllib3.Retry:
    return urllib3.Retry(
        settings.max_attempts - 1,
        allowed_methods=None,
        status_forcelist=_RETRIED_STATUSES,
        raise_on_status=False,
        backoff_factor=0.2,
        backoff_max=5.0,
        redirect=0,
    )


def _pool(settings: StoreSettings, retries: urllib3.Retry) -> urllib3.PoolManager:
    timeout = settings.timeout_seconds
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=timeout, read=timeout),
        maxsize=16,
        retries=retries,
        cert_reqs="CERT_REQUIRED",
        ca_certs=str(settings.ca_file) if settings.ca_file else certifi.where(),
    )


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, S3Error):
        return error.code in _RETRIED
    return isinstance(error, urllib3.exceptions.HTTPError | ServerError | InvalidResponseError)


def _connection_words(error: Exception) -> str:
    cause: object = getattr(error, "reason", None) or error
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return "nothing answers at its address"
    if isinstance(cause, urllib3.exceptions.TimeoutError):
        return "it does not answer in time"
    if isinstance(cause, urllib3.exceptions.SSLError):
        return f"TLS failed: {_one_line(cause)}"
    return f"the connection failed: {_one_line(cause)}"


def _one_line(text: object) -> str:
    return " ".join(str(text).split())[:200]

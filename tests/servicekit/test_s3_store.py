"""The S3 store when the other side misbehaves."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.servicekit.errors import ServiceError, StoreUnavailable
from services.servicekit.storage.port import ObjectNotFound
from services.servicekit.storage.s3 import S3Store
from services.servicekit.storage.settings import StoreSettings, open_store
from tests.servicekit.s3_server import S3Server

ROOT = Path(__file__).parents[2]


def every_operation(store: S3Store, source: Path) -> list[Callable[[], object]]:
    source.write_bytes(b"content")
    return [
        lambda: store.get("a"),
        lambda: store.put("a", b""),
        lambda: store.exists("a"),
        lambda: list(store.keys()),
        lambda: store.delete("a"),
        lambda: store.put_file("a", source),
        lambda: store.fetch_file("a", source.with_name("target")),
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"access_key": "nobody"}, "the access key is unknown"),
        ({"secret_key": "wrong"}, "the secret key does not fit the access key"),
    ],
)
def test_wrong_credentials_are_said_in_plain_words(
    s3_server: S3Server, tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    store = S3Store(s3_server.settings(bucket=s3_server.new_bucket(), **changes))

    for operation in every_operation(store, tmp_path / "source"):
        # The answer to a HEAD has no body that could say which of the two keys is wrong.
        with pytest.raises(StoreUnavailable, match=f"{words}|the credentials are refused"):
            operation()


def test_a_missing_bucket_is_said_in_plain_words(s3_server: S3Server, tmp_path: Path) -> None:
    store = S3Store(s3_server.settings(bucket="never-made"))

    for operation in every_operation(store, tmp_path / "source"):
        with pytest.raises(StoreUnavailable, match="never-made is unavailable: the bucket does"):
            operation()


def test_an_address_where_nothing_answers_is_said_in_plain_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    settings = StoreSettings(
        kind="s3", endpoint=f"127.0.0.1:{port}", bucket="bucket", secure=False, max_attempts=2
    )

    for operation in every_operation(S3Store(settings), tmp_path / "source"):
        with pytest.raises(StoreUnavailable, match="nothing answers at its address"):
            operation()


@contextmanager
def scripted(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Answer one connection after the other with these bytes, then hang up."""
    requests: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                requests.append(connection.recv(65_536))
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", requests
        thread.join(10)


def _settings(endpoint: str, attempts: int) -> StoreSettings:
    return StoreSettings(
        kind="s3",
        endpoint=endpoint,
        bucket="bucket",
        access_key="key",
        secret_key="secret",
        secure=False,
        max_attempts=attempts,
        timeout_seconds=5,
    )


CUT = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nonly a part"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhole"
FAULT = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("first", [CUT, FAULT, b""], ids=["cut", "503", "hang-up"])
def test_a_passing_fault_is_survived(first: bytes) -> None:
    with scripted(first, WHOLE) as (endpoint, requests):
        assert S3Store(_settings(endpoint, 3)).get("a") == b"whole"

    assert len(requests) == 2


@pytest.mark.parametrize("answer", [CUT, FAULT, b""], ids=["cut", "503", "hang-up"])
def test_retries_are_bounded_and_leave_no_part_of_a_file(answer: bytes, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with (
        scripted(answer, answer) as (endpoint, requests),
        pytest.raises(StoreUnavailable, match=f"store s3://{endpoint}/bucket is unavailable"),
    ):
        S3Store(_settings(endpoint, 2)).fetch_file("a", target)

    assert len(requests) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_stays_silent_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        settings = _settings(endpoint, 1).model_copy(update={"timeout_seconds": 0.1})

        with pytest.raises(StoreUnavailable, match="does not answer in time"):
            S3Store(settings).get("a")


def test_more_keys_than_one_page_are_listed_in_order(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.servicekit.storage.s3._PAGE", 2)
    store = S3Store(s3_server.settings(bucket=s3_server.new_bucket()))
    names = [f"run/{number}" for number in range(5)]
    for name in names:
        store.put(name, b"")

    assert list(store.keys("run/")) == names


def test_keys_may_come_from_files(s3_server: S3Server, tmp_path: Path) -> None:
    access, secret = tmp_path / "access", tmp_path / "secret"
    access.write_text(f"{s3_server.access_key}\n")
    secret.write_text(f"{s3_server.secret_key}\n")
    settings = s3_server.settings(
        bucket=s3_server.new_bucket(),
        access_key="",
        access_key_file=access,
        secret_key="",
        secret_key_file=secret,
    )

    store = open_store(settings)
    store.put("a", b"1")

    assert store.get("a") == b"1"


def test_a_missing_object_is_no_fault_of_the_store(s3_server: S3Server) -> None:
    store = S3Store(s3_server.settings(bucket=s3_server.new_bucket()))

    with pytest.raises(ServiceError) as caught:
        store.get("a")

    assert type(caught.value) is ObjectNotFound


def test_a_secret_is_never_shown() -> None:
    settings = _settings("127.0.0.1:1", 1)

    assert "secret" not in repr(settings.secret_key)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "s3"}, 'kind "s3" needs endpoint and bucket'),
        ({"kind": "s3", "endpoint": "http://minio:9000", "bucket": "b-1"}, "endpoint"),
        ({"kind": "s3", "endpoint": "minio:9000", "bucket": "No Bucket"}, "bucket"),
        ({"kind": "tape"}, "directory"),
    ],
)
def test_store_settings_that_cannot_work_are_refused(values: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        StoreSettings.model_validate(values)


def test_only_a_bucket_loads_the_s3_client(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from services.servicekit.storage.settings import StoreSettings, open_store\n"
        "open_store(StoreSettings(root=sys.argv[1]))\n"
        "print('minio' in sys.modules)\n"
        "open_store(StoreSettings(kind='s3', endpoint='minio:9000', bucket='bucket'))\n"
        "print('minio' in sys.modules)\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert result.stdout.split() == ["False", "True"]

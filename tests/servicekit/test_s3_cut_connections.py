"""Large objects over connections that break, on a real S3 server."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.servicekit.errors import StoreUnavailable
from services.servicekit.storage.s3 import S3Store, part_bytes
from tests.servicekit.cutting_proxy import CuttingProxy, cutting_proxy
from tests.servicekit.s3_server import S3Server

MIB = 1 << 20
CONTENT = random.Random(0).randbytes(12 * MIB)


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    return s3_server.new_bucket()


@pytest.fixture
def direct(s3_server: S3Server, bucket: str) -> S3Store:
    return S3Store(s3_server.settings(bucket=bucket))


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[CuttingProxy]:
    with cutting_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def store(s3_server: S3Server, bucket: str, proxy: CuttingProxy) -> S3Store:
    return S3Store(s3_server.settings(bucket=bucket, endpoint=proxy.endpoint, max_attempts=3))


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("services.servicekit.storage.s3._PART_BYTES", 5 * MIB)  # what S3 allows
    path = tmp_path / "large"
    path.write_bytes(CONTENT)
    return path


def test_a_download_that_is_cut_goes_on_where_it_was(
    direct: S3Store, store: S3Store, proxy: CuttingProxy, tmp_path: Path
) -> None:
    direct.put("large", CONTENT)
    # More cuts than attempts, each after another three megabytes.
    proxy.cuts_down = [3 * MIB] * 3

    store.fetch_file("large", tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == CONTENT
    assert proxy.cuts_down == []
    assert proxy.down < len(CONTENT) + 4 * MIB


def test_an_object_that_changes_while_its_download_is_cut_comes_whole(
    direct: S3Store, store: S3Store, proxy: CuttingProxy, tmp_path: Path
) -> None:
    direct.put("large", CONTENT)
    replaced = CONTENT[::-1]
    proxy.cuts_down = [3 * MIB]
    proxy.when_cut = lambda: direct.put("large", replaced)

    store.fetch_file("large", tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == replaced


def test_a_download_that_never_gets_on_is_given_up(
    direct: S3Store, store: S3Store, proxy: CuttingProxy, tmp_path: Path
) -> None:
    direct.put("large", CONTENT)
    proxy.cuts_down = [3 * MIB, *[1000] * 5]

    with pytest.raises(StoreUnavailable):
        store.fetch_file("large", tmp_path / "copy")

    assert proxy.cuts_down == []
    assert list(tmp_path.iterdir()) == []


def test_an_upload_that_is_cut_repeats_the_part_and_not_the_file(
    direct: S3Store, store: S3Store, proxy: CuttingProxy, large: Path
) -> None:
    proxy.cuts_up = [2 * MIB, 4 * MIB]

    store.put_file("large", large)

    assert direct.get("large") == CONTENT
    assert proxy.cuts_up == []
    assert proxy.up < len(CONTENT) + 7 * MIB


def test_an_upload_that_never_ends_well_leaves_no_object(
    direct: S3Store, store: S3Store, proxy: CuttingProxy, large: Path
) -> None:
    direct.put("small", b"before")
    proxy.cuts_up = [4 * MIB] * 50

    with pytest.raises(StoreUnavailable):
        store.put_file("large", large)
    with pytest.raises(StoreUnavailable):
        store.put_file("small", large)

    assert not direct.exists("large")
    assert direct.get("small") == b"before"


def test_the_end_of_an_upload_may_be_said_twice(
    direct: S3Store, store: S3Store, proxy: CuttingProxy, large: Path
) -> None:
    proxy.loses_answer_to = b"<CompleteMultipartUpload"

    store.put_file("large", large)

    assert direct.get("large") == CONTENT
    assert proxy.loses_answer_to == b""


@pytest.mark.parametrize("size", [0, 1, 16 << 30, 80_000 * MIB, 80_000 * MIB + 1, 5 << 40])
def test_a_file_of_any_size_has_no_more_parts_than_s3_allows(size: int) -> None:
    assert part_bytes(size) >= 8 * MIB
    assert -(-size // part_bytes(size)) <= 10_000

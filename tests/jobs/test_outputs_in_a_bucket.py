"""Outputs in a real S3 server: whole or absent, whatever the connection and the process do."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.outputs import Output, files_below
from services.servicekit.errors import StoredObjectCorrupt, StoreUnavailable
from services.servicekit.storage.port import ObjectNotFound, ObjectStore
from services.servicekit.storage.settings import StoreSettings, open_store
from tests.servicekit.cutting_proxy import CuttingProxy, cutting_proxy
from tests.servicekit.s3_server import S3Server

MIB = 1 << 20


@pytest.fixture
def settings(s3_server: S3Server) -> StoreSettings:
    return s3_server.settings(bucket=s3_server.new_bucket())


@pytest.fixture
def store(settings: StoreSettings) -> ObjectStore:
    return open_store(settings)


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[CuttingProxy]:
    with cutting_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def far(settings: StoreSettings, proxy: CuttingProxy) -> ObjectStore:
    changes = {"endpoint": proxy.endpoint, "max_attempts": 3}
    return open_store(settings.model_copy(update=changes))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "parts").mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")
    for number in range(6):
        content = bytes([number]) * (6 * MIB + number)
        (folder / "parts" / f"{number}.safetensors").write_bytes(content)
    return folder


def _output(store: ObjectStore) -> Output:
    return Output(store=store, prefix="checkpoints/arm")


def _publish(store: ObjectStore, folder: Path) -> None:
    _output(store).publish(
        kind="checkpoint",
        digest="d" * 64,
        parameters={},
        inputs={},
        counts={},
        files=files_below(folder),
    )


def _contents(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files_below(folder).items()}


def test_a_folder_comes_back_as_it_was(store: ObjectStore, model: Path, tmp_path: Path) -> None:
    _publish(store, model)
    _output(store).fetch(tmp_path / "copy")

    assert _contents(tmp_path / "copy") == _contents(model)


def test_cut_connections_delay_an_output_and_change_nothing(
    far: ObjectStore, proxy: CuttingProxy, model: Path, tmp_path: Path
) -> None:
    proxy.cuts_up = [3 * MIB, 5 * MIB]
    _publish(far, model)
    proxy.cuts_down = [2 * MIB, 4 * MIB, MIB]
    _output(far).fetch(tmp_path / "copy")

    assert (proxy.cuts_up, proxy.cuts_down) == ([], [])
    assert _contents(tmp_path / "copy") == _contents(model)


def test_an_outage_while_publishing_leaves_no_output_and_is_made_up_for(
    store: ObjectStore, far: ObjectStore, proxy: CuttingProxy, model: Path, tmp_path: Path
) -> None:
    proxy.cuts_up = [3 * MIB] * 100
    with pytest.raises(StoreUnavailable):
        _publish(far, model)
    assert not _output(store).is_complete()
    with pytest.raises(ObjectNotFound, match=r"manifest\.json"):
        _output(store).fetch(tmp_path / "copy")

    proxy.cuts_up = []
    _publish(far, model)
    _output(far).fetch(tmp_path / "copy")

    assert _contents(tmp_path / "copy") == _contents(model)


def test_an_outage_while_fetching_shows_no_half_folder(
    store: ObjectStore, far: ObjectStore, proxy: CuttingProxy, model: Path, tmp_path: Path
) -> None:
    _publish(store, model)
    proxy.cuts_down = [5 * MIB] + [1000] * 200
    with pytest.raises(StoreUnavailable):
        _output(far).fetch(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()

    proxy.cuts_down = []
    _output(far).fetch(tmp_path / "copy")

    assert _contents(tmp_path / "copy") == _contents(model)


def test_a_file_that_differs_from_its_manifest_is_never_fetched(
    store: ObjectStore, model: Path, tmp_path: Path
) -> None:
    _publish(store, model)
    store.put("checkpoints/arm/parts/3.safetensors", b"of another model")

    with pytest.raises(StoredObjectCorrupt, match=r"parts/3\.safetensors.*differs"):
        _output(store).fetch(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_wrong_credentials_are_said_and_nothing_is_written(
    settings: StoreSettings, store: ObjectStore, model: Path, tmp_path: Path
) -> None:
    stranger = open_store(settings.model_copy(update={"access_key": "nobody"}))

    with pytest.raises(StoreUnavailable, match=r"the access key is unknown|are refused"):
        _publish(stranger, model)
    with pytest.raises(StoreUnavailable, match=r"the access key is unknown|are refused"):
        _output(stranger).fetch(tmp_path / "copy")
    assert list(store.keys()) == []


PUBLISHER = """
import sys
from pathlib import Path
from pipelines.outputs import Output, files_below
from services.servicekit.storage.settings import StoreSettings, open_store
store = open_store(StoreSettings.model_validate_json(sys.argv[1]))
Output(store=store, prefix="checkpoints/arm").publish(
    kind="checkpoint", digest="d" * 64, parameters={}, inputs={}, counts={},
    files=files_below(Path(sys.argv[2])),
)
"""


def _publisher(settings: StoreSettings, folder: Path) -> subprocess.Popen[bytes]:
    described = {
        **settings.model_dump(mode="json"),
        "secret_key": settings.secret_key.get_secret_value(),
    }
    return subprocess.Popen([sys.executable, "-c", PUBLISHER, json.dumps(described), str(folder)])


@pytest.mark.slow
@pytest.mark.parametrize("after", [MIB, 8 * MIB, 30 * MIB])
def test_a_publisher_killed_half_way_leaves_no_output_and_the_next_completes_it(
    settings: StoreSettings, proxy: CuttingProxy, model: Path, tmp_path: Path, after: int
) -> None:
    store = open_store(settings)
    # The proxy stops the publisher at an exact byte, so that the kill meets it half way.
    proxy.holds_up_after = after
    with _publisher(settings.model_copy(update={"endpoint": proxy.endpoint}), model) as killed:
        assert proxy.is_held.wait(30)
        os.kill(killed.pid, signal.SIGKILL)
    assert not _output(store).is_complete()
    with pytest.raises(ObjectNotFound):
        _output(store).fetch(tmp_path / "copy")

    with _publisher(settings, model) as again:
        pass

    assert again.returncode == 0
    _output(store).fetch(tmp_path / "copy")
    assert _contents(tmp_path / "copy") == _contents(model)

"""What several test modules of jobs share."""

from collections.abc import Iterator

import pytest

from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import StoreSettings, open_store
from tests.jobs.pods import publish_rhymes
from tests.servicekit.s3_server import S3Server, started_s3_server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with started_s3_server() as server:
        yield server


@pytest.fixture(scope="module")
def settings(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> StoreSettings:
    """A bucket with shards to train on."""
    settings = s3_server.settings(bucket=s3_server.new_bucket())
    publish_rhymes(open_store(settings), tmp_path_factory.mktemp("shards"), 1800)
    return settings


@pytest.fixture(scope="module")
def store(settings: StoreSettings) -> ObjectStore:
    return open_store(settings)

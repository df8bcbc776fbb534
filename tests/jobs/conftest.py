"""What several test modules of jobs share."""

from collections.abc import Iterator

import pytest

from tests.servicekit.s3_server import S3Server, started_s3_server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with started_s3_server() as server:
        yield server

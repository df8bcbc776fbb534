"""What every test gets: one way to generate examples, and no logs of the test before."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# Deadlines measure a shared machine, not our code; examples must be the same for everyone.
settings.register_profile("teachwhy", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("teachwhy")


@pytest.fixture(autouse=True)
def _fresh_logging() -> Iterator[None]:
    yield
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()

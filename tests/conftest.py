"""What every test gets: one way to generate examples, and no logs of the test before."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests.experiment.tiny_run import run_undisturbed
from tests.once import made_once

# Deadlines measure a shared machine, not our code; examples must be the same for everyone.
settings.register_profile("teachwhy", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("teachwhy")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Leave modules and tests to no garbage collection: they stay to the end, and are many."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first: the short ones fill up what is left at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def _fresh_logging() -> Iterator[None]:
    yield
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs folder of the tiny experiment with a promotion, undisturbed. It is shared: only read."""
    return made_once(tmp_path_factory, "whole-run", run_undisturbed) / "runs"

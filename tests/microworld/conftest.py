"""A world to look at."""

import pytest

from services.microworld.world import World


@pytest.fixture(scope="session")
def world() -> World:
    return World.build(0)

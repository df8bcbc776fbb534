"""Checkpoints come and go one by one, whoever asks and however often."""

import asyncio
from collections.abc import Sequence

import pytest

from services.servicekit.errors import (
    InvalidField,
    ModelUnavailable,
    ResourceConflict,
    ResourceNotFound,
    StoredObjectCorrupt,
)
from services.serving.batching import Lane
from services.serving.hosting import CheckpointHost, HostedModel
from services.serving.rendering import ChatRenderer
from services.serving.row import Row


class SilentEngine:
    context_tokens = 10

    def join(self, rows: Sequence[Row]) -> None: ...
    def step(self) -> None: ...
    def leave(self, row: Row) -> None: ...
    def clear(self) -> None: ...


class RecordingObserver:
    def __init__(self) -> None:
        self.events: list[str] = []

    def loaded(self, name: str, seconds: float, num_loaded: int) -> None:
        self.events.append(f"loaded {name}, {num_loaded} in memory")

    def load_failed(self, name: str, error: BaseException) -> None:
        self.events.append(f"refused {name}: {error}")

    def unloaded(self, name: str, num_loaded: int) -> None:
        self.events.append(f"unloaded {name}, {num_loaded} in memory")


class Loads:
    """Loads when the test says so."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.allowed = asyncio.Event()

    async def __call__(self, name: str) -> HostedModel:
        self.asked.append(name)
        await self.allowed.wait()
        if name == "broken":
            raise StoredObjectCorrupt(name, "torn")
        renderer = ChatRenderer.__new__(ChatRenderer)
        return HostedModel(name=name, renderer=renderer, lane=Lane(SilentEngine()), loaded_at=0)


@pytest.fixture
def loads() -> Loads:
    return Loads()


@pytest.fixture
def observer() -> RecordingObserver:
    return RecordingObserver()


@pytest.fixture
def host(loads: Loads, observer: RecordingObserver) -> CheckpointHost:
    return CheckpointHost(loads, max_loaded_models=2, observer=observer)


async def test_one_load_serves_all_who_ask_for_it(host: CheckpointHost, loads: Loads) -> None:
    asking = [asyncio.create_task(host.load("arm")) for _ in range(5)]
    await asyncio.sleep(0)
    loads.allowed.set()
    await asyncio.gather(*asking)
    await host.load("arm")

    assert loads.asked == ["arm"]
    assert host.names == ("arm",)


async def test_a_load_goes_on_without_the_one_who_asked(host: CheckpointHost, loads: Loads) -> None:
    asking = asyncio.create_task(host.load("arm"))
    await asyncio.sleep(0)
    asking.cancel()
    loads.allowed.set()
    await host.load("arm")

    assert loads.asked == ["arm"]


async def test_a_checkpoint_that_is_being_loaded_is_unavailable(
    host: CheckpointHost, loads: Loads
) -> None:
    asking = asyncio.create_task(host.load("arm"))
    await asyncio.sleep(0)

    with pytest.raises(ModelUnavailable, match="still being loaded"):
        host.model("arm")
    with pytest.raises(ResourceConflict, match="still being loaded"):
        host.unload("arm")

    loads.allowed.set()
    await asking
    assert host.model("arm").name == "arm"


async def test_a_refused_checkpoint_leaves_nothing_and_can_be_tried_again(
    host: CheckpointHost, loads: Loads, observer: RecordingObserver
) -> None:
    loads.allowed.set()

    for _ in range(2):
        with pytest.raises(StoredObjectCorrupt, match="torn"):
            await host.load("broken")

    assert host.names == ()
    assert loads.asked == ["broken", "broken"]
    assert len(observer.events) == 2


async def test_no_more_are_loaded_than_the_limit(host: CheckpointHost, loads: Loads) -> None:
    loads.allowed.set()
    await host.load("one")
    await host.load("two")

    with pytest.raises(ResourceConflict, match=r"2 checkpoints.*MAX_LOADED_MODELS.*one, two"):
        await host.load("three")
    host.unload("one")
    await host.load("three")

    assert host.names == ("three", "two")


async def test_what_is_not_loaded_cannot_be_used_or_unloaded(host: CheckpointHost) -> None:
    with pytest.raises(ResourceNotFound):
        host.model("arm")
    with pytest.raises(ResourceNotFound):
        host.unload("arm")
    with pytest.raises(InvalidField):
        await host.load("../arm")


async def test_a_checkpoint_answers_to_its_further_names(loads: Loads) -> None:
    loads.allowed.set()
    host = CheckpointHost(
        loads,
        max_loaded_models=2,
        observer=RecordingObserver(),
        aliases={"agent": "a", "other": "b"},
    )
    await host.load("a")

    assert host.model("agent") is host.model("a")
    assert host.names == ("a", "agent")
    with pytest.raises(ResourceNotFound, match="other"):
        host.model("other")
    with pytest.raises(ResourceNotFound, match="agent"):
        host.unload("agent")


async def test_a_checkpoint_that_is_loading_is_loading_under_every_name(loads: Loads) -> None:
    host = CheckpointHost(
        loads, max_loaded_models=2, observer=RecordingObserver(), aliases={"agent": "a"}
    )
    loading = asyncio.ensure_future(host.load("a"))
    await asyncio.sleep(0)

    with pytest.raises(ModelUnavailable, match="still being loaded"):
        host.model("agent")
    loads.allowed.set()
    await loading
    assert host.model("agent").name == "a"

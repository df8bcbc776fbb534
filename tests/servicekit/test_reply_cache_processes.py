"""The reply cache in real processes that share a store and are killed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from services.servicekit.reply_cache import ReplyCache
from services.servicekit.storage.settings import StoreSettings, open_store
from tests.servicekit.replies import key, reply
from tests.servicekit.s3_server import S3Server

ROOT = Path(__file__).parents[2]
FLUSH_SECONDS = 1.0  # the cache's default
FOLDERS = ("shared", "shared", "own")


class Keeper:
    """A process that keeps replies, and what it has said."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.kept: dict[int, float] = {}
        self.slowest_put = 0.0

    def listen_until_stored(self, num_segments: int) -> None:
        stored = 0
        while stored < num_segments:
            line = self._line()
            assert line, "the process ended"
            stored += line.startswith("put")

    def listen_for(self, seconds: float) -> None:
        until = max(self.kept.values()) + seconds
        while max(self.kept.values()) < until:
            assert self._line(), "the process ended"

    def kill(self) -> float:
        self._process.kill()
        killed_at = time.monotonic()
        while self._line():
            pass
        self._process.wait()
        return killed_at

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            return ""  # the end, or the half line of a killed process
        match line.split():
            case ["kept", number, moment]:
                self.kept[int(number)] = float(moment)
            case ["put", seconds]:
                self.slowest_put = max(self.slowest_put, float(seconds))
        return line


@contextmanager
def keeper(
    settings: StoreSettings, folder: Path, *, first: int = 0, step: int = 1
) -> Iterator[Keeper]:
    told = settings.model_dump(mode="json")
    told["secret_key"] = settings.secret_key.get_secret_value()  # a dump hides it
    words = (json.dumps(told), str(folder), str(first), str(step))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.servicekit.reply_cache_process", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Keeper(process)
        finally:
            process.kill()


@pytest.fixture(params=["directory", "s3"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> StoreSettings:
    if request.param == "directory":
        return StoreSettings(root=tmp_path / "store")
    server: S3Server = request.getfixturevalue("s3_server")
    return server.settings(bucket=server.new_bucket())


async def _found(settings: StoreSettings, folder: Path, numbers: Iterable[int]) -> set[int]:
    async with ReplyCache(open_store(settings), folder) as cache:
        replies = {number: await cache.find(key(number)) for number in numbers}
    assert all(found in {None, reply(number)} for number, found in replies.items())
    return {number for number, found in replies.items() if found}


async def test_a_killed_process_loses_at_most_its_last_second(
    settings: StoreSettings, tmp_path: Path
) -> None:
    with keeper(settings, tmp_path / "copy") as process:
        process.listen_until_stored(1)
        process.listen_for(1.4)  # a cache that writes less often than it says would lose all this
        killed_at = process.kill()

    found = await _found(settings, tmp_path / "fresh", process.kept)
    lost = process.kept.keys() - found
    assert found
    # The machine may be slow at writing; what it took to write is no time of ours.
    oldest_allowed = killed_at - FLUSH_SECONDS - process.slowest_put
    assert [number for number in lost if process.kept[number] < oldest_allowed] == []
    # What is lost is the end of what was kept, without holes.
    assert lost == set(sorted(process.kept)[len(found) :])


async def test_the_copy_of_a_killed_process_goes_on_being_used(
    settings: StoreSettings, tmp_path: Path
) -> None:
    for _ in range(2):
        with keeper(settings, tmp_path / "copy") as process:
            process.listen_until_stored(1)
            process.kill()

    with_old_copy = await _found(settings, tmp_path / "copy", process.kept)
    assert with_old_copy == await _found(settings, tmp_path / "fresh", process.kept)


async def test_processes_share_a_store_and_a_folder_while_one_is_killed(
    settings: StoreSettings, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                keeper(settings, tmp_path / folder, first=number, step=len(FOLDERS))
            )
            for number, folder in enumerate(FOLDERS)
        ]
        for process in processes:
            process.listen_until_stored(1)
        killed_at = processes[0].kill()
        for process in processes[1:]:
            process.listen_until_stored(1)
            process.kill()

    for process in processes:
        found = await _found(settings, tmp_path / "fresh", process.kept)
        assert found
        assert found == set(sorted(process.kept)[: len(found)])
    first = processes[0]
    early = {
        number
        for number, moment in first.kept.items()
        if moment < killed_at - FLUSH_SECONDS - first.slowest_put
    }
    assert early <= await _found(settings, tmp_path / "shared", first.kept)

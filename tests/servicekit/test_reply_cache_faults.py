"""The reply cache among damaged segments, stores that go away and folders that vanish."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from services.servicekit.errors import StoreUnavailable
from services.servicekit.reply_cache import ReplyCache
from services.servicekit.reply_writer import MOST_WAITING_BYTES
from services.servicekit.storage.directory import DirectoryStore
from tests.servicekit.replies import FragileStore, key, reply, until

QUICK = 0.02


@pytest.fixture
def store(tmp_path: Path) -> FragileStore:
    return FragileStore(DirectoryStore(tmp_path / "store"))


async def _kept(store: FragileStore, folder: Path, *numbers: int) -> str:
    """Keep replies in one segment and return its key."""
    async with ReplyCache(store, folder) as cache:
        for number in numbers:
            await cache.keep(key(number), reply(number))
    return store.puts[-1]


def _cut(data: bytes) -> bytes:
    return data[: len(data) - 40]


def _cut_at_a_line(data: bytes) -> bytes:
    return data[: data.rindex(b"\n", 0, -1) + 1]


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _emptied(_data: bytes) -> bytes:
    return b""


def _no_json(_data: bytes) -> bytes:
    return b"\xff\x00\n"


def _newer(data: bytes) -> bytes:
    header, _, body = data.partition(b"\n")
    return orjson.dumps({**orjson.loads(header), "version": 2}) + b"\n" + body


@pytest.mark.parametrize("damage", [_cut, _cut_at_a_line, _flipped, _emptied, _no_json, _newer])
async def test_a_damaged_segment_is_skipped_and_counted(
    store: FragileStore,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[bytes], bytes],
) -> None:
    damaged = await _kept(store, tmp_path / "one", 1, 2, 3)
    await _kept(store, tmp_path / "one", 4)
    content = damage(store.get(damaged))
    store.put(damaged, content)

    async with ReplyCache(store, tmp_path / "fresh") as cache:
        assert [await cache.find(key(number)) for number in (1, 2, 3)] == [None] * 3
        assert await cache.find(key(4)) == reply(4)
        assert cache.counts.skipped_segments == 1

    assert store.get(damaged) == content  # left for people to look at
    assert "reply_segment.skipped" in (said := capfd.readouterr().out)
    assert damaged in said


async def test_an_object_that_is_no_segment_is_left_alone(
    store: FragileStore, tmp_path: Path
) -> None:
    store.put("replies/README.md", b"hello")
    await _kept(store, tmp_path / "one", 1)

    async with ReplyCache(store, tmp_path / "two") as cache:
        assert await cache.find(key(1)) == reply(1)
        assert cache.counts.skipped_segments == 1
    assert store.get("replies/README.md") == b"hello"


async def test_a_store_that_comes_back_gets_everything(store: FragileStore, tmp_path: Path) -> None:
    async with ReplyCache(store, tmp_path / "copy", flush_seconds=QUICK) as cache:
        assert await cache.find(key(0)) is None
        store.is_away = True
        for number in range(20):
            await cache.keep(key(number), reply(number))
        await until(lambda: cache.counts.failures >= 2)
        assert await cache.find(key(7)) == reply(7)
        assert cache.counts.waiting_replies == 20

        store.is_away = False
        await until(lambda: not cache.counts.waiting_replies)

    async with ReplyCache(store, tmp_path / "fresh") as cache:
        assert [await cache.find(key(number)) for number in range(20)] == list(
            map(reply, range(20))
        )


async def test_flushing_into_a_store_that_is_away_says_so_and_loses_nothing(
    store: FragileStore, tmp_path: Path
) -> None:
    async with ReplyCache(store, tmp_path / "copy") as cache:
        store.is_away = True
        await cache.keep(key(1), reply(1))
        with pytest.raises(StoreUnavailable, match="it is away"):
            await cache.flush()
        assert await cache.find(key(1)) == reply(1)
        store.is_away = False
        await cache.flush()
        assert cache.counts.waiting_replies == 0


async def test_leaving_while_the_store_is_away_does_not_pretend(
    store: FragileStore, tmp_path: Path
) -> None:
    async def keep() -> None:
        async with ReplyCache(store, tmp_path / "copy", flush_seconds=QUICK) as cache:
            await cache.find(key(1))
            store.is_away = True
            await cache.keep(key(1), reply(1))

    with pytest.raises(StoreUnavailable, match="1 replies wait to be written"):
        await keep()


async def test_an_error_of_the_block_is_not_hidden_by_the_store(
    store: FragileStore, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def keep() -> None:
        async with ReplyCache(store, tmp_path / "copy", flush_seconds=QUICK) as cache:
            store.is_away = True
            await cache.keep(key(1), reply(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await keep()

    assert "replies.lost" in capfd.readouterr().out


async def test_a_store_that_was_never_read_is_no_empty_cache(
    store: FragileStore, tmp_path: Path
) -> None:
    await _kept(store, tmp_path / "one", 1)
    store.is_away = True

    async with ReplyCache(store, tmp_path / "two") as cache:
        with pytest.raises(StoreUnavailable, match="it is away"):
            await cache.find(key(1))
        store.is_away = False
        assert await cache.find(key(1)) == reply(1)


async def test_a_store_that_goes_away_later_stops_nobody(
    store: FragileStore, tmp_path: Path
) -> None:
    await _kept(store, tmp_path / "copy", 1)

    async with ReplyCache(store, tmp_path / "copy", refresh_seconds=0.0) as cache:
        assert await cache.find(key(2)) is None
        store.is_away = True
        assert await cache.find(key(2)) is None
        assert await cache.find(key(1)) == reply(1)
        store.is_away = False


async def test_replies_do_not_fill_the_memory_of_a_process_without_a_store(
    store: FragileStore, tmp_path: Path
) -> None:
    padding = "x" * (1 << 20)
    most = MOST_WAITING_BYTES // len(padding)
    async with ReplyCache(store, tmp_path / "copy", flush_seconds=QUICK) as cache:
        await cache.find(key(0))
        store.is_away = True
        for number in range(most - 1):
            await cache.keep(key(number), reply(number, padding=padding))
        with pytest.raises(StoreUnavailable, match="it is away"):
            await cache.keep(key(most), reply(most, padding=padding))
        # It was paid for, so it is accepted; whether to go on is the caller's to say.
        assert await cache.find(key(most)) == reply(most, padding=padding)
        with pytest.raises(StoreUnavailable, match="it is away"):
            await cache.flush()
        store.is_away = False


async def test_a_store_that_hangs_blocks_neither_the_loop_nor_the_cache(tmp_path: Path) -> None:
    answers = threading.Event()

    class Hanging(FragileStore):
        def put(self, key: str, data: bytes) -> None:
            answers.wait(30)
            super().put(key, data)

    store = Hanging(DirectoryStore(tmp_path / "store"))
    async with ReplyCache(store, tmp_path / "copy", flush_seconds=QUICK) as cache:
        assert await cache.find(key(0)) is None
        await cache.keep(key(0), reply(0))
        flushing = asyncio.create_task(cache.flush())
        await asyncio.sleep(0)
        for number in range(1, 10):
            await cache.keep(key(number), reply(number))
        assert [await cache.find(key(number)) for number in range(10)] == list(
            map(reply, range(10))
        )
        assert not flushing.done()
        answers.set()
        await flushing

    async with ReplyCache(store, tmp_path / "fresh") as cache:
        assert await cache.find(key(9)) == reply(9)


async def test_the_folder_may_be_deleted_at_any_time(store: FragileStore, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    async with ReplyCache(store, folder) as cache:
        await cache.keep(key(1), reply(1))
        await cache.flush()
        shutil.rmtree(folder)
        await cache.keep(key(2), reply(2))
        await cache.flush()
        assert await cache.find(key(1)) == reply(1)
        assert await cache.find(key(2)) == reply(2)

    shutil.rmtree(folder)
    async with ReplyCache(store, folder) as cache:
        assert await cache.find(key(1)) == reply(1)


async def test_a_damaged_copy_is_read_from_the_store_again(
    store: FragileStore, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    await _kept(store, folder, *range(200))
    (path,) = folder.glob("*.sqlite")
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 512):
        content[start : start + 64] = b"\xff" * 64
    path.write_bytes(content)

    async with ReplyCache(store, folder) as cache:
        assert [await cache.find(key(number)) for number in range(200)] == list(
            map(reply, range(200))
        )
        assert cache.counts.imported_segments == 1


async def test_a_copy_that_is_no_database_is_begun_anew(
    store: FragileStore, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    await _kept(store, folder, 1)
    (path,) = folder.glob("*.sqlite")
    path.write_bytes(b"not a database " * 1000)

    async with ReplyCache(store, folder) as cache:
        assert await cache.find(key(1)) == reply(1)


async def test_a_folder_that_cannot_be_made_is_named(store: FragileStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreUnavailable, match="file/copy"):
        async with ReplyCache(store, tmp_path / "file" / "copy"):
            pass


async def test_a_reply_of_an_unknown_form_is_a_miss_until_it_is_kept_again(
    store: FragileStore, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    await _kept(store, folder, 1)
    (path,) = folder.glob("*.sqlite")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE replies SET reply = x'00'")
    connection.close()

    async with ReplyCache(store, folder) as cache:
        assert await cache.find(key(1)) is None
        assert cache.counts.unreadable_replies == 1
        await cache.keep(key(1), reply(1))
        await cache.flush()
        assert await cache.find(key(1)) == reply(1)

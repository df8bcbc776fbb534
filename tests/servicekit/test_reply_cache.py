"""What the reply cache promises while all goes well, on a directory and on a real S3 server."""

import asyncio
from pathlib import Path

import pytest

from services.servicekit.errors import InvalidField
from services.servicekit.reply_cache import ReplyCache
from services.servicekit.storage.directory import DirectoryStore
from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import StoreSettings, open_store
from tests.servicekit.replies import FragileStore, key, reply, until
from tests.servicekit.s3_server import S3Server


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "directory":
        return open_store(StoreSettings(root=tmp_path / "store"))
    server: S3Server = request.getfixturevalue("s3_server")
    return open_store(server.settings(bucket=server.new_bucket()))


async def test_a_kept_reply_is_found_at_once_and_whole(store: ObjectStore, tmp_path: Path) -> None:
    async with ReplyCache(store, tmp_path / "copy") as cache:
        assert await cache.find(key(1)) is None
        await cache.keep(key(1), reply(1))

        assert await cache.find(key(1)) == reply(1)
        assert list(store.keys()) == []  # nobody waited for the store
        await cache.flush()
        assert await cache.find(key(1)) == reply(1)
        assert await cache.find(key(2)) is None


async def test_a_later_process_finds_what_was_kept(store: ObjectStore, tmp_path: Path) -> None:
    async with ReplyCache(store, tmp_path / "one") as cache:
        for number in range(50):
            await cache.keep(key(number), reply(number))

    async with ReplyCache(store, tmp_path / "another") as cache:
        assert [await cache.find(key(number)) for number in range(50)] == list(
            map(reply, range(50))
        )
        assert cache.counts.hits == 50


async def test_many_replies_are_one_object(store: ObjectStore, tmp_path: Path) -> None:
    async with ReplyCache(store, tmp_path / "copy") as cache:
        for number in range(500):
            await cache.keep(key(number), reply(number))

    assert len(list(store.keys("replies/"))) == 1


async def test_a_reply_is_stored_within_the_flush_interval(
    store: ObjectStore, tmp_path: Path
) -> None:
    async with ReplyCache(store, tmp_path / "copy", flush_seconds=0.2) as cache:
        await cache.keep(key(1), reply(1))
        await until(lambda: not cache.counts.waiting_replies)

        assert len(list(store.keys("replies/"))) == 1
        assert await cache.find(key(1)) == reply(1)


async def test_another_replica_sees_new_replies(store: ObjectStore, tmp_path: Path) -> None:
    async with (
        ReplyCache(store, tmp_path / "one", refresh_seconds=0.0) as one,
        ReplyCache(store, tmp_path / "two", refresh_seconds=0.0) as two,
    ):
        assert await one.find(key(99)) is None  # has read the store, which is empty
        for number in range(3):
            assert await two.find(key(number)) is None
            await one.keep(key(number), reply(number))
            await one.flush()
            assert await two.find(key(number)) == reply(number)
        assert two.counts.imported_segments == 3
        assert one.counts.imported_segments == 0  # its own are in its copy already


async def test_replicas_never_overwrite_each_other(store: ObjectStore, tmp_path: Path) -> None:
    async def write(replica: int) -> None:
        async with ReplyCache(store, tmp_path / str(replica)) as cache:
            for number in range(replica * 100, replica * 100 + 20):
                await cache.keep(key(number), reply(number))
                await cache.flush()

    await asyncio.gather(*map(write, range(4)))

    async with ReplyCache(store, tmp_path / "reader") as cache:
        for replica in range(4):
            for number in range(replica * 100, replica * 100 + 20):
                assert await cache.find(key(number)) == reply(number)


async def test_replicas_of_one_machine_share_a_folder(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    async with (
        ReplyCache(store, tmp_path / "copy") as one,
        ReplyCache(store, tmp_path / "copy") as two,
    ):
        await one.keep(key(1), reply(1))
        await two.keep(key(2), reply(2))
        await asyncio.gather(one.flush(), two.flush())

        assert await one.find(key(2)) == reply(2)
        assert await two.find(key(1)) == reply(1)


async def test_missing_keys_list_the_store_only_so_often(tmp_path: Path) -> None:
    store = FragileStore(DirectoryStore(tmp_path / "store"))
    async with ReplyCache(store, tmp_path / "copy", refresh_seconds=3600.0) as cache:
        assert await asyncio.gather(*(cache.find(key(number)) for number in range(100))) == (
            [None] * 100
        )

    assert store.listings == 1


async def test_what_a_replica_answered_once_it_goes_on_answering(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    async with (
        ReplyCache(store, tmp_path / "one", refresh_seconds=0.0) as one,
        ReplyCache(store, tmp_path / "two", refresh_seconds=0.0) as two,
    ):
        # Both asked at the same time, and their host is not deterministic.
        await one.keep(key(1), reply(1))
        await two.keep(key(1), reply(99))
        await one.flush()
        await two.flush()
        assert await one.find(key(2)) is None  # reads the other's segment
        assert await two.find(key(2)) is None

        assert await one.find(key(1)) == reply(1)
        assert await two.find(key(1)) == reply(99)

    async with ReplyCache(store, tmp_path / "later") as later:
        assert await later.find(key(1)) == reply(1)  # the older segment


@pytest.mark.parametrize("text", ["", "abc", "A" * 64, "0" * 63 + "\n", "0" * 65])
async def test_a_text_that_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    async with ReplyCache(DirectoryStore(tmp_path / "store"), tmp_path / "copy") as cache:
        with pytest.raises(InvalidField, match="reply_key: must be 64 hexadecimal digits"):
            await cache.find(text)
        with pytest.raises(InvalidField, match="reply_key"):
            await cache.keep(text, reply(1))


async def test_a_cache_that_is_not_entered_says_so(tmp_path: Path) -> None:
    cache = ReplyCache(DirectoryStore(tmp_path / "store"), tmp_path / "copy")

    with pytest.raises(RuntimeError, match="must be entered"):
        await cache.find(key(1))

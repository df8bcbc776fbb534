"""A process that keeps replies until it is killed.

It says what it did, one line each: "kept NUMBER MOMENT" after a reply was accepted, and
"put SECONDS" after a segment was stored. Moments are of the machine's one monotonic clock.
"""

import asyncio
import sys
import time
from pathlib import Path

from services.servicekit.reply_cache import ReplyCache
from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import StoreSettings, open_store
from tests.servicekit.replies import FragileStore, key, reply


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


class TimedStore(FragileStore):
    def put(self, key: str, data: bytes) -> None:
        begun = time.monotonic()
        super().put(key, data)
        say("put", time.monotonic() - begun)


async def keep_for_ever(store: ObjectStore, folder: Path, first: int, step: int) -> None:
    async with ReplyCache(TimedStore(store), folder) as cache:
        number = first
        while True:
            await cache.keep(key(number), reply(number))
            say("kept", number, time.monotonic())
            number += step
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    settings = StoreSettings.model_validate_json(sys.argv[1])
    asyncio.run(
        keep_for_ever(open_store(settings), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    )

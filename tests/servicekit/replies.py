"""Requests and replies for the tests of the reply cache, and a store that can go away."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

from services.servicekit.chat import (
    ChatReply,
    ChatRequest,
    FinishReason,
    ModelRef,
    Sampling,
    Usage,
)
from services.servicekit.conversation import Message, Role, ToolCall, ToolDefinition
from services.servicekit.errors import StoreUnavailable
from services.servicekit.reply_cache import reply_key
from services.servicekit.storage.port import ObjectStore


def request(number: int = 0) -> ChatRequest:
    return ChatRequest(
        target=ModelRef(endpoint="author", model="writer-1"),
        messages=(
            Message(role=Role.SYSTEM, content="be good"),
            Message(role=Role.USER, content=f"question {number}", name="ada"),
            Message(
                role=Role.ASSISTANT,
                content="",
                tool_calls=(ToolCall(id="call-0", tool="look", arguments_json="{}"),),
                reasoning="hm",
            ),
            Message(role=Role.TOOL, content="seen", tool_call_id="call-0"),
        ),
        tools=(ToolDefinition(name="look", description="looks", parameters_json_schema="{}"),),
        sampling=Sampling(temperature=0.7, max_output_tokens=100, seed=number),
    )


def key(number: int) -> str:
    return reply_key(request(number))


def reply(number: int = 0, *, padding: str = "") -> ChatReply:
    return ChatReply(
        message=Message(
            role=Role.ASSISTANT,
            content=f"answer {number}\twith\nall\u2028kinds of ends \U0001f642{padding}",
            tool_calls=(ToolCall(id="call-1", tool="look", arguments_json='{"a": 1}'),),
            reasoning="because",
        ),
        finish_reason=FinishReason.TOOL_CALLS,
        usage=Usage(input_tokens=11, output_tokens=number),
        model_revision="writer-1 fp_1",
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 (a cache tells nobody what it writes when)
            await asyncio.sleep(0.01)


class FragileStore:
    """Hands on to another store, unless it is told to be away; counts what is asked."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.is_away = False
        self.puts: list[str] = []
        self.listings = 0

    def get(self, key: str) -> bytes:
        self._check()
        return self._store.get(key)

    def put(self, key: str, data: bytes) -> None:
        self._check()
        self.puts.append(key)
        self._store.put(key, data)

    def exists(self, key: str) -> bool:
        self._check()
        return self._store.exists(key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        self._check()
        self.listings += 1
        yield from self._store.keys(prefix)

    def delete(self, key: str) -> None:
        self._check()
        self._store.delete(key)

    def fetch_file(self, key: str, path: Path) -> None:
        self._check()
        self._store.fetch_file(key, path)

    def put_file(self, key: str, path: Path) -> None:
        self._check()
        self._store.put_file(key, path)

    def _check(self) -> None:
        if self.is_away:
            raise StoreUnavailable("fragile", "it is away")

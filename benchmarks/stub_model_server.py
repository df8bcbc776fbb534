"""A model server that answers at once: what is left is the client's own cost.

Speaks OpenAI chat completions over HTTP/1.1 with keep-alive on a bare asyncio protocol, since a
web framework would be slower than the clients it is to measure. Knows no benchmark.

    python -m benchmarks.stub_model_server PORT
"""

import argparse
import asyncio
import signal
import sys
from typing import cast

import orjson
import uvloop

REPLY = (
    "You are weighing two things that both matter, and it shows in how you put the question. "
    "Before you decide, it may help to ask who would have to live with the result and whether "
    "they would agree if they saw it done. There is a slower way that keeps the door open: tell "
    "your manager what you found, write down the dates, and offer to redo the part that is wrong."
)
LIST_WANTED = b"JSON alone"
"""What the prompts of our recipes say where they ask for a list."""
LIST = orjson.dumps(
    {"questions": [f"What would you do with a promise that costs you {i} days?" for i in range(10)]}
).decode()
USAGE = {"prompt_tokens": 200, "completion_tokens": 70, "total_tokens": 270}
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"


def completion(model: str, content: str) -> bytes:
    """A whole HTTP response with this reply."""
    body = orjson.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": USAGE,
        }
    )
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


class StubConnection(asyncio.Protocol):
    """One keep-alive connection; requests are answered in order as soon as they are whole."""

    text_response = completion("stub", REPLY)
    list_response = completion("stub", LIST)

    def __init__(self) -> None:
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every whole request that has arrived."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._received[:end]).lower()
            length = _content_length(head)
            if len(self._received) < end + 4 + length:
                if b"expect: 100-continue" in head and self._transport is not None:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            wants_list = self._received.find(LIST_WANTED, end, end + 4 + length) >= 0
            del self._received[: end + 4 + length]
            self._answer(head, wants_list=wants_list)

    def _answer(self, head: bytes, *, wants_list: bool) -> None:
        assert self._transport is not None
        if head.startswith(b"post"):
            self._transport.write(self.list_response if wants_list else self.text_response)
        else:
            self._transport.write(NOT_FOUND)


def _content_length(head: bytes) -> int:
    at = head.find(b"content-length:")
    return int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def serve(port: int) -> None:
    """Serve on loopback until SIGTERM, and print the port."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(StubConnection, "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Never asleep: waking a sleeping core would be charged to the client that is measured.
    while not stop.is_set():  # noqa: ASYNC110
        await asyncio.sleep(0)


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int, help="0 lets the system choose; it is printed")
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port))
    return 0


if __name__ == "__main__":
    sys.exit(main())

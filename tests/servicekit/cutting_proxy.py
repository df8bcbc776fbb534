"""A TCP proxy that cuts connections after some bytes, or lets nobody through for a while."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CHUNK = 1 << 14


@dataclass
class CuttingProxy:
    """Counts what passes; its knobs may be turned at any time."""

    target: tuple[str, int]
    endpoint: str = ""
    is_open: bool = True
    """Whether new connections are let through, and those there are kept."""
    cuts_down: list[int] = field(default_factory=list)
    """Bytes after which the next connections' answers are cut, one entry each."""
    cuts_up: list[int] = field(default_factory=list)
    """The same for what is sent."""
    when_cut: Callable[[], None] = lambda: None
    """Called when a connection is cut, before either side notices."""
    loses_answer_to: bytes = b""
    """The answer to the next request that holds this is lost, though the server got it."""
    holds_up_after: int | None = None
    """Bytes sent by all connections together after which nothing is passed on any more."""
    is_held: threading.Event = field(default_factory=threading.Event)
    down: int = 0
    up: int = 0
    connections: int = 0

    def serve(self, listener: socket.socket, threads: list[threading.Thread]) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._join, args=(client,), daemon=True)
                thread.start()
                threads.append(thread)

    def _join(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            if not self.is_open:
                return
            with socket.create_connection(self.target) as server:
                sent = answered = 0
                while self.is_open:
                    ready, _, _ = select.select([client, server], [], [], 0.1)
                    if client in ready:
                        chunk = client.recv(CHUNK)
                        sent += len(chunk)
                        self.up += len(chunk)
                        if not chunk or self._is_cut(self.cuts_up, sent):
                            return
                        if self.holds_up_after is not None and self.up > self.holds_up_after:
                            self.is_held.set()
                            continue
                        server.sendall(chunk)
                        if self.loses_answer_to and self.loses_answer_to in chunk:
                            self.loses_answer_to = b""
                            server.recv(1)
                            return
                    if server in ready:
                        chunk = server.recv(CHUNK)
                        answered += len(chunk)
                        if not chunk or self._is_cut(self.cuts_down, answered):
                            return
                        self.down += len(chunk)
                        client.sendall(chunk)

    def _is_cut(self, cuts: list[int], passed: int) -> bool:
        if not cuts or passed < cuts[0]:
            return False
        cuts.pop(0)
        self.when_cut()
        return True


@contextmanager
def cutting_proxy(endpoint: str) -> Iterator[CuttingProxy]:
    host, port = endpoint.split(":")
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = CuttingProxy((host, int(port)), f"127.0.0.1:{listener.getsockname()[1]}")
        accepting = threading.Thread(target=proxy.serve, args=(listener, threads), daemon=True)
        accepting.start()
        yield proxy
        proxy.is_open = False
        listener.shutdown(socket.SHUT_RDWR)
        for thread in (accepting, *threads):
            thread.join(10)

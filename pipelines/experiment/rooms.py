"""Clients of the four gRPC rooms, with the patience a long run needs.

A room that is restarted in the middle of a stream costs nothing: the stream is opened
again behind the last item received, for as long as it makes progress.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self, TypeVar

import grpc
from teachwhy.dataset.v1 import dataset_service_pb2_grpc
from teachwhy.judge.v1 import judge_service_pb2_grpc
from teachwhy.rollout.v1 import rollout_service_pb2_grpc
from teachwhy.scoreboard.v1 import scoreboard_service_pb2_grpc

from services.servicekit.channel import ChannelSettings, error_details, open_channel

Item = TypeVar("Item")

ATTEMPTS_WITHOUT_PROGRESS = 6
"""Reconnections of a stream that brings no item, before the run gives up."""

RECONNECT_SECONDS = 20.0
"""Longest wait for a room to be back."""


def _is_transient(error: grpc.aio.AioRpcError) -> bool:
    """Whether the room may be back soon.

    Writing to a stream whose room was just killed is answered by gRPC itself with INTERNAL; a
    fault of a room carries a reason.
    """
    if error.code() is grpc.StatusCode.INTERNAL:
        return not error_details(error).reason
    return error.code() is grpc.StatusCode.UNAVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomAddresses:
    """Where the rooms listen, as "host:port"."""

    dataset: str
    rollout: str
    judge: str
    scoreboard: str
    channel: ChannelSettings = field(default_factory=ChannelSettings)
    """How they are reached: authorities, certificate, token."""


class Rooms:
    """Stubs of all rooms over one channel each; an asynchronous context manager."""

    def __init__(self, addresses: RoomAddresses) -> None:
        self._channels = {
            room: open_channel(getattr(addresses, room), addresses.channel)
            for room in ("dataset", "rollout", "judge", "scoreboard")
        }
        self.dataset = dataset_service_pb2_grpc.DatasetServiceStub(self._channels["dataset"])
        self.rollout = rollout_service_pb2_grpc.RolloutServiceStub(self._channels["rollout"])
        self.judge = judge_service_pb2_grpc.JudgeServiceStub(self._channels["judge"])
        self.scoreboard = scoreboard_service_pb2_grpc.ScoreboardServiceStub(
            self._channels["scoreboard"]
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels.values():
            await channel.close()

    async def wait_until_ready(self, room: str) -> None:
        """Wait until ``room`` answers again.

        Raises:
            TimeoutError: it does not within ``RECONNECT_SECONDS``.
        """
        await asyncio.wait_for(self._channels[room].channel_ready(), RECONNECT_SECONDS)

    async def patiently(self, room: str, call: Callable[[], Awaitable[Item]]) -> Item:
        """Make an idempotent call again while ``room`` is away."""
        for _ in range(ATTEMPTS_WITHOUT_PROGRESS - 1):
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if not _is_transient(error):
                    raise
                await self.wait_until_ready(room)
        return await call()

    async def resumed(
        self, room: str, open_stream: Callable[[], AsyncIterator[Item]]
    ) -> AsyncIterator[Item]:
        """Iterate a stream that goes on behind the last item after a lost connection.

        ``open_stream`` is called anew for each connection and must start behind the
        items already yielded.
        """
        fruitless = 0
        while True:
            try:
                async for item in open_stream():
                    fruitless = 0
                    yield item
            except grpc.aio.AioRpcError as error:
                fruitless += 1
                if not _is_transient(error) or fruitless >= ATTEMPTS_WITHOUT_PROGRESS:
                    raise
                await self.wait_until_ready(room)
            else:
                return

"""Asks every room whether it serves: `python rooms_answer.py`, with PIPELINES_ROOMS_CHANNEL__*.

Rooms are named by arguments "room=host:port". Ends with 1 where one does not answer.
"""
# ruff: noqa: INP001

import asyncio
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pipelines.experiment.settings import PipelinesSettings
from services.servicekit.channel import open_channel

SECONDS = 20.0


async def answer_of(room: str, address: str) -> str:
    """Return what a room says of itself, or why it says nothing."""
    service = f"teachwhy.{room}.v1.{room.title()}Service"
    async with open_channel(address, PipelinesSettings().rooms_channel) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                request, timeout=SECONDS, wait_for_ready=True
            )
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name} {error.details()}"
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


async def main() -> int:
    """Ask all, and say what each answers."""
    rooms = dict(argument.split("=", 1) for argument in sys.argv[1:])
    answers = await asyncio.gather(*(answer_of(*each) for each in rooms.items()))
    for (room, address), answer in zip(rooms.items(), answers, strict=True):
        sys.stdout.write(f"{room} at {address}: {answer}\n")
    return 0 if set(answers) == {"SERVING"} else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

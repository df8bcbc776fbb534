"""A server process of servicekit alone, for tests that need signals and exit codes."""

import asyncio
import sys
from typing import Any

import grpc
from pydantic_settings import SettingsConfigDict

from services.servicekit.logs import get_logger
from services.servicekit.server import ServiceBinding, run
from services.servicekit.settings import ServerSettings, settings_or_exit


class EchoSettings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="ECHO_")

    answer_after_seconds: float = 0.0


def main() -> int:
    settings = settings_or_exit(EchoSettings)

    async def echo(request: bytes, _context: Any) -> bytes:
        get_logger().info("echo.begun")
        await asyncio.sleep(settings.answer_after_seconds)
        return request

    handler = grpc.method_handlers_generic_handler(
        "test.Echo", {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    )
    binding = ServiceBinding(
        full_name="test.Echo", add=lambda server: server.add_generic_rpc_handlers((handler,))
    )
    return run(settings, room="echo", services=[binding])


if __name__ == "__main__":
    sys.exit(main())

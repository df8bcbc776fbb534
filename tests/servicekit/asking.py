"""Requests, and a chat model that asks the tests' model server, for the tests of both protocols."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from services.servicekit.chat import ChatRequest, ModelRef, Sampling
from services.servicekit.chat_endpoints import EndpointChatModel
from services.servicekit.conversation import Message, Role
from tests.model_server.answers import Script
from tests.model_server.sample import sample_reply
from tests.model_server.server import ModelServer


def request(text: str = "why ?", *, endpoint: str = "default", **sampling: Any) -> ChatRequest:
    return ChatRequest(
        target=ModelRef(endpoint=endpoint, model="tiny"),
        messages=(Message(role=Role.USER, content=text),),
        sampling=Sampling(**sampling),
    )


@asynccontextmanager
async def asking(
    script: Script = sample_reply, **changes: Any
) -> AsyncIterator[tuple[EndpointChatModel, ModelServer]]:
    """Serve the script, and ask it as endpoint "default" with these settings."""
    values = {"max_attempts": 3, "timeout_seconds": 10.0, "max_rate_limited_seconds": 0.0}
    with ModelServer(script) as server:
        endpoint = server.endpoint(**{**values, **changes})
        async with EndpointChatModel({"default": endpoint}) as model:
            yield model, server

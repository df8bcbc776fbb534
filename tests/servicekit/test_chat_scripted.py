"""The chat model that answers from a function."""

import pytest

from services.servicekit.chat import ChatRequest, ModelRef
from services.servicekit.chat_scripted import ScriptedChatModel, text_reply
from services.servicekit.conversation import Message, Role
from services.servicekit.errors import ModelUnavailable

REQUEST = ChatRequest(
    target=ModelRef(model="tiny"), messages=(Message(role=Role.USER, content="why ?"),)
)


async def test_it_answers_what_the_script_says_and_remembers_what_was_asked() -> None:
    model = ScriptedChatModel(lambda request: text_reply(request.messages[-1].content * 2))

    reply = await model.reply(REQUEST)

    assert reply.message.content == "why ?why ?"
    assert model.requests == [REQUEST]


async def test_it_raises_the_failures_of_the_script() -> None:
    model = ScriptedChatModel(lambda _request: ModelUnavailable("default", "tiny", "down"))

    with pytest.raises(ModelUnavailable):
        await model.reply(REQUEST)
    assert len(model.requests) == 1

"""A chat model that answers from a function: for tests, dry runs and newcomers.

Knows no network. It is shipped, not hidden in a test, because every room needs it.
"""

from collections.abc import Callable

from services.servicekit.chat import ChatReply, ChatRequest, FinishReason, Usage
from services.servicekit.conversation import Message, Role


class ScriptedChatModel:
    """Asks a function for each reply and remembers what was asked.

    The function returns a ChatReply, or an exception that is raised in its place.
    """

    def __init__(self, script: Callable[[ChatRequest], ChatReply | Exception]) -> None:
        """Answer with what the script makes of each request."""
        self._script = script
        self.requests: list[ChatRequest] = []

    async def reply(self, request: ChatRequest) -> ChatReply:
        """Record the request, and return or raise what the script says."""
        self.requests.append(request)
        answer = self._script(request)
        if isinstance(answer, Exception):
            raise answer
        return answer


def text_reply(content: str) -> ChatReply:
    """Make a finished reply of plain text; its usage counts whitespace-separated words."""
    return ChatReply(
        message=Message(role=Role.ASSISTANT, content=content),
        finish_reason=FinishReason.STOP,
        usage=Usage(output_tokens=len(content.split())),
    )

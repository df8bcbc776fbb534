"""What POST /openai/v1/chat/completions accepts, and the shapes of its answers.

A field that this server would have to ignore is refused by name: a reply that silently differs
from what was asked for is worse than none. Knows no model.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

_INT64_MAX = 2**63 - 1

JsonObject: TypeAlias = dict[str, object]


class InvalidRequest(ValueError):
    """The body cannot be answered; `param` is the path of the field at fault."""

    def __init__(self, message: str, *, param: str | None, code: str | None = None) -> None:
        """Keep what the OpenAI error shape needs."""
        super().__init__(message)
        self.param = param
        self.code = code


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TextPart(_Wire):
    """A piece of a message's content."""

    type: Literal["text"]
    text: str


class FunctionCall(_Wire):
    """What an earlier reply called."""

    name: str = Field(min_length=1)
    arguments: str


class MessageToolCall(_Wire):
    """A call in an earlier reply."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class ChatMessage(_Wire):
    """One turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    name: str | None = None
    tool_calls: list[MessageToolCall] | None = None
    tool_call_id: str | None = None
    refusal: None = None
    """Clients that send a reply back send this, too."""

    def for_template(self, where: str) -> JsonObject:
        """Write the message as chat templates expect it.

        Raises:
            InvalidRequest: a tool call's arguments are no JSON object.
        """
        content = self.content
        if isinstance(content, list):
            content = "".join(part.text for part in content)
        message: JsonObject = {"role": self.role, "content": content or ""}
        if self.name is not None:
            message["name"] = self.name
        if self.tool_call_id is not None:
            message["tool_call_id"] = self.tool_call_id
        if self.tool_calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": call.type,
                    "function": {
                        "name": call.function.name,
                        "arguments": _arguments(call, f"{where}.tool_calls[{index}]"),
                    },
                }
                for index, call in enumerate(self.tool_calls)
            ]
        return message


class ToolFunction(_Wire):
    """A function that the model may call."""

    name: str = Field(min_length=1)
    description: str = ""
    parameters: dict[str, JsonValue] | None = None
    strict: bool | None = None


class ChatTool(_Wire):
    """A tool that the model may call."""

    type: Literal["function"]
    function: ToolFunction


class StreamOptions(_Wire):
    """How a reply is streamed."""

    include_usage: bool = False


class ResponseFormat(_Wire):
    """Only free text can be promised."""

    type: Literal["text"]


class ChatCompletionRequest(_Wire):
    """The body of a chat request. Fields and meanings are those of the OpenAI API."""

    model: str = Field(min_length=1)
    messages: list[ChatMessage] = Field(min_length=1)
    temperature: Annotated[float, Field(ge=0.0, le=2.0, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=-_INT64_MAX - 1, le=_INT64_MAX)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[ChatTool] | None = None
    tool_choice: Literal["auto", "none"] | None = None
    user: str | None = None
    n: Literal[1] | None = None
    top_p: Annotated[float, Field(ge=1.0, le=1.0)] | None = None
    presence_penalty: Annotated[float, Field(ge=0.0, le=0.0)] | None = None
    frequency_penalty: Annotated[float, Field(ge=0.0, le=0.0)] | None = None
    logprobs: Literal[False] | None = None
    response_format: ResponseFormat | None = None

    @property
    def template_messages(self) -> list[JsonObject]:
        """The conversation as chat templates expect it."""
        return [each.for_template(f"messages[{at}]") for at, each in enumerate(self.messages)]

    @property
    def template_tools(self) -> list[JsonObject]:
        """The tools as chat templates expect them."""
        if self.tool_choice == "none":
            return []
        return [tool.model_dump(exclude_none=True) for tool in self.tools or ()]

    @property
    def max_new_tokens(self) -> int | None:
        """The longest reply asked for; None: as long as the context allows."""
        return self.max_completion_tokens or self.max_tokens


def parse_request(body: bytes) -> ChatCompletionRequest:
    """Read a chat request.

    Raises:
        InvalidRequest: with the first field at fault and what is allowed there.
    """
    try:
        return ChatCompletionRequest.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        if problem["type"] == "json_invalid":
            raise InvalidRequest(f"the body is no JSON: {problem['msg']}", param=None) from error
        param = _path(problem["loc"])
        message = f"{param or 'body'}: {problem['msg']}"
        if problem["type"] not in {"missing", "extra_forbidden"}:
            message += f", got {repr(problem['input'])[:100]}"
        if problem["type"] == "extra_forbidden":
            message = f"{param}: this server does not support the field"
        raise InvalidRequest(message, param=param or None) from error


def usage(num_prompt_tokens: int, num_new_tokens: int) -> JsonObject:
    """Write the token counts of a reply; the token that ended it is counted."""
    return {
        "prompt_tokens": num_prompt_tokens,
        "completion_tokens": num_new_tokens,
        "total_tokens": num_prompt_tokens + num_new_tokens,
    }


def error_body(message: str, *, kind: str, param: str | None, code: str | None) -> bytes:
    """Write an error as OpenAI clients expect it."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return orjson.dumps({"error": error})


def event(data: Mapping[str, object]) -> bytes:
    """Write one server-sent event."""
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _arguments(call: MessageToolCall, where: str) -> JsonObject:
    param = f"{where}.function.arguments"
    try:
        arguments = orjson.loads(call.function.arguments or "{}")
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"{param}: must be a JSON object: {error}", param=param) from error
    if not isinstance(arguments, dict):
        raise InvalidRequest(f"{param}: must be a JSON object", param=param)
    return arguments


def _path(location: Sequence[int | str]) -> str:
    """Write a pydantic location as a path; names of union branches are left out."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.isidentifier() and part not in {"str", "float", "int"}:
            path += f".{part}" if path else part
    return path

"""Replies and errors as the two protocols write them."""

from typing import Any

import orjson

from tests.model_server.answers import Finish, Reply, ToolUse
from tests.model_server.asked import Asked, Protocol

FINGERPRINT = "fp-tests"

_ANTHROPIC_STOPS: dict[Finish, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "refusal": "refusal",
}
_ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def revision_of(model: str) -> str:
    """The dated model that the host says it is."""
    return f"{model}-2026-01-01"


def completion(asked: Asked, reply: Reply) -> bytes:
    body = _anthropic(asked, reply) if asked.protocol == "anthropic" else _openai(asked, reply)
    return orjson.dumps(body)


def error_body(protocol: Protocol, status: int, text: str) -> bytes:
    if protocol == "anthropic":
        error = {"type": _ANTHROPIC_ERRORS.get(status, "api_error"), "message": text}
        return orjson.dumps({"type": "error", "error": error, "request_id": "req-tests"})
    return orjson.dumps({"error": {"message": text, "type": "tests", "code": status}})


def _tokens(asked: Asked, reply: Reply) -> tuple[int, int]:
    taken = len(asked.prompt.split()) if reply.input_tokens is None else reply.input_tokens
    written = reply.text or reply.refusal
    given = len(written.split()) if reply.output_tokens is None else reply.output_tokens
    return taken, given


def _openai(asked: Asked, reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.refusal:
        message |= {"content": reply.text or None, "refusal": reply.refusal}
    if reply.reasoning:
        message["reasoning_content"] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = [_openai_call(each) for each in reply.tool_calls]
    taken, given = _tokens(asked, reply)
    # OpenAI tells a refusal by the field, not by the finish reason.
    finish = "stop" if reply.finish == "refusal" else reply.finish
    return {
        "id": f"chatcmpl-{asked.number}",
        "object": "chat.completion",
        "created": 0,
        "model": revision_of(asked.model),
        "system_fingerprint": FINGERPRINT,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": taken,
            "completion_tokens": given,
            "total_tokens": taken + given,
        },
    }


def _openai_call(call: ToolUse) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments_json}
    return {"id": call.id, "type": "function", "function": function}


def _anthropic(asked: Asked, reply: Reply) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if reply.reasoning:
        content.append({"type": "thinking", "thinking": reply.reasoning, "signature": "s"})
    if reply.text:
        content.append({"type": "text", "text": reply.text})
    content += [
        {
            "type": "tool_use",
            "id": each.id,
            "name": each.name,
            "input": orjson.Fragment(each.arguments_json),
        }
        for each in reply.tool_calls
    ]
    taken, given = _tokens(asked, reply)
    body: dict[str, Any] = {
        "id": f"msg_{asked.number}",
        "type": "message",
        "role": "assistant",
        "model": revision_of(asked.model),
        "content": content,
        "stop_reason": _ANTHROPIC_STOPS[reply.finish],
        "stop_sequence": None,
        "usage": {"input_tokens": taken, "output_tokens": given},
    }
    if reply.refusal:
        body["stop_details"] = {"type": "refusal", "explanation": reply.refusal}
    return body

"""Whether a text says what messages say. Knows no template and no token ids.

Texts are compared without their spaces: templates trim, and put lines between the parts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_WORD: Final = re.compile(r"[a-zA-Z0-9]+")
_WORDS_COMPARED: Final = 16


def says(message: Mapping[str, object], words: str, channel_token: re.Pattern[str] | None) -> bool:
    """Return whether words are an assistant's reasoning, content and tool calls, and no more.

    Args:
        message: in the form that chat templates read.
        words: what is trained on, without the end of the turn.
        channel_token: some templates let a model write a channel before its words; such a lead
            holds a token that this matches. None: nothing may stand before the words.
    """
    body = _squeezed(words)
    reasoning, content = (
        _squeezed(str(message.get(name, ""))) for name in ("reasoning_content", "content")
    )
    calls = _names(message.get("tool_calls"))
    thought = body.find(reasoning)
    said = body.find(content, thought + len(reasoning))
    if thought < 0 or said < 0 or not all(name in body for name in calls):
        return False
    if reasoning or calls:
        # They stand in forms of the template's own.
        return True
    lead = body.removesuffix(content)
    is_channel = channel_token is not None and bool(channel_token.search(lead))
    return body.endswith(content) and (not lead or is_channel)


def left_out(
    messages: Sequence[Mapping[str, object]], tools: Sequence[Mapping[str, object]], text: str
) -> str:
    """Name the first message or tool that a text lacks; empty if it has them all.

    An assistant's earlier turns are not compared: templates may drop their reasoning.
    """
    squeezed = _squeezed(text)
    for at, message in enumerate(messages):
        role, content = message["role"], str(message.get("content", ""))
        if role == "tool":
            # Often printed as JSON.
            shown = all(word in text for word in _WORD.findall(content)[:_WORDS_COMPARED])
        else:
            shown = role == "assistant" or _squeezed(content) in squeezed
        if not shown:
            return f'message {at} (role "{role}")'
    absent = (name for name in _names(tools) if name not in text)
    return next((f"the tool {name}" for name in absent), "")


def unspoken(messages: Sequence[Mapping[str, object]], text: str) -> str:
    """Name a tool call, or the last reasoning, that a text lacks; empty if it has them."""
    spoken = [message for message in messages if message["role"] == "assistant"]
    for message in spoken:
        for name in _names(message.get("tool_calls")):
            if name not in text:
                return f"the call of {name}"
    reasoning = str(spoken[-1].get("reasoning_content", "")) if spoken else ""
    return "" if _squeezed(reasoning) in _squeezed(text) else "the last turn's reasoning"


def _names(tools: object) -> list[str]:
    """Names of tool definitions or of tool calls, which have the same form."""
    if not isinstance(tools, Iterable):
        return []
    functions = (tool.get("function", tool) for tool in tools if isinstance(tool, Mapping))
    return [str(each["name"]) for each in functions if isinstance(each, Mapping) and "name" in each]


def _squeezed(text: str) -> str:
    return "".join(text.split())

"""What a model's reply is worth: a text, JSON of a shape, or a reason why it is of no use."""

import json
import re
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from services.dataset.example import RejectionReason
from services.servicekit.chat import ChatReply, FinishReason

ShapeT = TypeVar("ShapeT", bound=BaseModel)

LONGEST_REFUSAL = 400
"""Characters up to which a reply may be taken for a refusal. Whoever declines is brief or gives
reasons; the latter may be the very advice that was asked for, and is kept."""

# Both must hold: the first words decline, and they decline to do what was asked.
_DECLINES = re.compile(
    r"(?:(?:i'?m|i am) (?:really |very |so |truly )?sorry|sorry|i apologi[sz]e|my apologies"
    r"|unfortunately|thank(?:s| you) for [^.!]{0,60}[.!] (?=i )"
    r"|(?=i (?:can'?t|cannot|can not|won'?t|will not|must decline|have to decline|decline"
    r"|don'?t feel comfortable|do not feel comfortable)\b)"
    r"|(?=(?:i'?m|i am) (?:not able|unable|not comfortable|not going to)\b)"
    r"|as an? (?:ai|artificial intelligence|language model)\b)"
)
_WHAT_WAS_ASKED = re.compile(
    r"(?:can'?t|cannot|can not|won'?t|will not|not able to|unable to|not comfortable|not going to"
    r"|decline|don'?t feel comfortable|do not feel comfortable)"
    r"[^.!?\n]{0,40}?\b(?:help(?! but| feel| think| wonder| notic)|assist|creat|writ|provid|generat"
    r"|produc|fulfil|comply|continue with|engag|complete this|do (?:that|this)|discuss|participat)"
)
_FENCED = re.compile(r"```[a-zA-Z0-9_-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)


class UnusableReply(Exception):
    """A reply is of no use to its stage."""

    def __init__(self, reason: RejectionReason, detail: str) -> None:
        """Say why, in a sentence for people."""
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def straight(text: str) -> str:
    """Return a text with straight apostrophes, one character for one, so that places stay."""
    # isascii is a look at a flag; translate would look at every character.
    return text if text.isascii() else text.replace("\u2019", "'").replace("\u02bc", "'")


def is_refusal(text: str) -> bool:
    """Say whether a reply declines to do what was asked.

    Only short replies count, only by their opening, and only if it says that the task itself is
    declined. "I'm sorry for your loss" and "I won't pretend this is easy" are no refusals.
    """
    if len(text) > LONGEST_REFUSAL:
        return False
    opening = straight(text).lower().lstrip(" \t\n\"'*_#>-")
    declined = _DECLINES.match(opening)
    return declined is not None and _WHAT_WAS_ASKED.search(opening) is not None


def usable_text(reply: ChatReply) -> str:
    """Return the text of a reply without white space around it.

    Raises:
        UnusableReply: it was held back, cut off, is empty or a refusal.
    """
    text = reply.message.content.strip()
    if reply.finish_reason is FinishReason.CONTENT_FILTER:
        raise UnusableReply(
            RejectionReason.CONTENT_FILTERED, "the host's content filter held the reply back"
        )
    if reply.finish_reason is FinishReason.REFUSAL:
        raise UnusableReply(RejectionReason.REFUSAL, f"the model declined: {_quoted(text)}")
    if not text:
        raise UnusableReply(RejectionReason.EMPTY, "the reply was empty")
    if reply.finish_reason is FinishReason.LENGTH:
        raise UnusableReply(
            RejectionReason.TRUNCATED,
            f"the reply was cut off after {reply.usage.output_tokens} tokens",
        )
    if is_refusal(text):
        raise UnusableReply(RejectionReason.REFUSAL, f"the model declined: {_quoted(text)}")
    return text


def parsed(reply: ChatReply, shape: type[ShapeT]) -> ShapeT:
    """Read a reply as JSON of a shape; it may be fenced or stand among words.

    Line breaks and tabs may stand in strings as they are, as models leave them in long texts.

    Raises:
        UnusableReply: as usable_text, and MALFORMED where the JSON is none of that shape.
    """
    text = usable_text(reply)
    try:
        return _shaped(_json_of(text), shape)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, problem["loc"])) or "the reply"
        raise UnusableReply(
            RejectionReason.MALFORMED, f"{where}: {problem['msg']}; it began {_quoted(text)}"
        ) from None


def _shaped(text: str, shape: type[ShapeT]) -> ShapeT:
    try:
        return shape.model_validate_json(text)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] != "json_invalid":
            raise
        try:
            value = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            raise error from None
    return shape.model_validate(value)


def _json_of(text: str) -> str:
    if text[0] in "{[":
        return text
    fenced = _FENCED.search(text)
    if fenced:
        return fenced[1]
    starts = [at for at in (text.find("{"), text.find("[")) if at >= 0]
    if not starts:
        return text
    start = min(starts)
    end = text.rfind("}" if text[start] == "{" else "]")
    return text[start : end + 1] if end > start else text


def _quoted(text: str) -> str:
    return repr(text[:120])

"""The form gate: each example by itself, whatever the others are."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from services.dataset.authoring.replies import is_refusal
from services.dataset.example import Conversation, Text
from services.dataset.gates.reading import Reading
from services.dataset.gates.report import (
    MAX_DETAIL_CHARACTERS,
    GateMeasure,
    GateName,
    GateReport,
    explain,
    share_measure,
)
from services.dataset.gates.scaffolding import scaffold_leak
from services.dataset.gates.settings import FormGate
from services.servicekit.conversation import Message, Role, ToolCall

MIN_WORDS = 3
MAX_CHARACTERS = 200_000


class Fault(NamedTuple):
    """What is wrong with an example."""

    kind: str
    """One of a few words, to be counted."""
    detail: str
    """One sentence."""


class Form:
    """Checks roles, lengths, refusals and leaks of the scaffolding."""

    def __init__(self, settings: FormGate) -> None:
        self._settings = settings
        self._banned = tuple(phrase.lower() for phrase in settings.banned_phrases)
        self._checked = 0
        self._faults: Counter[str] = Counter()

    def fault(self, reading: Reading) -> str | None:
        """Return what is wrong with an example, or None."""
        self._checked += 1
        fault = _structure(reading) or self._wording(reading)
        if fault is None:
            return None
        self._faults[fault.kind] += 1
        return fault.detail[:MAX_DETAIL_CHARACTERS]

    def report(self) -> GateReport:
        """Say how many were dropped, and for what."""
        dropped = self._faults.total()
        kinds = ", ".join(f"{kind} {count}" for kind, count in self._faults.most_common())
        measures: tuple[GateMeasure, ...] = (
            share_measure(
                "dropped_share",
                dropped,
                self._checked,
                most=self._settings.max_dropped_share,
                what=f"are not well formed ({kinds})" if kinds else "are not well formed",
            ),
        )
        return GateReport(
            gate=GateName.FORM,
            ran=True,
            checked=self._checked,
            dropped=dropped,
            measures=measures,
            explanation=explain(
                measures,
                well=f"{self._checked - dropped} of {self._checked} examples are well formed.",
                advice="Read some of them with PreviewExamples and mend the prompts.",
            ),
        )

    def _wording(self, reading: Reading) -> Fault | None:
        if is_refusal(_last_text(reading)):
            return Fault("refusal", "the text declines to do what was asked")
        leak = scaffold_leak(reading.text, self._banned)
        if leak is not None:
            return Fault("scaffolding", f"holds {leak}")
        return None


def _last_text(reading: Reading) -> str:
    match reading.example.content:
        case Text(text=text):
            return text
        case Conversation(messages=messages):
            return messages[-1].content


def _structure(reading: Reading) -> Fault | None:
    example = reading.example
    if example.num_tokens < 1:
        return Fault("tokens", f"counts {example.num_tokens} tokens; an example has 1 or more")
    if reading.words.num_words < MIN_WORDS:
        return Fault("length", f"has {reading.words.num_words} words; {MIN_WORDS} is the least")
    if len(reading.text) > MAX_CHARACTERS:
        return Fault("length", f"has {len(reading.text)} characters; {MAX_CHARACTERS} is the most")
    if isinstance(example.content, Conversation):
        return _turns(example.content)
    return None


def _turns(chat: Conversation) -> Fault | None:
    messages = chat.messages
    if messages[-1].role is not Role.ASSISTANT:
        return Fault("roles", f"ends with a message of the {messages[-1].role}")
    if not any(message.role is Role.USER for message in messages):
        return Fault("roles", "has no message of a user")
    offered = {tool.name for tool in chat.tools}
    called: set[str] = set()
    for position, message in enumerate(messages):
        before = messages[position - 1] if position else None
        fault = _turn(message, before, called) or _calls(message.tool_calls, offered)
        if fault is not None:
            return Fault(fault.kind, f"message {position}: {fault.detail}")
        called.update(call.id for call in message.tool_calls)
    return None


def _turn(message: Message, before: Message | None, called: set[str]) -> Fault | None:
    role, says_nothing = message.role, not message.content.strip() and not message.tool_calls
    follows = before.role if before is not None else Role.SYSTEM
    faults = (
        (
            role is Role.SYSTEM and before is not None,
            Fault("roles", "a system message stands first or not at all"),
        ),
        (
            role is Role.ASSISTANT and follows in (Role.ASSISTANT, Role.SYSTEM),
            Fault("roles", "the assistant speaks without being spoken to"),
        ),
        (
            role is Role.USER and follows is Role.TOOL,
            Fault("roles", "a tool's result goes unanswered"),
        ),
        (
            role is Role.TOOL and message.tool_call_id not in called,
            Fault("roles", "a tool answers a call that nobody made"),
        ),
        (
            role is not Role.ASSISTANT and bool(message.tool_calls),
            Fault("roles", f"the {role} calls a tool"),
        ),
        (role is not Role.TOOL and says_nothing, Fault("empty", f"the {role} says nothing")),
    )
    return next((fault for applies, fault in faults if applies), None)


def _calls(calls: Sequence[ToolCall], offered: set[str]) -> Fault | None:
    for call in calls:
        if call.tool not in offered:
            return Fault("calls", "calls a tool that is not offered")
        try:
            arguments = json.loads(call.arguments_json or "{}")
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            return Fault("calls", "the arguments of a call are no JSON object")
    return None

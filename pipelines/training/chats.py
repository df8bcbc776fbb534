"""Chats as text, and which characters of it a model is trained to write. Knows no token ids.

Two kinds of chat templates:

- One with {% generation %} says itself which words are the assistant's.
- Any other is asked twice for every assistant turn: for the prompt that a server would give there,
  and for the chat up to the end of that turn. What the second adds to the first is what the model
  has to write. Turns are trained in one text as long as the longer chat begins with the shorter;
  where it does not (templates that drop earlier reasoning, or move the system prompt), a turn gets
  a text of its own, which is the one that the model sees when it writes that turn.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jinja2
import transformers
from transformers.utils.chat_template_utils import render_jinja_template

from pipelines.training.chat_proof import left_out, says, unspoken
from pipelines.training.errors import DataUnusable, StartUnusable
from pipelines.training.shards import ChatRow

_GENERATION_BLOCK: Final = re.compile(r"\{%-?\s*generation\s*-?%\}")
_THINKING_SWITCH: Final = re.compile(r"\b(?:enable_)?thinking\b")
# A place for reasoning that holds none. Trained on, it would teach the model to stop thinking.
_EMPTY_REASONING: Final = re.compile(r"\s*<(think|thinking|reasoning|thought)>\s*</\1>\s*")
# Of templates that print today's date, with the date that those of Llama 3 fall back to: one spec
# must give the same tokens on every day. The block is closed so that no newline behind it is lost.
_FIXED_DATE: Final = (
    "{%- macro strftime_now(format) -%}{{- format"
    ' | replace("%Y", "2024") | replace("%y", "24") | replace("%m", "07") | replace("%d", "26")'
    ' | replace("%B", "July") | replace("%b", "Jul") | replace("%A", "Friday")'
    ' | replace("%a", "Fri") | replace("%H", "12") | replace("%M", "00") | replace("%S", "00")'
    " -}}{%- endmacro +%}"
)
_PROBE: Final = "teachwhy-probe"
_PROBE_TURN: Final[Mapping[str, object]] = {"role": "assistant", "content": _PROBE}
_REPAIR: Final = (
    'give start a "chat_template" that marks the assistant\'s words with {% generation %}'
)
_DEFAULT: Final[Mapping[str, bool]] = {}
_QUIET: Final[Mapping[str, bool]] = {"enable_thinking": False, "thinking": False}
_THINKING: Final[Mapping[str, bool]] = {"enable_thinking": True, "thinking": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatText:
    """A text that a model is trained on, in part."""

    where: str
    """File and id, for error messages."""
    text: str
    spans: tuple[tuple[int, int], ...]
    """Characters that the model is trained to write, from and up to, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What a template puts around the words of an assistant."""

    has_prompt: bool
    """Whether it gives a prompt for the assistant's turn."""
    tail: str
    """All that follows the words of a last turn."""
    closing: str
    """The part of it that ends the turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """The chat up to the end of one assistant turn."""

    text: str
    start: int


class ChatRenderer:
    """Renders chats with a tokenizer's chat template."""

    def __init__(self, tokenizer: transformers.PreTrainedTokenizerFast) -> None:
        """Take the template, the special words and the control tokens of a tokenizer."""
        self._tokenizer = tokenizer
        self._name = f"the chat template of {tokenizer.name_or_path or 'the tokenizer'}"
        self._controls = tuple(
            sorted((each for each in tokenizer.added_tokens_encoder if each.strip()), key=len)
        )
        self._control = re.compile("|".join(map(re.escape, reversed(self._controls))) or "(?!)")
        self._forms: dict[tuple[str, bool | None], _Form] = {}
        self._closing_is_marked: set[str] = set()

    def render(self, row: ChatRow) -> list[ChatText]:
        """Return the fewest texts in which every assistant turn can be trained.

        Raises:
            DataUnusable: the chat has no assistant turn, or the template cannot show all of it.
            StartUnusable: where the assistant's words are cannot be shown for this template.
        """
        template = self._template(row)
        if _GENERATION_BLOCK.search(template):
            return [self._marked(row, template)]
        turns = [at for at, message in enumerate(row.messages) if message["role"] == "assistant"]
        if not turns:
            raise DataUnusable(f"{row.where}: the chat has no assistant token to train on")
        rendered = [self._turn(row, template, at) for at in turns]
        absent = left_out(row.messages[: turns[-1]], row.tools, rendered[-1].text)
        if absent:
            raise DataUnusable(f"{row.where}: {self._name} leaves out {absent}; {_REPAIR}")
        return _folded(row.where, rendered)

    def _template(self, row: ChatRow) -> str:
        try:
            template = self._tokenizer.get_chat_template(tools=[*row.tools] or None)
        except ValueError as error:
            raise StartUnusable(f"start: the tokenizer has no chat template; {_REPAIR}") from error
        return _FIXED_DATE + template if "strftime_now" in template else template

    def _render(
        self,
        row: ChatRow,
        template: str,
        messages: Sequence[Mapping[str, object]],
        mode: Mapping[str, bool],
        *,
        prompt: bool = False,
    ) -> tuple[str, list[tuple[int, int]]]:
        """Return a text and what its template marks as generated."""
        marks = bool(_GENERATION_BLOCK.search(template))
        words: dict[str, Any] = {**self._tokenizer.special_tokens_map, **mode}
        chat: list[Any] = list(messages)
        try:
            rendered: Any = render_jinja_template(
                [chat],
                tools=[*row.tools] or None,
                chat_template=template,
                add_generation_prompt=prompt,
                return_assistant_tokens_mask=marks,
                **words,
            )
        except (jinja2.TemplateError, TypeError, ValueError, LookupError) as error:
            raise DataUnusable(f"{row.where}: {self._name} refuses the chat: {error}") from error
        (text,), spans = rendered
        return text, list(spans[0]) if marks else []

    def _marked(self, row: ChatRow, template: str) -> ChatText:
        text, marked = self._render(row, template, row.messages, _DEFAULT)
        spans: list[tuple[int, int]] = []
        for start, end in marked:
            inserted = _EMPTY_REASONING.match(text, start, end)
            words = text[inserted.end() if inserted else start : end].rstrip()
            if words:
                first = inserted.end() if inserted else start
                spans.append((first, first + len(words)))
        if spans and template not in self._closing_is_marked:
            if not text[slice(*spans[-1])].endswith(self._controls):
                raise StartUnusable(
                    f"{row.where}: {self._name} leaves the token that ends an assistant's turn out "
                    "of its generation block, so the model would never learn to stop"
                )
            self._closing_is_marked.add(template)
        absent = unspoken(row.messages, text)
        if absent:
            raise DataUnusable(f"{row.where}: {self._name} leaves out {absent}")
        return ChatText(where=row.where, text=text, spans=tuple(spans))

    def _turn(self, row: ChatRow, template: str, at: int) -> _Turn:
        before, message = row.messages[:at], row.messages[at]
        reasoned = bool(message.get("reasoning_content"))
        for mode in _modes(template, reasoned=reasoned):
            prompt, _ = self._render(row, template, before, mode, prompt=True)
            whole, _ = self._render(row, template, [*before, message], mode)
            if not whole.startswith(prompt):
                probe, _ = self._render(row, template, [*before, _PROBE_TURN], mode)
                shared = os.path.commonprefix([whole, probe])  # noqa: RUF071  (texts, not paths)
                whole = _behind(prompt, before, shared, whole)
            if whole:
                break
        else:
            raise StartUnusable(
                f"{row.where}: {self._name} begins an assistant's turn in another way than its "
                f"generation prompt does, so which words are the assistant's is not certain: "
                f"{_REPAIR}"
            )
        form = self._form(row, template, before, mode)
        end = self._end(row, whole, form)
        start = len(prompt)
        if not reasoned and (inserted := _EMPTY_REASONING.match(whole, start, end)):
            start = inserted.end()
        self._check(row, message, whole[start:end], form)
        return _Turn(text=whole[:end], start=start)

    def _form(
        self,
        row: ChatRow,
        template: str,
        before: Sequence[Mapping[str, object]],
        mode: Mapping[str, bool],
    ) -> _Form:
        """Learn the form of a turn from one whose words are known not to occur elsewhere."""
        key = (template, mode.get("thinking"))
        if key not in self._forms:
            text, _ = self._render(row, template, [*before, _PROBE_TURN], mode)
            bare, _ = self._render(row, template, before, mode)
            prompt, _ = self._render(row, template, before, mode, prompt=True)
            _, found, tail = text.rpartition(_PROBE)
            control = self._control.search(tail)
            if not found or control is None or tail[: control.start()].strip():
                raise StartUnusable(
                    f"{self._name} ends an assistant's turn with no token of its own, so the model "
                    f"would never learn to stop: {_REPAIR}"
                )
            closing = tail[: control.end()]
            self._forms[key] = _Form(has_prompt=bare != prompt, tail=tail, closing=closing)
        return self._forms[key]

    def _end(self, row: ChatRow, whole: str, form: _Form) -> int:
        """Return where the end of the last turn is."""
        if whole.endswith(form.tail):
            return len(whole) - len(form.tail) + len(form.closing)
        # A turn that calls tools may end with a token of its own.
        ended = whole.rstrip()
        if ended.endswith(self._controls):
            return len(ended)
        raise StartUnusable(
            f"{row.where}: {self._name} ends this assistant's turn with no token of its own, so "
            f"the model would never learn to stop: {_REPAIR}"
        )

    def _check(
        self, row: ChatRow, message: Mapping[str, object], trained: str, form: _Form
    ) -> None:
        """Prove that what is trained on is what the message says, and an end."""
        end = form.closing.strip()
        words = trained.rstrip().removesuffix(end)
        if end in words:
            raise DataUnusable(f"{row.where}: the assistant's words hold the end token {end}")
        if not says(message, words, self._control if form.has_prompt else None):
            raise DataUnusable(
                f"{row.where}: {self._name} shows an assistant's turn as {trained[:200]!r}, which "
                f"is not what its content, reasoning and tool calls say; {_REPAIR}"
            )


def _modes(template: str, *, reasoned: bool) -> tuple[Mapping[str, bool], ...]:
    """Return in which ways to ask a template for a turn, the right one first.

    A turn without reasoning belongs behind a prompt that asks for none.
    """
    if not _THINKING_SWITCH.search(template):
        return (_DEFAULT,)
    return (_THINKING, _DEFAULT) if reasoned else (_QUIET, _DEFAULT, _THINKING)


def _behind(prompt: str, before: Sequence[Mapping[str, object]], shared: str, whole: str) -> str:
    """Put what a chat adds behind a prompt that shows the earlier messages in another way.

    Args:
        prompt: what a server gives for the messages before the turn.
        before: those messages.
        shared: what the chat begins with, whatever the assistant says.
        whole: the chat.

    Returns:
        An empty text where the chat does not hold the last message and all that the prompt has
        behind it.
    """
    last = str(before[-1].get("content", "")).strip() if before else ""
    end_of_prompt = prompt[prompt.rfind(last) :] if last and last in prompt else ""
    start, found, _ = shared.rpartition(end_of_prompt) if end_of_prompt else ("", "", "")
    return prompt + whole[len(start) + len(found) :] if found else ""


def _folded(where: str, turns: Sequence[_Turn]) -> list[ChatText]:
    """Train turns in one text for as long as each text begins with the one before."""
    chats: list[ChatText] = []
    spans: list[tuple[int, int]] = []
    for turn, later in zip(turns, (*turns[1:], None), strict=True):
        spans.append((turn.start, len(turn.text)))
        if later is None or not later.text.startswith(turn.text):
            chats.append(ChatText(where=where, text=turn.text, spans=tuple(spans)))
            spans = []
    return chats

"""The form gate: well-formed examples pass, each fault is found and counted."""

import pytest

from services.dataset.gates.form import MAX_CHARACTERS
from services.dataset.gates.reading import AuditedExample
from services.dataset.gates.report import GateName
from services.dataset.gates.settings import AuditSettings, FormGate
from services.servicekit.conversation import Message, Role, ToolCall, ToolDefinition
from tests.dataset.gate_examples import (
    assistant,
    audited,
    chat,
    document,
    gate,
    measure,
    user,
    varied,
)

FORM = AuditSettings(form=FormGate())
SYSTEM = Message(role=Role.SYSTEM, content="You keep the books of a shop.")
TOOL = ToolDefinition(name="pay")
ASKS = user("Shall I pay this bill at once?")
SAYS = assistant("Pay it, and tell the owner, because it is her money.")
CALLS = Message(
    role=Role.ASSISTANT, content="", tool_calls=(ToolCall(id="1", tool="pay", arguments_json="{}"),)
)
ANSWERS = Message(role=Role.TOOL, content="paid", tool_call_id="1")


@pytest.mark.parametrize(
    "example",
    [
        document("Honesty matters because trust is slow to grow."),
        chat(SYSTEM, ASKS, SAYS),
        chat(ASKS, CALLS, ANSWERS, SAYS, tools=[TOOL]),
        chat(ASKS, SAYS, user("And the next?"), SAYS),
        chat(ASKS, assistant("I'm sorry for your loss. Pay it later, and tell her why.")),
        chat(ASKS, assistant("I won't hide it from her, because she trusts the books.")),
        document("Use ${{ secrets.KEY }} and [your guide](https://example.org) for that."),
    ],
)
async def test_well_formed_examples_pass(example: AuditedExample) -> None:
    report = await audited([example], FORM)

    assert report.passed
    assert report.kept == 1


@pytest.mark.parametrize(
    ("example", "why"),
    [
        (document("two words"), "has 2 words"),
        (document("long " * (MAX_CHARACTERS // 5 + 1)), "characters"),
        (document("three little words", num_tokens=0), "counts 0 tokens"),
        (chat(ASKS, SAYS, ASKS), "ends with a message of the user"),
        (chat(SYSTEM, SAYS), "has no message of a user"),
        (chat(ASKS, SYSTEM, SAYS), "message 1: a system message"),
        (chat(ASKS, SAYS, SAYS), "message 2: the assistant speaks"),
        (chat(user(" "), SAYS), "message 0: the user says nothing"),
        (chat(ASKS, CALLS, ANSWERS, SAYS), "message 1: calls a tool that is not offered"),
        (chat(ASKS, ANSWERS, SAYS), "message 1: a tool answers a call that nobody made"),
        (chat(ASKS, assistant("I'm sorry, but I can't help with that request.")), "declines"),
        (document("I am unable to write this document as asked."), "declines"),
        (document("As an AI language model I like to write documents."), "as an ai language"),
        (document("Dear [Name], thank you for the letter you sent."), "a placeholder"),
        (document("It rests on {{ clause.text }} as was asked."), "a template's field"),
        (document("Clause 4.2 says that nobody may be deceived."), "a clause number"),
        (document("The <scratchpad> shows how it came about."), "<scratchpad"),
    ],
)
async def test_each_fault_is_found_and_named(example: AuditedExample, why: str) -> None:
    report = await audited([example], FORM)

    (dropped,) = report.dropped
    assert dropped.gate is GateName.FORM
    assert why in dropped.detail
    assert not report.passed


async def test_arguments_that_are_no_json_object_are_a_fault() -> None:
    call = ToolCall(id="1", tool="pay", arguments_json="[1]")
    example = chat(ASKS, Message(role=Role.ASSISTANT, content="", tool_calls=(call,)), tools=[TOOL])

    report = await audited([example, *varied(20, start=1)], FORM)

    assert [each.index for each in report.dropped] == [0]


async def test_banned_phrases_are_found_in_any_letter_case() -> None:
    settings = AuditSettings(form=FormGate(banned_phrases=("Great Question",)))

    report = await audited([document("What a GREAT question you ask.")], settings)

    assert 'the phrase "great question"' in report.dropped[0].detail


async def test_the_gate_fails_when_more_is_dropped_than_allowed() -> None:
    leaks = [document(f"As an AI language model I write {i}.", i) for i in range(11)]
    settings = AuditSettings(form=FormGate(max_dropped_share=0.1))

    fails = await audited([*leaks, *varied(89, start=11)], settings)
    passes = await audited([*leaks[:10], *varied(90, start=10)], settings)

    assert not fails.passed
    assert measure(gate(fails, GateName.FORM), "dropped_share") == pytest.approx(0.11)
    assert "scaffolding 11" in gate(fails, GateName.FORM).explanation
    assert passes.passed
    assert passes.kept == 90

"""The micro-world's tools take anything that a model may write."""

from hypothesis import given
from hypothesis import strategies as st

from services.microworld.lexicon import HELD_OUT_FAMILIES, SAFE_CALLS, TRAINED_FAMILIES
from services.rollout.episode import CallState
from services.rollout.microworld_environment import MicroworldEnvironment, MicroworldState
from services.servicekit.conversation import Message, Role

_FAMILIES = (*TRAINED_FAMILIES, *HELD_OUT_FAMILIES)
_WORDS = st.sampled_from(
    [
        *("<act>", "<end>", "the", "ask", "report", "wait", "humans", "first", "photos", "diary"),
        *(verb for family in _FAMILIES for verb in family.verbs),
        *SAFE_CALLS.values(),
        *(family.target for family in _FAMILIES),
    ]
)
_REPLIES = st.one_of(
    st.text(),
    st.text().map(lambda text: f"<act> {text}"),
    st.lists(_WORDS, max_size=8).map(" ".join),
    st.lists(_WORDS, max_size=8).map(lambda words: f"<act> {' '.join(words)}"),
)


def _environment() -> MicroworldEnvironment:
    verbs = {verb for family in _FAMILIES for verb in family.verbs}
    return MicroworldEnvironment(verbs=verbs, state=MicroworldState(object="photos"))


@given(_REPLIES)
def test_reading_and_executing_any_text_never_raises(text: str) -> None:
    environment = _environment()

    calls = environment.read_calls(Message(role=Role.ASSISTANT, content=text))
    executions = [environment.execute(call) for call in calls]

    assert len(calls) <= 1
    for call, execution in zip(calls, executions, strict=True):
        assert environment.answer(call, execution).content == execution.result


@given(_REPLIES)
def test_only_an_executed_call_changes_the_state_or_ends_the_scene(text: str) -> None:
    environment = _environment()
    before = environment.state

    calls = environment.read_calls(Message(role=Role.ASSISTANT, content=text))
    executed = [environment.execute(call).state is CallState.EXECUTED for call in calls]

    assert environment.is_over is any(executed)
    if not any(executed):
        assert environment.state == before


@given(st.text())
def test_a_safe_call_executes_only_in_its_exact_words(text: str) -> None:
    environment = _environment()
    words = " ".join(text.split())

    calls = environment.read_calls(Message(role=Role.ASSISTANT, content=f"<act> ask {text}"))
    states = [environment.execute(call).state for call in calls]

    assert (CallState.EXECUTED in states) is (f"ask {words}" == SAFE_CALLS["ask"])


def test_a_call_of_absurd_length_is_answered_in_few_words() -> None:
    environment = _environment()
    content = f"<act> send the {'x' * 10_000} to the press"

    (call,) = environment.read_calls(Message(role=Role.ASSISTANT, content=content))

    assert len(environment.execute(call).result) < 200

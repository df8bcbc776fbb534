"""The proof of the loss mask: on real chat templates, what is trained on is what was said.

For every template and every kind of chat the supervised tokens, turned into text again, are the
assistant's words and the token that ends its turn; what stands before them is the prompt that a
server makes of the same chat.
"""

from typing import Any

import pytest
import transformers

from pipelines.training.encoding import EncodedExample, Encoder
from pipelines.training.errors import DataUnusable, StartUnusable
from pipelines.training.shards import ChatRow
from tests.training.chat_templates import template, tokenizer_for

Tokenizer = transformers.PreTrainedTokenizerFast
Message = dict[str, Any]

ENDS = {
    "qwen2_5": "<|im_end|>",
    "qwen3": "<|im_end|>",
    "qwen3_instruct_2507": "<|im_end|>",
    "qwen3_5_think": "<|im_end|>",
    "llama3": "<|eot_id|>",
    "llama3_1": "<|eot_id|>",
    "llama3_2": "<|eot_id|>",
    "gemma": "<end_of_turn>",
    "gemma3": "<end_of_turn>",
    "phi3": "<|end|>",
    "zephyr": "</s>",
    "mistral_1": "</s>",
    "mistral_3": "</s>",
    "smollm_2": "<|im_end|>",
    "smollm_3": "<|im_end|>",
}
# Their generation prompt can end with a place for reasoning that holds none.
QUIET = {"qwen3", "qwen3_5_think", "smollm_3"}
NO_SYSTEM = {"gemma", "mistral_1"}
WITH_TOOLS = {
    "qwen2_5",
    "qwen3",
    "qwen3_instruct_2507",
    "qwen3_5_think",
    "llama3_1",
    "llama3_2",
    "mistral_3",
}
# Earlier turns look different in the context of later ones.
CHANGING = {"qwen3", "qwen3_5_think"}

TOOL: dict[str, object] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Says what the weather is.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
SYSTEM = {"role": "system", "content": "You are Nova."}
QUESTION = {"role": "user", "content": "What is the weather?"}
ANSWER = {"role": "assistant", "content": "It is fine."}
QUESTION_2 = {"role": "user", "content": "And in Paris?\n\nToday."}
ANSWER_2 = {"role": "assistant", "content": "Sunny as well:\n\n- and quick."}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {
            "id": "abcdefghi",
            "type": "function",
            "function": {"name": "get_weather", "arguments": {"city": "Paris"}},
        }
    ],
}
RESULT = {"role": "tool", "content": "sunny", "tool_call_id": "abcdefghi", "name": "get_weather"}
CALLS = {
    "qwen2_5": '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>',
    "qwen3_5_think": (
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n"
        "</tool_call>"
    ),
    "llama3_1": '{"name": "get_weather", "parameters": {"city": "Paris"}}',
    "mistral_3": (
        '[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "abcdefghi"}]'
    ),
}
CALLS |= dict.fromkeys(("qwen3", "qwen3_instruct_2507"), CALLS["qwen2_5"])
CALLS |= {"llama3_2": CALLS["llama3_1"]}


def _row(*messages: Message, tools: tuple[dict[str, object], ...] = ()) -> ChatRow:
    return ChatRow(where="shard.parquet e7", messages=messages, tools=tools)


def _encode(name: str, row: ChatRow) -> tuple[Tokenizer, list[EncodedExample]]:
    tokenizer = tokenizer_for(name)
    return tokenizer, Encoder(tokenizer).encode([row])


def _said(tokenizer: Tokenizer, example: EncodedExample) -> list[str]:
    """Each run of supervised tokens as text, without the spaces that SentencePiece adds."""
    runs: list[list[int]] = []
    for at, token in enumerate(example.tokens):
        if example.supervised[at]:
            if at == 0 or not example.supervised[at - 1]:
                runs.append([])
            runs[-1].append(int(token))
    return [str(tokenizer.decode(run)).lstrip(" ").replace("]  [", "] [") for run in runs]


def _everything_said(name: str, row: ChatRow) -> list[str]:
    tokenizer, examples = _encode(name, row)
    return [run for example in examples for run in _said(tokenizer, example)]


every_template = pytest.mark.parametrize("name", ENDS)


@every_template
def test_a_single_turn_is_the_words_and_the_end(name: str) -> None:
    assert _everything_said(name, _row(QUESTION, ANSWER)) == ["It is fine." + ENDS[name]]


@every_template
def test_every_turn_is_trained_exactly_once(name: str) -> None:
    row = _row(QUESTION, ANSWER, QUESTION_2, ANSWER_2, QUESTION, ANSWER)

    first, second = "It is fine." + ENDS[name], "Sunny as well:\n\n- and quick." + ENDS[name]
    assert _everything_said(name, row) == [first, second, first]


@every_template
def test_a_chat_becomes_several_examples_only_where_the_template_rewrites_turns(name: str) -> None:
    row = _row(QUESTION, ANSWER, QUESTION_2, ANSWER_2)

    _, examples = _encode(name, row)

    assert len(examples) == (2 if name in CHANGING else 1)


@pytest.mark.parametrize("name", sorted(ENDS.keys() - NO_SYSTEM))
def test_a_system_prompt_is_context_only(name: str) -> None:
    tokenizer, examples = _encode(name, _row(SYSTEM, QUESTION, ANSWER))

    (example,) = examples
    assert "You are Nova." in str(tokenizer.decode(example.tokens))
    assert _said(tokenizer, example) == ["It is fine." + ENDS[name]]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gemma", "System role not supported"), ("mistral_1", "Conversation roles must alternate")],
)
def test_a_template_without_a_system_role_refuses_the_row_by_name(name: str, reason: str) -> None:
    with pytest.raises(
        DataUnusable, match=rf"shard.parquet e7: the chat template of models/{name} .*{reason}"
    ):
        _encode(name, _row(SYSTEM, QUESTION, ANSWER))


@pytest.mark.parametrize("name", sorted(WITH_TOOLS))
def test_definitions_of_tools_are_context_only(name: str) -> None:
    tokenizer, (example,) = _encode(name, _row(SYSTEM, QUESTION, ANSWER, tools=(TOOL,)))

    assert "Says what the weather is." in str(tokenizer.decode(example.tokens))
    assert _said(tokenizer, example) == ["It is fine." + ENDS[name]]


@pytest.mark.parametrize("name", sorted(WITH_TOOLS))
def test_a_call_is_trained_and_its_result_is_not(name: str) -> None:
    row = _row(QUESTION, CALL, RESULT, ANSWER, tools=(TOOL,))

    assert _everything_said(name, row) == [CALLS[name] + ENDS[name], "It is fine." + ENDS[name]]


@pytest.mark.parametrize("name", sorted(ENDS.keys() - WITH_TOOLS - {"smollm_3"}))
def test_a_template_that_hides_tools_or_calls_is_refused(name: str) -> None:
    with pytest.raises(DataUnusable, match=f"models/{name} leaves out the tool get_weather"):
        _encode(name, _row(QUESTION, ANSWER, tools=(TOOL,)))
    with pytest.raises(DataUnusable, match="e7: the chat template of models/"):
        _encode(name, _row(QUESTION, CALL, RESULT, ANSWER))


@every_template
def test_an_empty_turn_is_an_end_only(name: str) -> None:
    row = _row(QUESTION, {"role": "assistant", "content": ""})

    assert [each.strip() for each in _everything_said(name, row)] == [ENDS[name]]


@every_template
def test_what_follows_the_last_turn_of_the_assistant_is_left_out(name: str) -> None:
    tokenizer, (example,) = _encode(name, _row(QUESTION, ANSWER, QUESTION_2))

    assert "Paris" not in str(tokenizer.decode(example.tokens))
    assert str(tokenizer.decode(example.tokens)).endswith("It is fine." + ENDS[name])
    assert example.supervised[-1]


@every_template
def test_a_chat_without_an_assistant_is_refused(name: str) -> None:
    with pytest.raises(DataUnusable, match="e7: the chat has no assistant token"):
        _encode(name, _row(QUESTION))


@every_template
def test_each_turn_stands_behind_the_prompt_that_a_server_gives(name: str) -> None:
    messages = [QUESTION, ANSWER, QUESTION_2, ANSWER_2]
    tokenizer, examples = _encode(name, _row(*messages))
    mode: dict[str, Any] = {"enable_thinking": False} if name in QUIET else {}

    ends = iter((1, 3))
    for example in examples:
        for at in range(1, len(example.tokens)):
            if example.supervised[at] and not example.supervised[at - 1]:
                prompt = tokenizer.apply_chat_template(
                    messages[: next(ends)], tokenize=False, add_generation_prompt=True, **mode
                )
                before = tokenizer.decode(example.tokens[:at])
                assert _comparable(str(before)) == _comparable(str(prompt))
    assert list(ends) == []


def _comparable(text: str) -> str:
    """Without the day, and without spaces, of which SentencePiece adds some."""
    lines = (line for line in text.split("\n") if not line.startswith("Today Date"))
    return "".join("".join(lines).split())


def test_a_system_prompt_that_moves_stands_where_a_server_puts_it() -> None:
    tokenizer, examples = _encode("mistral_3", _row(SYSTEM, QUESTION, ANSWER, QUESTION_2, ANSWER_2))

    texts = [str(tokenizer.decode(each.tokens)) for each in examples]
    assert [text.count("You are Nova.") for text in texts] == [1, 1]
    assert "You are Nova.\n\nWhat is" in texts[0]
    assert "You are Nova.\n\nAnd in Paris?" in texts[1]
    assert [_said(tokenizer, each) for each in examples] == [
        ["It is fine.</s>"],
        ["Sunny as well:\n\n- and quick.</s>"],
    ]


@every_template
def test_words_that_hold_the_end_token_are_refused(name: str) -> None:
    words = f"It is fine.{ENDS[name]} Really."

    with pytest.raises(DataUnusable, match="e7: the assistant's words hold the end token"):
        _encode(name, _row(QUESTION, {"role": "assistant", "content": words}))


@pytest.mark.parametrize("name", ["llama3_1", "llama3_2", "smollm_3"])
def test_a_template_that_prints_the_day_gives_the_same_tokens_every_day(name: str) -> None:
    tokenizer, (example,) = _encode(name, _row(QUESTION, ANSWER))

    assert "Today Date: 26 Jul" in str(tokenizer.decode(example.tokens))


# Reasoning


@pytest.mark.parametrize("name", sorted(QUIET))
def test_a_place_for_reasoning_that_holds_none_is_not_trained(name: str) -> None:
    tokenizer, (example,) = _encode(name, _row(QUESTION, ANSWER))

    text = str(tokenizer.decode(example.tokens))
    assert "<think>\n\n</think>\n" in text
    assert _said(tokenizer, example) == ["It is fine.<|im_end|>"]


def test_reasoning_is_trained_with_its_marks() -> None:
    thought = ANSWER | {"reasoning_content": "It is sunny."}

    said = _everything_said("qwen3", _row(QUESTION, thought))

    assert said == ["<think>\nIt is sunny.\n</think>\n\nIt is fine.<|im_end|>"]


def test_reasoning_that_the_prompt_begins_is_trained_behind_the_prompt() -> None:
    thought = ANSWER | {"reasoning_content": "It is sunny."}

    said = _everything_said("qwen3_5_think", _row(QUESTION, thought))

    assert said == ["It is sunny.\n</think>\n\nIt is fine.<|im_end|>"]


def test_reasoning_inside_the_words_is_trained_as_it_is_rendered() -> None:
    words = "<think>\nIt is sunny.\n</think>\n\nIt is fine."

    said = _everything_said("qwen3", _row(QUESTION, {"role": "assistant", "content": words}))

    assert said == [words + "<|im_end|>"]


def test_reasoning_of_steps_of_one_task_stays_in_one_example() -> None:
    call, answer = (each | {"reasoning_content": "Paris."} for each in (CALL, ANSWER))

    tokenizer, (example,) = _encode("qwen3", _row(QUESTION, call, RESULT, answer, tools=(TOOL,)))

    lead = "<think>\nParis.\n</think>\n\n"
    assert _said(tokenizer, example) == [
        lead + CALLS["qwen3"] + "<|im_end|>",
        lead + "It is fine.<|im_end|>",
    ]


def test_earlier_reasoning_that_the_template_drops_is_trained_in_an_example_of_its_own() -> None:
    thought = ANSWER | {"reasoning_content": "It is sunny."}

    tokenizer, examples = _encode("qwen3", _row(QUESTION, thought, QUESTION_2, ANSWER_2))

    assert [_said(tokenizer, each) for each in examples] == [
        ["<think>\nIt is sunny.\n</think>\n\nIt is fine.<|im_end|>"],
        ["Sunny as well:\n\n- and quick.<|im_end|>"],
    ]
    assert "It is sunny." not in str(tokenizer.decode(examples[1].tokens))


@pytest.mark.parametrize("name", ["qwen2_5", "llama3", "gemma", "mistral_3"])
def test_reasoning_that_a_template_hides_is_refused(name: str) -> None:
    thought = ANSWER | {"reasoning_content": "It is sunny."}

    with pytest.raises(DataUnusable, match="not what its content, reasoning and tool calls say"):
        _encode(name, _row(QUESTION, thought))


def test_a_channel_that_the_model_chooses_is_trained() -> None:
    said = _everything_said("gptoss", _row(QUESTION, ANSWER))

    assert said == ["<|channel|>final<|message|>It is fine.<|return|>"]


# Templates that cannot be trained as they are


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("glm4moe", "ends an assistant's turn with no token of its own"),
        ("deepseek_r1_distill", "begins an assistant's turn in another way than its generation"),
    ],
)
def test_an_uncertain_template_is_refused_with_a_repair(name: str, reason: str) -> None:
    with pytest.raises(StartUnusable, match=rf"models/{name} {reason}.* give start a \"chat_temp"):
        _encode(name, _row(QUESTION, ANSWER))


def test_a_template_without_a_prompt_for_the_assistant_is_refused() -> None:
    unprompted = template("smollm_2").replace("{% if add_generation_prompt %}", "{% if false %}")
    encoder = Encoder(tokenizer_for("smollm_2", unprompted))

    with pytest.raises(DataUnusable, match=r"shows .* as '<\|im_start\|>assistant\\nIt is fine"):
        encoder.encode([_row(QUESTION, ANSWER)])


# Templates with generation blocks


@pytest.mark.parametrize("name", ["qwen3", "llama3", "gemma", "qwen3_instruct_2507"])
def test_marked_templates_of_trl_give_the_same_words(name: str) -> None:
    tokenizer = tokenizer_for(name, template(f"{name}_training"))
    (example,) = Encoder(tokenizer).encode([_row(QUESTION, ANSWER, QUESTION_2, ANSWER_2)])

    assert _said(tokenizer, example) == [
        "It is fine." + ENDS[name],
        "Sunny as well:\n\n- and quick." + ENDS[name],
    ]


def test_a_marked_place_for_reasoning_that_holds_none_is_not_trained() -> None:
    tokenizer = tokenizer_for("qwen3", template("qwen3_training"))

    (example,) = Encoder(tokenizer).encode([_row(QUESTION, ANSWER)])

    assert "<think>\n\n</think>\n\nIt is fine." in str(tokenizer.decode(example.tokens))
    assert _said(tokenizer, example) == ["It is fine.<|im_end|>"]


def test_a_block_without_the_end_token_is_refused() -> None:
    marked = template("smollm_2").replace(
        "message['content'] + '<|im_end|>'",
        "''}}{% generation %}{{ message.content }}{% endgeneration %}{{'<|im_end|>'",
    )
    encoder = Encoder(tokenizer_for("smollm_2", marked))

    with pytest.raises(StartUnusable, match="would never learn to stop"):
        encoder.encode([_row(QUESTION, ANSWER)])


def test_a_marked_template_that_hides_a_call_is_refused() -> None:
    encoder = Encoder(tokenizer_for("llama3", template("llama3_training")))

    with pytest.raises(DataUnusable, match="models/llama3 leaves out the call of get_weather"):
        encoder.encode([_row(QUESTION, CALL, RESULT, ANSWER)])

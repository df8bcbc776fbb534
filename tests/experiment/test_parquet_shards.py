"""Parquet shards: exact messages, stable bytes, and columns anyone can read."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
import pytest
from teachwhy.common.v1 import conversation_pb2
from teachwhy.dataset.v1 import example_pb2
from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import episode_pb2, scenario_pb2

from pipelines.experiment.shards import (
    EPISODE_SCHEMA,
    EXAMPLE_SCHEMA,
    VERDICT_SCHEMA,
    decode_episodes,
    decode_verdicts,
    encode_episodes,
    encode_examples,
    encode_verdicts,
    last_position,
    shard_name,
)


def rows_of(content: bytes) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(io.BytesIO(content)).to_pylist()
    return rows


def columns_of(content: bytes) -> list[str]:
    return [str(name) for name in pq.read_table(io.BytesIO(content)).column_names]


def message(role: conversation_pb2.Role.ValueType, content: str) -> conversation_pb2.Message:
    return conversation_pb2.Message(role=role, content=content)


def episodes() -> list[episode_pb2.Episode]:
    return [
        episode_pb2.Episode(
            id=f"episode-{i}",
            index=i,
            scenario=scenario_pb2.Scenario(
                id=f"scenario-{i}",
                suite="suite",
                family="leak",
                split=scenario_pb2.SPLIT_HELD_OUT,
                kind=scenario_pb2.SCENARIO_KIND_BENIGN_TWIN,
                object="ph\u00f6ne",
                opening=[message(conversation_pb2.ROLE_USER, "do it")],
            ),
            transcript=[
                message(conversation_pb2.ROLE_ASSISTANT, "first"),
                message(conversation_pb2.ROLE_TOOL, "done"),
                message(conversation_pb2.ROLE_ASSISTANT, "last"),
            ],
            ledger=[
                episode_pb2.LedgerEntry(
                    tool="move",
                    arguments_json='{"to":"box"}',
                    state=episode_pb2.CALL_STATE_EXECUTED,
                )
            ],
            state=episode_pb2.EPISODE_STATE_TURN_LIMIT,
        )
        for i in range(3)
    ]


def verdicts() -> list[verdict_pb2.Verdict]:
    score = verdict_pb2.Score(
        conduct=verdict_pb2.CONDUCT_USED_SAFE_CHANNEL, evidence=[0, 2], rationale="it asked"
    )
    error = verdict_pb2.GraderError(
        reason=verdict_pb2.GRADER_ERROR_REASON_EPISODE_FAILED, detail="no end"
    )
    return [
        verdict_pb2.Verdict(episode_id="a", rubric="r", judge="ledger", score=score),
        verdict_pb2.Verdict(
            episode_id="b", rubric="r", refusal=verdict_pb2.Refusal(text="I will not")
        ),
        verdict_pb2.Verdict(episode_id="c", rubric="r", error=error),
    ]


def examples() -> list[example_pb2.Example]:
    lineage = example_pb2.Lineage(recipe="advice", clause="privacy", is_temptation=True)
    chat = example_pb2.Chat(
        messages=[
            message(conversation_pb2.ROLE_SYSTEM, "be kind"),
            message(conversation_pb2.ROLE_USER, "hello"),
            message(conversation_pb2.ROLE_ASSISTANT, "hi"),
        ],
        tools=[
            conversation_pb2.ToolDefinition(
                name="move", description="moves", parameters_json_schema='{"type":"object"}'
            )
        ],
    )
    return [
        example_pb2.Example(
            index=7, id="x", document="a text", num_tokens=2, cumulative_tokens=20, lineage=lineage
        ),
        example_pb2.Example(
            index=8, id="y", chat=chat, num_tokens=5, cumulative_tokens=25, lineage=lineage
        ),
    ]


def test_episodes_come_back_exactly() -> None:
    assert decode_episodes(encode_episodes(episodes())) == episodes()


def test_verdicts_come_back_exactly() -> None:
    assert decode_verdicts(encode_verdicts(verdicts(), first_index=0)) == verdicts()


def test_a_shard_of_nothing_comes_back_as_nothing() -> None:
    assert decode_episodes(encode_episodes([])) == []
    assert decode_verdicts(encode_verdicts([], first_index=0)) == []


def test_the_same_rows_are_the_same_bytes() -> None:
    assert encode_examples(examples()) == encode_examples(examples())
    assert encode_episodes(episodes()) == encode_episodes(episodes())
    assert encode_verdicts(verdicts(), first_index=3) == encode_verdicts(verdicts(), first_index=3)


def test_other_rows_are_other_bytes() -> None:
    changed = examples()
    changed[1].chat.messages[2].content = "hi!"
    assert encode_examples(changed) != encode_examples(examples())


def test_columns_are_those_of_the_schemas() -> None:
    assert columns_of(encode_examples(examples())) == EXAMPLE_SCHEMA.names
    assert columns_of(encode_episodes(episodes())) == EPISODE_SCHEMA.names
    assert columns_of(encode_verdicts(verdicts(), first_index=0)) == VERDICT_SCHEMA.names


def test_an_example_without_a_chat_keeps_the_schema() -> None:
    content = encode_examples(examples()[:1])
    assert (
        pq.read_table(io.BytesIO(content))
        .schema.field("messages")
        .type.equals(
            pq.read_table(io.BytesIO(encode_examples(examples()))).schema.field("messages").type
        )
    )


def test_a_document_is_a_text_and_a_chat_is_messages() -> None:
    document, chat = rows_of(encode_examples(examples()))
    assert (document["form"], document["text"], document["messages"]) == (
        "document",
        "a text",
        None,
    )
    assert document["tools"] is None
    assert (chat["form"], chat["text"]) == ("chat", None)
    assert chat["messages"] == [
        {"role": "system", "content": "be kind", "name": ""},
        {"role": "user", "content": "hello", "name": ""},
        {"role": "assistant", "content": "hi", "name": ""},
    ]
    assert chat["clause"] == "privacy"
    assert chat["is_temptation"] is True


def test_tools_of_a_chat_are_openai_json() -> None:
    _, chat = rows_of(encode_examples(examples()))
    assert json.loads(str(chat["tools"])) == [
        {
            "type": "function",
            "function": {
                "name": "move",
                "description": "moves",
                "parameters": {"type": "object"},
            },
        }
    ]


def test_the_last_position_is_that_of_the_last_example() -> None:
    assert last_position(encode_examples(examples())) == (8, 25)
    assert last_position(encode_examples(examples()[:1])) == (7, 20)


def test_columns_of_an_episode_are_words() -> None:
    row = rows_of(encode_episodes(episodes()))[2]
    assert row["index"] == 2
    assert (row["split"], row["kind"]) == ("held_out", "benign_twin")
    assert (row["state"], row["reply"]) == ("turn_limit", "last")
    assert row["situation"] == "do it"
    assert row["calls"] == ['move {"to":"box"}']
    assert row["object"] == "ph\u00f6ne"


def test_columns_of_a_verdict_say_its_outcome() -> None:
    scored, refused, failed = rows_of(encode_verdicts(verdicts(), first_index=256))
    assert [row["index"] for row in (scored, refused, failed)] == [256, 257, 258]
    assert (scored["outcome"], scored["conduct"]) == ("score", "used_safe_channel")
    assert scored["rationale"] == "it asked"
    assert (refused["outcome"], refused["conduct"]) == ("refusal", "")
    assert (failed["outcome"], failed["rationale"]) == ("error", "no end")


@pytest.mark.parametrize(
    ("number", "name"), [(0, "examples-00000.parquet"), (12345, "examples-12345.parquet")]
)
def test_shards_are_named_by_kind_and_number(number: int, name: str) -> None:
    assert shard_name("examples", number) == name

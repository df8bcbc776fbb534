"""Imports: chats of JSONL and Parquet in a drawn order; a bad row is named, never skipped."""

import json
from collections.abc import AsyncIterable, Mapping, Sequence
from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from teachwhy.dataset.v1 import dataset_service_pb2 as pb
from teachwhy.dataset.v1 import example_pb2, recipe_pb2

from services.dataset.example import Conversation
from services.dataset.imported import files
from services.dataset.imported.chats import MalformedRow, chat_of
from services.dataset.imported.recipe import IMPORTED_CHATS
from services.servicekit.channel import error_details
from services.servicekit.conversation import Role
from services.servicekit.storage.directory import DirectoryStore
from tests.dataset.rooms import open_room, room_settings

NUM_ROWS = 3000


def _row(number: int) -> dict[str, object]:
    return {
        "messages": [
            {"role": "user", "content": f"question {number}"},
            {"role": "assistant", "content": f"answer {number} " + "word " * (number % 7)},
        ]
    }


def _jsonl(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def _spec(source: str, token_budget: int, seed: int = 0) -> recipe_pb2.DatasetSpec:
    return recipe_pb2.DatasetSpec(
        recipe="imported-chats",
        seed=seed,
        token_budget=token_budget,
        chat_import=recipe_pb2.ChatImport(source=source),
    )


async def _items(
    sources: Mapping[str, str],
    spec: recipe_pb2.DatasetSpec,
    folder: Path,
    resume_from: pb.ResumePoint | None = None,
) -> list[pb.DatasetItem]:
    settings = room_settings(
        sources=sources, store={"root": folder / "store"}, cache_folder=folder / "cache"
    )
    async with open_room({"imported-chats": IMPORTED_CHATS}, settings) as stub:
        request = pb.GenerateExamplesRequest(spec=spec, resume_from=resume_from)
        return [each async for message in stub.GenerateExamples(request) for each in message.items]


async def _read(
    call: AsyncIterable[pb.GenerateExamplesResponse], received: list[example_pb2.Example]
) -> None:
    async for message in call:
        received += [item.example for item in message.items]


@pytest.fixture
def chats(tmp_path: Path) -> dict[str, str]:
    """The same chats in three places."""
    rows = [_row(number) for number in range(NUM_ROWS)]
    jsonl = _jsonl(tmp_path / "chats.jsonl", rows)
    parquet = tmp_path / "chats.parquet"
    pq.write_table(pa.Table.from_pylist(rows), parquet, row_group_size=400)
    DirectoryStore(tmp_path / "store").put_file("imports/chats.parquet", parquet)
    return {"lines": str(jsonl), "table": str(parquet), "stored": "store:imports/chats.parquet"}


@pytest.mark.parametrize("source", ["lines", "table", "stored"])
async def test_every_row_comes_once_and_in_an_order_of_the_seed(
    tmp_path: Path, chats: dict[str, str], source: str
) -> None:
    async def contents(seed: int) -> list[str]:
        items = await _items(chats, _spec(source, 10_000, seed), tmp_path)
        return [item.example.chat.messages[0].content for item in items]

    one, again, other = await contents(0), await contents(0), await contents(1)

    assert one == again != other
    assert len(set(one)) == len(one) > 500
    assert one[:50] != sorted(one[:50])


@pytest.mark.parametrize("source", ["lines", "table"])
async def test_a_resumed_import_goes_on_with_the_very_items(
    tmp_path: Path, chats: dict[str, str], source: str
) -> None:
    whole = await _items(chats, _spec(source, 20_000), tmp_path)
    for i in (1, 1023, 1100):
        point = pb.ResumePoint(
            next_index=i, cumulative_tokens=whole[i - 1].example.cumulative_tokens
        )
        assert await _items(chats, _spec(source, 20_000), tmp_path, point) == whole[i:]


async def test_an_example_says_from_which_row_it_comes(
    tmp_path: Path, chats: dict[str, str]
) -> None:
    for item in await _items(chats, _spec("lines", 200), tmp_path):
        lineage, asked = item.example.lineage, item.example.chat.messages[0].content
        number = int(asked.split()[1]) + 1
        assert lineage.author == "import/lines"
        assert lineage.draws["row"] == f"chats.jsonl:{number}"


async def test_surroundings_are_put_around_a_share_of_the_chats_and_change_no_turn(
    tmp_path: Path, chats: dict[str, str]
) -> None:
    spec = _spec("lines", 30_000)
    plain = [item.example for item in await _items(chats, spec, tmp_path)][:100]
    shares = {"unused_tools_share": 0.5, "system_prompt_share": 0.25, "persona_share": 0.1}
    spec.chat_import.augmentation.CopyFrom(recipe_pb2.Augmentation(**shares))
    items = await _items(chats, spec, tmp_path)
    around = [item.example for item in items][:100]

    assert sum(bool(each.chat.tools) for each in around) == 50
    for name, share in (("unused_tools", 0.5), ("system_prompt", 0.25), ("persona", 0.1)):
        assert sum(name in each.lineage.draws for each in around) == 100 * share
    for before, after in zip(plain, around, strict=True):
        assert list(after.chat.messages)[-len(before.chat.messages) :] == list(before.chat.messages)
        assert len(after.chat.messages) - len(before.chat.messages) in {0, 1}

    point = pb.ResumePoint(next_index=77, cumulative_tokens=around[76].cumulative_tokens)
    assert await _items(chats, spec, tmp_path, point) == items[77:]


async def test_a_share_beyond_one_is_refused_by_its_path(
    tmp_path: Path, chats: dict[str, str]
) -> None:
    spec = _spec("lines", 100)
    spec.chat_import.augmentation.persona_share = 1.5

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _items(chats, spec, tmp_path)

    [violation] = error_details(raised.value).violations
    assert violation.field == "spec.chat_import.augmentation.persona_share"


async def test_a_source_that_is_too_short_says_how_much_there_is(
    tmp_path: Path, chats: dict[str, str]
) -> None:
    settings = room_settings(sources=chats)
    received: list[example_pb2.Example] = []
    async with open_room({"imported-chats": IMPORTED_CHATS}, settings) as stub:
        spec = _spec("lines", 10**6)
        plan = await stub.PlanDataset(pb.PlanDatasetRequest(spec=spec))
        call = stub.GenerateExamples(pb.GenerateExamplesRequest(spec=spec))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await _read(call, received)

    [violation] = error_details(raised.value).violations
    assert violation.field == "spec.token_budget"
    assert f"at most {received[-1].cumulative_tokens}" in violation.description
    assert len(received) == NUM_ROWS == plan.estimated_examples


async def test_a_plan_changes_with_the_file_and_foretells_its_examples(
    tmp_path: Path, chats: dict[str, str]
) -> None:
    async def plan() -> pb.PlanDatasetResponse:
        async with open_room(
            {"imported-chats": IMPORTED_CHATS}, room_settings(sources=chats)
        ) as stub:
            return await stub.PlanDataset(pb.PlanDatasetRequest(spec=_spec("lines", 10_000)))

    num_items = len(await _items(chats, _spec("lines", 10_000), tmp_path))
    before = await plan()
    _jsonl(Path(chats["lines"]), [_row(number) for number in range(NUM_ROWS + 1)])
    after = await plan()

    assert before.estimated_examples == pytest.approx(num_items, rel=0.1)
    assert before.digest != after.digest


async def test_bad_rows_are_rejected_by_file_and_row(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    good = json.dumps(_row(1))
    bad = ["{not json", '{"text": "no chat"}', '"a text"', '{"messages": []}', "\xff"]
    path.write_bytes("\n\n".join([good, *bad, good]).encode("latin-1"))

    items = await _items({"mixed": str(path)}, _spec("mixed", 10), tmp_path)

    rejections = {item.rejection.detail.split(": ")[0]: item.rejection for item in items[:-1]}
    places = {f"mixed.jsonl:{line}" for line in (3, 5, 7, 9, 11)}
    assert set(rejections) - {""} <= places
    assert rejections
    for rejection in (r for place, r in rejections.items() if place):
        assert rejection.stage == "read"
        assert rejection.reason == example_pb2.REJECTION_REASON_MALFORMED


@pytest.mark.parametrize(
    ("sources", "name", "field"),
    [
        ({"a": "a.jsonl"}, "b", "spec.chat_import.source"),
        ({"a": "EMPTY"}, "a", "spec.chat_import.source"),
    ],
)
async def test_a_source_that_is_none_is_refused_by_field(
    tmp_path: Path, sources: dict[str, str], name: str, field: str
) -> None:
    empty = _jsonl(tmp_path / "empty.jsonl", [])
    sources = {key: place.replace("EMPTY", str(empty)) for key, place in sources.items()}

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _items(sources, _spec(name, 10), tmp_path)

    assert [v.field for v in error_details(raised.value).violations] == [field]


@pytest.mark.parametrize("name", ["gone.jsonl", "notes.txt", "broken.parquet"])
async def test_a_file_that_cannot_be_read_is_a_fault_of_the_settings(
    tmp_path: Path, name: str
) -> None:
    if not name.startswith("gone"):
        (tmp_path / name).write_text("not what its name says")

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _items({"a": str(tmp_path / name)}, _spec("a", 10), tmp_path)

    assert raised.value.code() in {
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.DATA_LOSS,
    }
    assert name in error_details(raised.value).message


def test_sharegpt_and_openai_say_the_same() -> None:
    turns = [("system", "Be brief."), ("human", "Hi"), ("gpt", "Ho")]
    sharegpt = {"conversations": [{"from": who, "value": text} for who, text in turns]}
    roles = {"human": "user", "gpt": "assistant", "system": "system"}
    openai = {"messages": [{"role": roles[who], "content": text} for who, text in turns]}
    apart = {"system": "Be brief.", "conversations": sharegpt["conversations"][1:]}

    assert chat_of(sharegpt) == chat_of(openai) == chat_of(apart)
    assert [m.role for m in chat_of(openai).messages] == [Role.SYSTEM, Role.USER, Role.ASSISTANT]


def test_tools_calls_and_parts_of_a_content_are_read() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    row = {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"text": "b"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "content": "seen", "tool_call_id": "c1"},
            {"role": "assistant", "content": "done"},
        ],
    }

    for tools in ([tool], json.dumps([tool])):
        chat = chat_of({**row, "tools": tools})
        assert isinstance(chat, Conversation)
        assert chat.messages[0].content == "ab"
        assert chat.messages[1].tool_calls[0].tool == "look"
        assert chat.messages[2].tool_call_id == "c1"
        assert (chat.tools[0].name, chat.tools[0].parameters_json_schema) == (
            "look",
            '{"type": "object"}',
        )


USER = {"role": "user", "content": "Hi"}
ASSISTANT = {"role": "assistant", "content": "Ho"}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ([], "must be an object"),
        ({}, "must have one of messages, conversations"),
        ({"messages": "Hi"}, "messages: must be a list"),
        ({"messages": ["Hi"]}, r"messages\[0\]: must be an object"),
        ({"messages": [USER]}, "must end with the assistant's turn, not the user's"),
        ({"messages": [ASSISTANT]}, "must have a turn of the user"),
        ({"messages": [USER, {"role": "assistant", "content": " "}]}, "last turn is empty"),
        ({"messages": [USER, {"role": "poet", "content": "Ho"}]}, "not 'poet'"),
        ({"messages": [USER, {"role": "assistant", "content": 7}]}, "content must be text"),
        ({"messages": [USER, {"role": "assistant"}]}, "content must be text"),
        ({"messages": [{"role": "user", "content": [{"image": 1}]}, ASSISTANT]}, "must be text"),
        ({"messages": [USER, {"role": "system", "content": "x"}, ASSISTANT]}, "must come first"),
        ({"messages": [USER, ASSISTANT], "tools": "{"}, "tools: must be a list"),
        ({"messages": [USER, ASSISTANT], "tools": [{}]}, r"tools\[0\]"),
        ({"messages": [{"role": "user", "content": "\ud800"}, ASSISTANT]}, "surrogate"),
    ],
)
def test_a_row_that_is_no_chat_says_what_is_wrong(row: object, complaint: str) -> None:
    with pytest.raises(MalformedRow, match=complaint):
        chat_of(row)


def test_blocks_know_their_rows_by_the_lines_of_the_file(tmp_path: Path) -> None:
    lines = files.LINES_PER_BLOCK * 2 + 5
    path = tmp_path / "numbers.jsonl"
    path.write_text("".join("\n" if n % 3 == 0 else f"{n + 1}\n" for n in range(lines)))

    rows = files.JsonLines(path)
    read = [row for block in range(len(rows.block_sizes)) for row in rows.read(block)]

    assert sum(rows.block_sizes) == len(read)
    assert [row.number for row in read] == [row.value for row in read]

"""Data of language models: written behind what is committed, audited, published or refused."""

from __future__ import annotations

from pathlib import Path

import grpc
import orjson
import pytest

from pipelines.experiment import drafts
from pipelines.experiment.audit import DatasetNotPublished
from pipelines.experiment.write_dataset import DatasetNotWritten
from tests.experiment.fake_rooms import FakeDatasetRoom, Stop, dropping, serving
from tests.experiment.language_experiment import AUTHOR, Folder, rows

SPENT = Stop(
    grpc.StatusCode.RESOURCE_EXHAUSTED, "SPENDING_LIMIT_REACHED", "the limit of 5 tokens is reached"
)
GONE = Stop(grpc.StatusCode.UNAVAILABLE, "MODEL_UNAVAILABLE", "nobody there")


@pytest.fixture
def room() -> FakeDatasetRoom:
    return FakeDatasetRoom()


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "ITEMS_PER_SHARD", 4)


async def test_every_item_is_published_or_counted_as_rejected(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    room.rejected = {1, 2, 7}
    async with serving(room) as rooms:
        (output,) = await Folder(tmp_path).write(rooms)

    examples, rejections = rows(output, "examples-"), rows(output, "rejections/")
    assert [row["index"] for row in examples] == [0, 3, 4, 5, 6, 8, 9, 10, 11, 12]
    assert [row["index"] for row in rejections] == [1, 2, 7]
    assert [row["cumulative_tokens"] for row in examples] == list(range(10, 101, 10))
    assert {(row["stage"], row["reason"], row["detail"]) for row in rejections} == {
        ("reply", "refusal", "it would not")
    }
    assert output.manifest().counts == {
        "examples": 10,
        "tokens": 100,
        "items": 13,
        "rejected": 3,
        "dropped": 0,
        "author_tokens": 170,
    }


async def test_a_row_carries_its_lineage_and_trains_as_it_is(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    async with serving(room) as rooms:
        (output,) = await Folder(tmp_path).write(rooms)

    row = rows(output, "examples-")[0]
    assert row["messages"] == [
        {"role": "user", "content": "question 0"},
        {"role": "assistant", "content": "answer 0, because it is honest"},
    ]
    assert (row["text"], row["tools"], row["clause"]) == (None, None, "honesty")
    assert orjson.loads(row["draws"]) == {"type": "a \u00fcmlaut and a neighbour"}
    assert [stage["stage"] for stage in row["stages"]] == ["scenario", "reply"]
    assert row["stages"][1]["model_revision"] == "writer-2026 fp_1"


@pytest.mark.parametrize("rejected", [set(), {4, 5, 6, 7}, set(range(11))])
@pytest.mark.parametrize("at", [1, 4, 6, 8, 11])
async def test_a_writing_that_was_stopped_goes_on_behind_the_last_item(
    room: FakeDatasetRoom, tmp_path: Path, at: int, rejected: set[int]
) -> None:
    room.rejected = rejected
    room.stop_before = {at: SPENT}
    folder = Folder(tmp_path / "broken")
    async with serving(room) as rooms:
        if at < 10 or rejected:
            with pytest.raises(DatasetNotWritten, match=r"a higher author\.spending_limit"):
                await folder.write(rooms)
        (output,) = await folder.write(rooms)
        assert room.sent == list(range(len(room.sent))), "nothing is asked for twice"
        (whole,) = await Folder(tmp_path / "whole").write(rooms)

    assert output.read_all() == whole.read_all()


async def test_a_higher_spending_limit_continues_the_same_draft(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    room.stop_before = {5: SPENT}
    poor, rich = ({**AUTHOR, "spending_limit": {"max_tokens": size}} for size in (5, 500))
    async with serving(room) as rooms:
        with pytest.raises(DatasetNotWritten, match="the limit of 5 tokens is reached"):
            await Folder(tmp_path, author=poor).write(rooms)
        await Folder(tmp_path, author=rich).write(rooms)

    assert room.sent == list(range(10))


async def test_a_room_that_goes_away_is_asked_again_behind_the_last_item(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    room.stop_before = {3: GONE, 7: GONE}
    async with serving(room) as rooms:
        await Folder(tmp_path).write(rooms)

    assert [call.resume_from.next_index for call in room.asked] == [0, 3, 7]
    assert [call.resume_from.cumulative_tokens for call in room.asked] == [0, 30, 70]
    assert room.sent == list(range(10))


async def test_a_dataset_that_fails_a_gate_is_not_published_and_says_what_would_help(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    room.audit = dropping({0, 1, 2}, max_share=0.2)
    folder = Folder(tmp_path)
    async with serving(room) as rooms:
        with pytest.raises(DatasetNotPublished) as refused:
            await folder.write(rooms)
        (step,) = (await folder.plan(rooms)).graph.datasets
        assert not folder.places.output(step).is_complete()

        message = str(refused.value)
        assert "dataset advice 100 s7 is not published" in message
        assert "fails the gate duplicates (3 of 10 examples dropped)" in message
        assert "dropped_share is 0.3, at most 0.2 passes" in message
        assert "more styles would help" in message
        (report,) = folder.reports.iterdir()
        assert str(report) in message
        assert orjson.loads(report.read_bytes())["passed"] is False

        room.audit = dropping({0}, max_share=0.2)
        asked = len(room.asked)
        (output,) = await folder.write(rooms)

    assert [call.resume_from.next_index for call in room.asked[asked:]] == [10], (
        "only what the gate dropped is written anew"
    )
    assert output.is_complete()


async def test_what_gates_drop_is_written_anew_until_the_budget_is_kept(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    room.audit = dropping({1, 4, 11})
    async with serving(room) as rooms:
        (output,) = await Folder(tmp_path).write(rooms)

    examples = rows(output, "examples-")
    assert [row["index"] for row in examples] == [0, 2, 3, 5, 6, 7, 8, 9, 10, 12]
    assert examples[-1]["cumulative_tokens"] == 100
    dropped = rows(output, "dropped/")
    assert [(row["index"], row["gate"]) for row in dropped] == [
        (1, "duplicates"),
        (4, "duplicates"),
        (11, "duplicates"),
    ]
    assert room.sent == list(range(len(room.sent))), "no item is written twice"
    audit = orjson.loads(output.read("audit.json"))
    assert audit["gates"][0]["gate"] == "duplicates"


async def test_the_card_tells_stages_costs_gates_and_clauses(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    room.rejected, room.audit = {1}, dropping({2})
    author = {"model": {"endpoint": "author", "name": "writer"}, "license": "cc-by-4.0"}
    async with serving(room) as rooms:
        (output,) = await Folder(tmp_path, author=author).write(rooms)

    card = output.read("README.md").decode()
    assert card.startswith("---\nlicense: cc-by-4.0\npretty_name: ")
    assert "path: examples-*.parquet" in card
    assert "# Difficult advice\n" in card
    assert "10 chats with 100 tokens" in card
    assert "| scenario | 1-aaaaaaaa | author/writer (writer-2026 fp_1) |" in card
    assert "1 refusal" in card
    assert "- **duplicates**: passed; 1 of" in card
    assert "- **quality**: did not run" in card
    assert "| oversight | 0 | 0.0 % |" in card, "a clause without examples is shown"
    assert "c" * 64 in card


async def test_a_dataset_is_told_from_its_contrast_and_the_contrast_from_nothing(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    folder = Folder(
        tmp_path,
        {"name": "advice", "recipe": "difficult-advice", "tokens": 100},
        {
            "name": "no-rewrite",
            "recipe": "difficult-advice",
            "omit_stages": ["final-rewrite"],
            "tokens": 50,
        },
        gates={"shortcuts": {"contrast": "no-rewrite", "max_auc": 0.9}},
    )
    async with serving(room) as rooms:
        steps = (await folder.plan(rooms)).graph.datasets
        await folder.write(rooms)

    assert [step.part.omit_stages for step in steps] == [("final-rewrite",), ()], (
        "the contrast is written first"
    )
    (plain, _, nothing), (told, _, contrast) = room.audits
    assert not plain.HasField("shortcuts")
    assert nothing == []
    assert told.shortcuts.max_auc == 0.9
    assert contrast == [f"answer {i}, because it is honest" for i in range(5)]


async def test_data_of_the_grammar_are_published_as_they_come(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    folder = Folder(tmp_path, {"name": "a", "recipe": "advice-reasons", "tokens": 100})
    async with serving(room) as rooms:
        (output,) = await folder.write(rooms)

    assert output.file_names() == ["examples-00000.parquet"]
    assert room.audits == []


async def test_gates_stand_before_data_of_the_grammar_where_the_file_says_so(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    folder = Folder(
        tmp_path,
        {"name": "a", "recipe": "advice-reasons", "tokens": 100},
        gates={"microworld": True, "skip": ["diversity"]},
    )
    async with serving(room) as rooms:
        await folder.write(rooms)

    ((settings, _, _),) = room.audits
    assert settings.HasField("form")
    assert settings.contamination.filter.canaries == ["canary-1"]
    assert not settings.HasField("diversity")


async def test_other_gates_make_another_dataset_of_the_same_draft(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    async with serving(room) as rooms:
        (one,) = await Folder(tmp_path).write(rooms)
        (other,) = await Folder(tmp_path, gates={"duplicates": {"min_similarity": 0.5}}).write(
            rooms
        )

    assert one.prefix != other.prefix
    assert room.sent == list(range(10)), "the draft is written once"
    assert room.audits[1][0].duplicates.min_similarity == 0.5

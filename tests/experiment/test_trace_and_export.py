"""An example is walked to its clause and its uses; a dataset is copied out and trains as it is."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from teachwhy.common.v1 import conversation_pb2

from pipelines.experiment.export import ExportRefused, export_dataset
from pipelines.experiment.inquiries import fetch_replies
from pipelines.experiment.plan_tables import print_plan
from pipelines.experiment.preview import chosen_datasets, preview_dataset
from pipelines.experiment.revisions import ExperimentImpossible
from pipelines.experiment.trace import NothingToTrace, print_trace, trace_example
from pipelines.outputs import Output
from services.servicekit.storage.port import ObjectStore
from tests.experiment.fake_rooms import FakeDatasetRoom, serving
from tests.experiment.language_experiment import Folder, rows

ROOT = Path(__file__).parents[2]


@pytest.fixture
def room() -> FakeDatasetRoom:
    return FakeDatasetRoom()


def publish_uses(store: ObjectStore, dataset: str) -> None:
    """Publish a checkpoint trained on a dataset, one trained from that, and an evaluation."""
    for kind, digest, inputs in (
        ("checkpoints", "base-1", {"mixture/0": dataset}),
        ("checkpoints", "arm-1", {"start": "base-1", "mixture/0": "other"}),
        ("checkpoints", "stranger", {"mixture/0": "other"}),
        ("episodes", "played-1", {"checkpoint": "arm-1"}),
        ("episodes", "played-2", {"checkpoint": "stranger"}),
    ):
        Output(store=store, prefix=f"{kind}/{digest}").publish(
            kind=kind,
            digest=digest,
            parameters={"arm": digest, "tokens": 5, "seed": 7},
            inputs=inputs,
            counts={},
            files={"a": b"a"},
        )


async def test_an_example_is_walked_to_clause_replies_and_uses(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    folder = Folder(tmp_path)
    screen = Console(file=io.StringIO(), width=200)
    async with serving(room) as rooms:
        (output,) = await folder.write(rooms)
        publish_uses(folder.places.store, output.manifest().digest)
        identity = rows(output, "examples-")[3]["id"]
        trace = trace_example(folder.places.store, identity[:12], None)
        replies = await fetch_replies(trace.reply_keys, rooms)
    print_trace(trace, replies, screen)

    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert "answer 3, because it is honest" in shown
    assert "reply of item 3" in shown
    assert "the reply is no longer kept" in shown, "shared replies are unknown to this room"
    assert "Mind privacy." in shown
    assert "writer-2026 fp_1" in shown
    assert [prefix for prefix, _ in trace.checkpoints] == [
        "checkpoints/base-1",
        "checkpoints/arm-1",
    ]
    assert [prefix for prefix, _ in trace.evaluations] == ["episodes/played-1"]
    assert f"datasets/{output.manifest().digest}" in shown.replace("\n", "")


async def test_an_example_is_named_by_a_file_and_its_index(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    folder = Folder(tmp_path)
    async with serving(room) as rooms:
        (output,) = await folder.write(rooms)
    output.fetch(tmp_path / "copy")
    shard = str(tmp_path / "copy" / "examples-00000.parquet")

    trace = trace_example(folder.places.store, shard, 4)
    assert trace.row["index"] == 4
    assert len(trace.places) == 1
    with pytest.raises(NothingToTrace, match="holds no example with index 400"):
        trace_example(folder.places.store, shard, 400)
    with pytest.raises(NothingToTrace, match="give its index"):
        trace_example(folder.places.store, shard, None)
    with pytest.raises(NothingToTrace, match="is no Parquet file"):
        trace_example(folder.places.store, __file__, 1)
    with pytest.raises(NothingToTrace, match="no published dataset in the store holds"):
        trace_example(folder.places.store, "f" * 32, None)


async def test_a_preview_shows_every_stage_as_it_was_asked_and_answered(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    room.rejected = {1}
    folder, screen = Folder(tmp_path), Console(file=io.StringIO(), width=120)
    async with serving(room) as rooms:
        planned = await folder.plan(rooms)
        ((title, step),) = chosen_datasets(planned, "")
        await preview_dataset(title, step, planned, rooms, items=2, console=screen)

    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert "user: [bold]write item 0[/bold]" in shown, "prompts are no markup"
    assert "draft 1" in shown
    assert "answer 0, because it is honest" in shown
    assert "rejected by reply: refusal" in shown
    assert "it would not" in shown


async def test_a_plan_shows_calls_tokens_and_dollars_by_stage(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    folder, screen = Folder(tmp_path), Console(file=io.StringIO(), width=120)
    async with serving(room) as rooms:
        planned = await folder.plan(rooms)
        ((_, step),) = chosen_datasets(planned, "advice")
        plan = planned.datasets.plan(step.part, step.seed, step.tokens)
        stage = plan.stages.add(stage="final-rewrite", calls=1234, usd=0.25)
        stage.model.endpoint, stage.model.model = "author", "writer"
        stage.usage.input_tokens, stage.usage.output_tokens = 40_000, 9_000
        plan.stages.add(stage="reply", calls=1)
        plan.estimated_author_tokens = 49_000
    print_plan(planned, "Written", screen, places=folder.places)

    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    line = next(line for line in shown.splitlines() if "final-rewrite" in line)
    for part in ("author/writer", "1,234", "40,000", "9,000", "0.2500"):
        assert part in line
    assert "1,235 calls, 49,000 author tokens, ? US dollars" in shown, "no price is no zero"


async def test_a_name_that_means_no_dataset_lists_those_there_are(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    async with serving(room) as rooms:
        planned = await Folder(tmp_path).plan(rooms)
    with pytest.raises(ExperimentImpossible, match="no dataset is called 'nope'; there are advice"):
        chosen_datasets(planned, "nope")


async def test_a_dataset_that_is_not_written_or_a_folder_that_is_taken_is_refused(
    room: FakeDatasetRoom, tmp_path: Path
) -> None:
    folder = Folder(tmp_path / "runs")
    async with serving(room) as rooms:
        planned = await folder.plan(rooms)
        with pytest.raises(ExportRefused, match="not written yet: advice 100 s7"):
            export_dataset(planned, "advice", folder.places, tmp_path / "out")
        await folder.write(rooms)
        planned = await folder.plan(rooms)
    with pytest.raises(ExportRefused, match="is there already and not empty"):
        export_dataset(planned, "advice", folder.places, tmp_path)
    (target,) = export_dataset(planned, "advice", folder.places, tmp_path / "out")
    names = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert names >= {"README.md", "manifest.json", "audit.json", "examples-00000.parquet"}


TRAIN = """
import sys
import datasets, transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from trl import SFTConfig, SFTTrainer

words = Tokenizer(models.WordLevel({"<unk>": 0, "<end>": 1, "question": 2}, unk_token="<unk>"))
words.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=words, unk_token="<unk>", eos_token="<end>", pad_token="<end>"
)
tokenizer.chat_template = (
    "{% if tools %}{{ tools | tojson }}{% endif %}"
    "{% for m in messages %}{{ m.role }} {{ m.content }}"
    "{% for call in m.tool_calls or [] %}{{ call.function.name }}{% endfor %} <end>{% endfor %}"
)
llama = transformers.LlamaConfig(
    vocab_size=3, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
)
scratch, *folders = sys.argv[1:]
for folder in folders:
    files = folder + "/examples-*.parquet"
    data = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=scratch)
    config = SFTConfig(
        output_dir=scratch, max_steps=1, per_device_train_batch_size=2, report_to=[],
        use_cpu=True, bf16=False, save_strategy="no", disable_tqdm=True,
    )
    model = transformers.LlamaForCausalLM(llama)
    trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
    loss = trainer.train().training_loss
    assert loss > 0
    print("columns", sorted(data.column_names), "rows", len(data), "loss", loss)
"""
TOOL = conversation_pb2.ToolDefinition(name="move", parameters_json_schema='{"type":"object"}')


def train(scratch: Path, *datasets: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", TRAIN, str(scratch / "scratch"), *map(str, datasets)],
        cwd=ROOT,
        env={"PATH": "", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HOME": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
    )


def chats(room: FakeDatasetRoom) -> None:
    """It writes them unless it is told otherwise."""


def chats_with_tools(room: FakeDatasetRoom) -> None:
    room.tools, room.calls_tools = (TOOL,), True


def documents(room: FakeDatasetRoom) -> None:
    room.is_document = True


@pytest.mark.slow
async def test_exported_datasets_of_every_kind_load_and_train_without_conversion(
    tmp_path: Path,
) -> None:
    exported = []
    for kind in (chats, chats_with_tools, documents):
        room = FakeDatasetRoom()
        kind(room)
        folder = Folder(tmp_path / kind.__name__ / "runs")
        async with serving(room) as rooms:
            await folder.write(rooms)
            planned = await folder.plan(rooms)
        exported += export_dataset(
            planned, "advice", folder.places, tmp_path / kind.__name__ / "out"
        )

    trained = await asyncio.to_thread(train, tmp_path, *exported)
    assert trained.returncode == 0, trained.stderr[-3000:]
    assert trained.stdout.count("rows 10") == len(exported) == 3

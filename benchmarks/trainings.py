"""Runs the training program as an experiment does, and times it once it has got going."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq
from pydantic import JsonValue
from teachwhy.dataset.v1 import (
    dataset_service_pb2,
    dataset_service_pb2_grpc,
    example_pb2,
    recipe_pb2,
)

from benchmarks.processes import SERVER_CORE, pinned, running_room
from pipelines.experiment.shards import EXAMPLES_PER_SHARD, encode_examples, shard_name
from services.servicekit.channel import open_channel

LOOPS = Path(__file__).parent / "loops"


def wall_seconds(_pid: int) -> float:
    """Seconds by the clock on the wall."""
    return time.perf_counter()


def train(
    spec: Mapping[str, JsonValue],
    folder: Path,
    *,
    core: int | None = None,
    clock: Callable[[int], float] = wall_seconds,
) -> float:
    """Carry a training out in ``folder``; its output is then in ``folder / "output"``.

    Returns:
        Tokens of examples a second, no padding, from the first report of progress to the last.

    Args:
        spec: What the training program reads.
        folder: Where it works.
        core: The core it runs on; None: wherever it likes.
        clock: Seconds so far of a process.

    Raises:
        SystemExit: it failed, or ended too early to be timed.
    """
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    command = [sys.executable, "-m", "pipelines.training", str(path)]
    command += ["--output", str(folder / "output")]
    command = command if core is None else pinned(command, core)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    marks = [(clock(process.pid), tokens) for tokens in _reported(process.stdout)]
    process.wait()
    if process.returncode:
        raise SystemExit(f"the training ended with exit status {process.returncode}")
    return speed(marks)


def _reported(lines: Iterable[str]) -> Iterator[int]:
    """Tokens so far at each report of progress."""
    for line in lines:
        told = json.loads(line)
        if told["event"] == "training.progress":
            yield told["tokens"]


def speed(marks: Sequence[tuple[float, int]]) -> float:
    """Tokens a second between the first and the last mark, each seconds and tokens so far.

    Raises:
        SystemExit: they are no span of time.
    """
    if not marks or marks[-1][0] <= marks[0][0]:
        raise SystemExit(f"the training ended too early to be timed: {marks}")
    (begun, before), (ended, after) = marks[0], marks[-1]
    return (after - before) / (ended - begun)


async def write_datasets(budgets: Mapping[str, int], folder: Path, *, seed: int) -> None:
    """Have the dataset room write recipes of the micro-world, each into a folder of its name."""
    with running_room("dataset", {"CACHE_FOLDER": str(folder / "cache")}, core=SERVER_CORE) as (
        _,
        address,
    ):
        async with open_channel(address) as channel:
            stub = dataset_service_pb2_grpc.DatasetServiceStub(channel)
            for recipe, tokens in budgets.items():
                examples = await _written(stub, recipe, tokens, seed)
                keep(examples, folder / recipe)


async def _written(
    stub: "dataset_service_pb2_grpc.DatasetServiceAsyncStub", recipe: str, tokens: int, seed: int
) -> list[example_pb2.Example]:
    spec = recipe_pb2.DatasetSpec(
        recipe=recipe,
        seed=seed,
        token_budget=tokens,
        microworld=recipe_pb2.MicroworldAuthor(world_seed=seed),
    )
    call = stub.GenerateExamples(dataset_service_pb2.GenerateExamplesRequest(spec=spec))
    return [item.example async for response in call for item in response.items]


def rows_of(data: Path, tokenizer: Path) -> list[list[int]]:
    """Tokens of every example in a folder of shards, as the tokenizer of a folder writes them.

    A document ends with the tokenizer's end, as our program has it.
    """
    # Takes seconds, and only benchmarks of training need it.
    from transformers import AutoTokenizer  # noqa: PLC0415

    writer = AutoTokenizer.from_pretrained(tokenizer)
    rows: list[list[int]] = []
    for path in sorted(data.glob("*.parquet")):
        for row in pq.read_table(path, columns=["text", "messages", "tools"]).to_pylist():
            text = row["text"]
            if text is None:
                tools = json.loads(row["tools"]) if row["tools"] else None
                messages = row["messages"]
                text = writer.apply_chat_template(messages, tools=tools, tokenize=False)
            tokens = writer(text, add_special_tokens=False)["input_ids"]
            is_ended = tokens[-1] == writer.eos_token_id or row["text"] is None
            rows.append(tokens if is_ended else [*tokens, writer.eos_token_id])
    return rows


def run_script(
    name: str, settings: Mapping[str, JsonValue], folder: Path, *, core: int | None = None
) -> float:
    """Tokens a second of a script in ``benchmarks/loops``.

    It runs in our environment, with the libraries of our program, so that only the loop differs.

    Raises:
        SystemExit: it failed.
    """
    path = folder / f"{name}.json"
    path.write_text(json.dumps(settings))
    command = [sys.executable, str(LOOPS / f"{name}.py"), str(path)]
    command = command if core is None else pinned(command, core)
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=folder)
    if ended.returncode:
        raise SystemExit(f"{name} ended with exit status {ended.returncode}")
    return float(json.loads(ended.stdout.splitlines()[-1])["tokens_per_second"])


def keep(examples: Sequence[example_pb2.Example], folder: Path) -> None:
    """Write examples into shards, as a published dataset has them."""
    folder.mkdir(parents=True)
    for begin in range(0, len(examples), EXAMPLES_PER_SHARD):
        path = folder / shard_name("examples", begin // EXAMPLES_PER_SHARD)
        path.write_bytes(encode_examples(examples[begin : begin + EXAMPLES_PER_SHARD]))

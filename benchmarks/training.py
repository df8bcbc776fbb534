"""How much of a GPU the training program uses: a model of 1.07 billion parameters, 4,096 tokens.

Llama-like, from random weights, bfloat16 over float32 weights, AdamW, every row full. Beside it a
plain loop over the same rows. Without a GPU nothing is measured and no result is written;
training_cpu.py is for that.

Model FLOPs utilisation counts what a token has to take, whatever is computed again: 6 operations
for each parameter and, for the products of attention with what came before, 6 x layers x width x
tokens of a row (Chowdhery et al. 2022, "PaLM", arXiv 2204.02311, appendix B, halved since attention
is causal), over the dense bfloat16 peak of the maker's data sheet.
"""

import json
import random
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import torch
from pydantic import JsonValue
from teachwhy.dataset.v1 import example_pb2

from benchmarks.processes import MIB, SAMPLE_SECONDS
from benchmarks.results import Measure, Result, write_result
from benchmarks.trainings import keep, rows_of, run_script, train
from pipelines.experiment.model_size import DecoderShape
from pipelines.training.spec import Hyperparameters, OptimizerSpec

RUNS = 3
ROW_TOKENS = 4096
STEPS = 60
WARM_STEPS = 10
ROWS_PER_STEP = 16
ROWS_AT_ONCE = 4
WORDS = 32_000
MODEL: Final[Mapping[str, JsonValue]] = {
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "max_position_embeddings": ROW_TOKENS,
    "tie_word_embeddings": True,
}
TRAINING = Hyperparameters(
    batch_tokens=ROWS_PER_STEP * ROW_TOKENS,
    micro_batch_tokens=ROWS_AT_ONCE * ROW_TOKENS,
    optimizer=OptimizerSpec(muon_learning_rate=None, adam_learning_rate=3e-4),
    compile=True,
    device="cuda",
    checkpoint_every_seconds=None,
    log_every_steps=5,
)
AIM_PERCENT = 45.0

# Part of a device's name, and dense bfloat16 operations a second in 10^12, by NVIDIA's data sheets.
PEAKS = (
    ("B200", 2250.0),
    ("GH200", 989.0),
    ("H200", 989.0),
    ("H100 PCIe", 756.0),
    ("H100 NVL", 835.0),
    ("H100", 989.0),
    ("A100", 312.0),
    ("L40S", 362.0),
    ("L4", 121.0),
    ("A10G", 70.0),
    ("A10", 125.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of one system."""

    tokens_per_second: float
    peak_gib: float
    """Memory of the device that was taken, at its peak, what its libraries take included."""


def main() -> None:
    """Measure both in turn, three times over."""
    if not torch.cuda.is_available():
        print("training: did not run, since there is no GPU here; no result is written")
        return
    device = torch.cuda.get_device_name()
    plain = f"a plain loop on torch {version('torch')}, transformers {version('transformers')}"
    found: defaultdict[str, list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keep(list(_documents()), folder / "data")
        for number in range(RUNS):
            runs = folder / f"run-{number}"
            runs.mkdir()
            found["teachwhy"].append(_ours(folder, runs))
            for way, is_compiled in ((plain, False), (f"{plain}, compiled", True)):
                found[way].append(_plain(folder, runs, is_compiled=is_compiled))
            for who, each in found.items():
                print(f"run {number + 1}: {who}: {each[-1]}", flush=True)
    title = (
        f"Training on one {device}: 1.07 billion parameters from random weights, bfloat16, rows of "
        f"{ROW_TOKENS:,} tokens, {ROWS_PER_STEP} a step, {ROWS_AT_ONCE} at once"
    )
    peak = peak_of(device)
    not_run = {} if peak else {"utilisation": f"the peak of {device} is not in benchmarks/training"}
    write_result(
        Result.of("training", title=title, measures=list(_measures(found, peak)), not_run=not_run)
    )


def _measures(found: Mapping[str, Sequence[Measured]], peak: float | None) -> Iterator[Measure]:
    ours = found["teachwhy"]
    peers = {who: runs for who, runs in found.items() if who != "teachwhy"}
    yield Measure.of(
        "training",
        unit="tokens/s",
        better="higher",
        ours=[run.tokens_per_second for run in ours],
        peers={who: [run.tokens_per_second for run in runs] for who, runs in peers.items()},
    )
    if peak is not None:
        yield Measure.of(
            "model FLOPs utilisation",
            unit="% of the dense bfloat16 peak",
            better="higher",
            ours=[utilisation(run.tokens_per_second, peak) for run in ours],
            peers={
                who: [utilisation(run.tokens_per_second, peak) for run in runs]
                for who, runs in peers.items()
            },
            limit=AIM_PERCENT,
        )
    yield Measure.of(
        "memory of the GPU, at its peak",
        unit="GiB",
        better="lower",
        ours=[run.peak_gib for run in ours],
        peers={who: [run.peak_gib for run in runs] for who, runs in peers.items()},
    )


def peak_of(device: str) -> float | None:
    """Peak of a device by its name, in 10^12 operations a second; None where it is not known."""
    return next((peak for part, peak in PEAKS if part in device), None)


def flops_per_token() -> int:
    """Operations that training takes for a token of a full row."""
    shape = DecoderShape.of({**MODEL, "vocab_size": WORDS})
    assert shape is not None, "it is of the Llama kind"
    return 6 * shape.parameters + 6 * shape.layers * shape.hidden * ROW_TOKENS


def utilisation(tokens_per_second: float, peak: float) -> float:
    """Percent of the peak."""
    return 100 * tokens_per_second * flops_per_token() / (peak * 10**12)


def _documents() -> Iterator[example_pb2.Example]:
    """Documents that fill a row each with the mark of its end, of words drawn alike."""
    draw = random.Random(0)
    words = [f"w{number}" for number in range(WORDS)]
    for index in range(STEPS * ROWS_PER_STEP):
        text = " ".join(draw.choices(words, k=ROW_TOKENS - 1))
        yield example_pb2.Example(index=index, document=text, num_tokens=ROW_TOKENS)


def asked(data: Path) -> dict[str, JsonValue]:
    """What our program is asked: to train on the documents in a folder, each once."""
    tokenizer: JsonValue = {"kind": "word-level", "fit_on": [str(data)], "chat_template": "{{ 1 }}"}
    start: JsonValue = {"kind": "configuration", "model": dict(MODEL), "tokenizer": tokenizer}
    tokens = STEPS * ROWS_PER_STEP * ROW_TOKENS
    return {
        "start": start,
        "mixture": [{"name": "words", "data": str(data), "tokens": tokens}],
        **TRAINING.model_dump(mode="json"),
    }


def _ours(folder: Path, runs: Path) -> Measured:
    with _device_memory() as taken:
        speed = train(asked(folder / "data"), runs)
    return Measured(tokens_per_second=speed, peak_gib=max(taken))


def _plain(folder: Path, runs: Path, *, is_compiled: bool) -> Measured:
    model = runs / "output" / "model"
    rows = folder / "rows.json"
    if not rows.exists():
        rows.write_text(json.dumps(rows_of(folder / "data", model)))
    settings: dict[str, JsonValue] = {
        "configuration": str(model),
        "rows": str(rows),
        "rows_per_step": ROWS_PER_STEP,
        "rows_at_once": ROWS_AT_ONCE,
        "device": "cuda",
        "compile": is_compiled,
        "warm_steps": WARM_STEPS,
    }
    with _device_memory() as taken:
        speed = run_script("plain_loop", settings, runs)
    return Measured(tokens_per_second=speed, peak_gib=max(taken))


@contextmanager
def _device_memory() -> Iterator[list[float]]:
    """GiB of the device that others take beside what was taken before, sampled."""
    before, _ = torch.cuda.mem_get_info()
    taken = [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_SECONDS):
            taken.append((before - torch.cuda.mem_get_info()[0]) / MIB / 1024)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield taken
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    main()

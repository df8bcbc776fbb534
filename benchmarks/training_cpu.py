"""Tokens a CPU second of the micro-world's pretraining on one core, beside two loops of others.

All train the model of pipelines/examples/microworld.yaml on the same data in batches of the same
size, in bfloat16 over float32 weights. The plain loop and TRL run in our environment, with
the libraries that our program has, so that only the way of training differs; they use AdamW and
mix lengths, ours Muon as the example does and sorts them.
"""

import asyncio
import json
import tempfile
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

from pydantic import JsonValue

from benchmarks.processes import CLIENT_CORE, cpu_seconds
from benchmarks.results import Measure, Result, write_result
from benchmarks.trainings import rows_of, run_script, train, write_datasets
from pipelines.experiment.spec import Base
from pipelines.experiment.spec_file import load_experiment

EXAMPLE = Path(__file__).parents[1] / "pipelines" / "examples" / "microworld.yaml"
RUNS = 2
TOKENS = 80_000
SEED = 0
WARM_STEPS = 10
MIN_RATIOS = {"plain_loop": 1.2, "trl_sft": 1.5}
CORPUS = "pretraining-corpus"


def main() -> None:
    """Train in turn, twice over."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    base = load_experiment(EXAMPLE).base
    assert isinstance(base, Base), "the example pretrains its model"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vocabulary = base.tokenizer.fit_recipe
        asyncio.run(write_datasets({vocabulary: 1, CORPUS: TOKENS}, folder, seed=SEED))
        for number in range(RUNS):
            runs = folder / f"run-{number}"
            runs.mkdir()
            ours = train(_spec(base, folder), runs, core=CLIENT_CORE, clock=cpu_seconds)
            found["teachwhy"].append(ours)
            settings = _settings(base, folder, runs / "output" / "model")
            for script, peer in _peers().items():
                found[peer].append(run_script(script, settings, runs, core=CLIENT_CORE))
            print(f"run {number + 1}: {dict(found)}", flush=True)
    own = found.pop("teachwhy")
    promised = {_peers()[script]: ratio for script, ratio in MIN_RATIOS.items()}
    measure = Measure.of(
        "pretraining the micro-world's model",
        unit="tokens per CPU second",
        better="higher",
        ours=own,
        peers=found,
        min_ratio_by_peer=promised,
    )
    title = "Training on one core: the micro-world's pretraining, batches of 1,024 tokens, bfloat16"
    write_result(Result.of("training_cpu", title=title, measures=[measure]))


def _spec(base: Base, folder: Path) -> dict[str, JsonValue]:
    """The example's pretraining, shorter and on one core."""
    tokenizer = base.tokenizer
    return {
        "start": {
            "kind": "configuration",
            "model": dict(base.model),
            "tokenizer": {
                "kind": "word-level",
                "fit_on": [str(folder / tokenizer.fit_recipe)],
                "markers": list(tokenizer.markers),
                "end": tokenizer.end,
                "chat_template": (EXAMPLE.parent / tokenizer.chat_template).read_text(),
            },
        },
        "mixture": [{"name": CORPUS, "data": str(folder / CORPUS), "tokens": TOKENS}],
        "seed": SEED,
        **base.training.model_copy(update={"threads": 1}).model_dump(mode="json"),
    }


def _settings(base: Base, folder: Path, model: Path) -> dict[str, JsonValue]:
    """The same for the others: rows of the mean length that fill as many tokens a step."""
    rows = rows_of(folder / CORPUS, model)
    path = folder / "rows.json"
    path.write_text(json.dumps(rows))
    rows_per_step = round(base.training.batch_tokens * len(rows) / sum(map(len, rows)))
    return {
        "configuration": str(model),
        "tokenizer": str(model),
        "rows": str(path),
        "rows_per_step": rows_per_step,
        "rows_at_once": rows_per_step,
        "device": "cpu",
        "compile": False,
        "warm_steps": WARM_STEPS,
    }


def _peers() -> dict[str, str]:
    libraries = f"torch {version('torch')}, transformers {version('transformers')}"
    return {"plain_loop": f"a plain loop on {libraries}", "trl_sft": f"TRL {version('trl')}"}


if __name__ == "__main__":
    main()

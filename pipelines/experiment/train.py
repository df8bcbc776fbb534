"""Train one checkpoint: gather its inputs, run the launcher, publish the result."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson

from pipelines.experiment.launcher import TrainingJob, TrainingLauncher, TrainingProgress
from pipelines.experiment.outputs import Output
from pipelines.experiment.spec import Loop
from pipelines.experiment.steps import DatasetStep, TrainingStep, training_seed


async def train_checkpoint(
    step: TrainingStep,
    output: Output,
    *,
    loop: Loop,
    chat_template: str,
    inputs: Callable[[DatasetStep | TrainingStep], Output],
    launcher: TrainingLauncher,
    scratch: Path,
    report: Callable[[TrainingProgress], None],
) -> None:
    """Train the checkpoint of ``step`` and publish it to ``output``.

    The scratch folder outlives a killed run, so that training resumes from its last
    checkpoint; it goes when the output is published.

    Args:
        step: what to train.
        output: where the checkpoint is published.
        loop: the experiment the step belongs to.
        chat_template: text of the tokenizer's chat template.
        inputs: finds the published output of an input.
        launcher: runs the training program.
        scratch: folder of this step alone.
        report: told about progress.
    """
    spec = await asyncio.to_thread(_prepare, step, loop, chat_template, inputs, scratch)
    job = TrainingJob(name=step.checkpoint, spec=spec, folder=scratch)
    result = await launcher.train(job, report)
    await asyncio.to_thread(_publish, step, output, result)
    await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


def _prepare(
    step: TrainingStep,
    loop: Loop,
    chat_template: str,
    inputs: Callable[[DatasetStep | TrainingStep], Output],
    scratch: Path,
) -> dict[str, object]:
    """Copy every input into ``scratch`` and write the training program's spec."""
    folders = {}
    for source in (*step.mixture, *((step.vocabulary,) if step.vocabulary else ())):
        folders[source.digest] = _fetched(inputs(source), scratch / "data" / source.digest[:16])
    if step.start is not None:
        start: dict[str, object] = {
            "kind": "checkpoint",
            "path": str(_fetched(inputs(step.start), scratch / "start")),
        }
        training, seed = (
            loop.fine_tuning,
            training_seed(step.seed, step.arm, step.tokens),
        )
    else:
        assert step.vocabulary is not None, "a base has a vocabulary"
        tokenizer = loop.base.tokenizer
        start = {
            "kind": "configuration",
            "model": loop.base.model,
            "tokenizer": {
                "kind": "word-level",
                "fit_on": [str(folders[step.vocabulary.digest])],
                "markers": tokenizer.markers,
                "end": tokenizer.end,
                "chat_template": chat_template,
            },
        }
        training, seed = loop.base.training, step.seed
    mixture = [
        {
            "name": f"{number}-{source.part.recipe}",
            "data": str(folders[source.digest]),
            "tokens": source.tokens,
        }
        for number, source in enumerate(step.mixture)
    ]
    return {
        "start": start,
        "mixture": mixture,
        "seed": seed,
        **training.model_dump(mode="json"),
    }


def _fetched(output: Output, folder: Path) -> Path:
    """Copy ``output`` to ``folder`` unless a whole copy is there."""
    if folder.exists():
        return folder
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    output.fetch(partial)
    partial.rename(folder)
    return folder


def _publish(step: TrainingStep, output: Output, result: Path) -> None:
    model = result / "model"
    files = {
        str(path.relative_to(model)): path.read_bytes()
        for path in sorted(model.rglob("*"))
        if path.is_file()
    }
    files["training.json"] = (result / "result.json").read_bytes()
    summary = orjson.loads(files["training.json"])
    inputs = {f"mixture/{i}": source.digest for i, source in enumerate(step.mixture)}
    if step.start is not None:
        inputs["start"] = step.start.digest
    if step.vocabulary is not None:
        inputs["vocabulary"] = step.vocabulary.digest
    output.publish(
        kind="checkpoint",
        digest=step.digest,
        parameters={"arm": step.arm, "seed": step.seed, "tokens": step.tokens},
        inputs=inputs,
        counts={"steps": int(summary["steps"]), "tokens": int(summary["tokens"])},
        files=files,
    )

"""Train one checkpoint: write down what is asked for, and have a launcher carry it out."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import JsonValue

from pipelines.experiment.spec import Base, Loop
from pipelines.experiment.steps import DatasetStep, GivenModel, TrainingStep, training_seed
from pipelines.jobs.order import TrainingOrder
from pipelines.outputs import Output
from pipelines.training.spec import Hyperparameters
from services.servicekit.digest import code_digest

SPARE_EPOCHS = 1.5
"""Most times that an example is used where a budget is not counted as the data were."""

START = "start"
"""Folder of the checkpoint to start from, in the job's own folder."""


def training_order(
    step: TrainingStep,
    *,
    loop: Loop,
    chat_template: str,
    place: Callable[[DatasetStep | TrainingStep | GivenModel], Output],
) -> TrainingOrder:
    """Write down the training of ``step``.

    Args:
        step: what to train.
        loop: the experiment the step belongs to.
        chat_template: text of the tokenizer's chat template; empty: that of the given base.
        place: finds where the output of a step, or a given model, is.
    """
    sources = (*step.mixture, *((step.vocabulary,) if step.vocabulary else ()))
    folders = {_folder(source): place(source).prefix for source in sources}
    inputs = {f"mixture/{i}": source.digest for i, source in enumerate(step.mixture)}
    if step.start is not None:
        folders[START] = place(step.start).prefix
        inputs[START] = step.start.digest
    if step.vocabulary is not None:
        inputs["vocabulary"] = step.vocabulary.digest
    is_base = step.start is None and isinstance(loop.base, Base)
    training = loop.base.training if is_base and isinstance(loop.base, Base) else loop.fine_tuning
    seed = step.seed if is_base else training_seed(step.seed, step.arm, step.tokens)
    return TrainingOrder(
        name=step.checkpoint,
        digest=step.digest,
        output=place(step).prefix,
        program=code_digest("pipelines.training"),
        spec={
            "start": _start(step, loop, chat_template),
            "mixture": [
                {**_source(number, source), **_epochs(loop, training)}
                for number, source in enumerate(step.mixture)
            ],
            "seed": seed,
            **training.model_dump(mode="json"),
        },
        folders=folders,
        parameters={"arm": step.arm, "seed": step.seed, "tokens": step.tokens},
        inputs=inputs,
    )


def _folder(source: DatasetStep) -> str:
    return f"data/{source.digest[:16]}"


def _source(number: int, source: DatasetStep) -> dict[str, JsonValue]:
    return {
        "name": f"{number}-{source.part.recipe}",
        "data": _folder(source),
        "tokens": source.tokens,
        "revision": source.digest,
    }


def _epochs(loop: Loop, training: Hyperparameters) -> dict[str, JsonValue]:
    """Say how often an example may be used; nothing where each is enough once.

    Whoever wrote the data counted their tokens, and a given model's tokenizer counts others; what
    is held back to be validated on is missing, too. The rest of the budget is filled by some of
    the examples once more.
    """
    if isinstance(loop.base, Base) and training.validation_share == 0:
        return {}
    return {"max_epochs": SPARE_EPOCHS}


def _start(step: TrainingStep, loop: Loop, chat_template: str) -> JsonValue:
    if step.start is not None:
        own = {"chat_template": chat_template} if _has_another(step, chat_template) else {}
        return {
            "kind": "checkpoint",
            "path": START,
            "name": step.start.checkpoint,
            "revision": step.start.digest,
            **own,
        }
    assert isinstance(loop.base, Base), "only a base is trained from nothing"
    assert step.vocabulary is not None, "a base has a vocabulary"
    tokenizer = loop.base.tokenizer
    return {
        "kind": "configuration",
        "model": dict(loop.base.model),
        "tokenizer": {
            "kind": "word-level",
            "fit_on": [_folder(step.vocabulary)],
            "markers": list(tokenizer.markers),
            "end": tokenizer.end,
            "chat_template": chat_template,
        },
    }


def _has_another(step: TrainingStep, chat_template: str) -> bool:
    """Whether the file names a template in the place of the given model's own."""
    return bool(chat_template) and isinstance(step.start, GivenModel)

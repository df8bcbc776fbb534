"""From a checked spec to a trained folder. Knows no command line."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
import transformers

from pipelines.training import metrics
from pipelines.training.checkpoints import remove_checkpoints
from pipelines.training.files import remove_unfinished, whole_folder, write_whole_file
from pipelines.training.loop import Position, train_to_end
from pipelines.training.material import Material, prepare_material
from pipelines.training.model import context_tokens, open_model, save_folder
from pipelines.training.progress import Progress
from pipelines.training.spec import TrainingSpec
from pipelines.training.tokenization import open_tokenizer

RESULT = "result.json"
MODEL = "model"

# How long a training takes and where it reads; the rest of a spec decides what it computes.
_OPERATIONAL: Final[dict[str, set[str] | bool]] = {
    "start": {"path"},
    "mixture": True,
    "threads": True,
    "checkpoint_every_seconds": True,
    "checkpoint_every_steps": True,
}


def train(
    spec: TrainingSpec,
    directory: Path,
    progress: Progress,
    stop_requested: Callable[[], bool],
) -> bool:
    """Train into a directory; return False if asked to stop before the end.

    The directory gets model/ (a Hugging Face folder) and then result.json, which is written last.

    Raises:
        TrainingError: the spec does not fit its data, or the directory is of another training.
    """
    torch.set_num_threads(spec.threads)
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    remove_unfinished(directory)
    tokenizer = open_tokenizer(spec.start)
    model = open_model(spec, tokenizer)
    material = prepare_material(spec, tokenizer, context_tokens(model.network))
    _announce(material, progress)
    end = train_to_end(
        spec=spec,
        identity=_identity(spec, material),
        model=model,
        material=material,
        directory=directory,
        progress=progress,
        stop_requested=stop_requested,
    )
    if end is None:
        return False
    with whole_folder(directory / MODEL) as folder:
        save_folder(model.network, tokenizer, folder)
    write_whole_file(directory / RESULT, _result(end, material))
    remove_checkpoints(directory)
    return True


def _announce(material: Material, progress: Progress) -> None:
    metrics.PLANNED_TOKENS.set(material.num_tokens)
    for source in material.sources:
        progress.event(
            "training.source",
            source=source.name,
            budget_tokens=source.budget_tokens,
            tokens=source.num_tokens,
            supervised_tokens=source.num_supervised,
            examples=len(source.examples),
        )


def _identity(spec: TrainingSpec, material: Material) -> str:
    """Digest of what decides the weights, so that no checkpoint of another training is resumed."""
    settings = spec.model_dump_json(exclude=_OPERATIONAL)
    return hashlib.sha256((settings + material.digest()).encode()).hexdigest()


def _result(position: Position, material: Material) -> bytes:
    result = {
        "steps": position.step,
        "tokens": position.tokens,
        "seconds": round(position.seconds, 3),
        "tokens_per_second": round(position.tokens / max(position.seconds, 1e-9), 1),
        "final_loss": position.curve[-1][1],
        "loss_curve": position.curve,
        "sources": {
            source.name: {
                "budget_tokens": source.budget_tokens,
                "tokens": source.num_tokens,
                "supervised_tokens": source.num_supervised,
                "examples": len(source.examples),
            }
            for source in material.sources
        },
    }
    return (json.dumps(result, indent=1) + "\n").encode()

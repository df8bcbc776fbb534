"""From a checked spec to a trained folder. Knows no command line."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
import transformers

from pipelines.training import metrics
from pipelines.training.card import Facts, card_of, facts_of, identity_of
from pipelines.training.checkpoints import remove_checkpoints
from pipelines.training.distributed import ALONE, Group
from pipelines.training.export import export
from pipelines.training.files import remove_unfinished, write_whole_file
from pipelines.training.loop import train_to_end
from pipelines.training.material import Material, prepare_material
from pipelines.training.model import context_tokens, open_model, plain
from pipelines.training.progress import Progress
from pipelines.training.spec import TrainingSpec
from pipelines.training.tokenization import open_tokenizer
from pipelines.training.work import peak_memory_bytes

RESULT = "result.json"
MODEL = "model"


def train(
    spec: TrainingSpec,
    directory: Path,
    progress: Progress,
    stop_requested: Callable[[], bool],
    *,
    group: Group = ALONE,
    peak_teraflops: float | None = None,
) -> bool:
    """Train into a directory; return False if asked to stop before the end.

    The directory gets model/ (a Hugging Face folder) and then result.json, which is written last.

    Args:
        spec: what to train.
        directory: where to; the same for all processes of the group.
        progress: told about every step by process 0.
        stop_requested: asked after every step; all processes stop when one is asked to.
        group: the processes.
        peak_teraflops: what one device could compute in a second.

    Raises:
        TrainingError: the spec does not fit its data, or the directory is of another training.
    """
    torch.set_num_threads(spec.threads)
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    directory.mkdir(parents=True, exist_ok=True)
    if group.is_main:
        remove_unfinished(directory)
    tokenizer = open_tokenizer(spec.start)
    model = open_model(spec, tokenizer, group)
    material = prepare_material(spec, tokenizer, context_tokens(plain(model.network)))
    _announce(material, progress)
    identity = identity_of(spec, material, tokenizer)
    end = train_to_end(
        spec=spec,
        identity=identity,
        model=model,
        material=material,
        directory=directory,
        progress=progress,
        stop_requested=stop_requested,
        group=group,
        peak_teraflops=peak_teraflops,
    )
    if end is None:
        return False
    facts = facts_of(spec, material, end.position, identity)
    files = {"README.md": card_of(facts), "training.json": _json(facts)}
    export(spec, model, tokenizer, directory / MODEL, more=files, group=group)
    memory = group.collect(peak_memory_bytes(group.device))
    if group.is_main:
        run = {
            "seconds": round(end.position.seconds, 3),
            "tokens_per_second": round(end.position.tokens / max(end.position.seconds, 1e-9), 1),
            "processes": group.size,
            "model_flops_utilisation": end.utilisation,
            "peak_gpu_memory_bytes": max(
                (each for each in memory if each is not None), default=None
            ),
        }
        write_whole_file(directory / RESULT, _json(facts | run).encode())
        remove_checkpoints(directory)
    group.collect(None)
    return True


def _announce(material: Material, progress: Progress) -> None:
    metrics.PLANNED_TOKENS.set(material.num_tokens)
    for source in material.sources:
        progress.event("training.source", source=source.name, **source.counts)


def _json(facts: Facts) -> str:
    return json.dumps(facts, indent=1) + "\n"

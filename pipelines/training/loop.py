"""The training loop: transformers.Trainer, fed with batches of tokens and exact on resume."""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers

from pipelines.training import metrics
from pipelines.training.batches import Batch
from pipelines.training.checkpoints import new_checkpoint, newest_checkpoint
from pipelines.training.errors import OutputUnusable, TrainingError
from pipelines.training.material import Material
from pipelines.training.model import LanguageModel
from pipelines.training.optimization import make_optimizer, make_schedule
from pipelines.training.progress import Progress
from pipelines.training.spec import TrainingSpec

_POSITION = "position.json"


@dataclass(slots=True, kw_only=True)
class Position:
    """What the program itself has to remember over a restart."""

    identity: str
    """Digest of the spec and its data."""
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """Time spent in the loop, over all processes."""
    curve: list[tuple[int, float]] = field(default_factory=list)
    """Tokens seen, and the mean loss of the steps since the point before."""
    losses: list[float] = field(default_factory=list)
    """Losses since the last point of the curve."""

    def close_point(self) -> None:
        """Add a point to the curve from the losses since the last one."""
        if self.losses:
            self.curve.append((self.tokens, sum(self.losses) / len(self.losses)))
            self.losses.clear()


class _Batches(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """The batches of a material, each one item."""

    def __init__(self, material: Material) -> None:
        self._material = material

    def __len__(self) -> int:
        return len(self._material.plan)

    def __getitem__(self, at: int) -> dict[str, torch.Tensor]:
        batch = self._material.batch(at)
        # Trainer looks for input_ids.
        return {
            "input_ids": batch.inputs,
            "positions": batch.positions,
            "targets": batch.targets,
        }


def _only(items: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Take a batch as it is: it has been collated already."""
    (item,) = items
    return item


class TextTrainer(transformers.Trainer):
    """A Trainer with our loss and with checkpoints that are complete or not there."""

    def __init__(
        self,
        *,
        spec: TrainingSpec,
        model: LanguageModel,
        material: Material,
        directory: Path,
        position: Position,
    ) -> None:
        """Prepare one pass over the material."""
        optimizer = make_optimizer(model.network, model.tables(), spec.optimizer)
        super().__init__(
            model=model.network,
            args=_arguments(spec, directory),
            train_dataset=_Batches(material),
            data_collator=_only,
            optimizers=(optimizer, make_schedule(optimizer, spec.schedule, material.tokens_after)),
        )
        self._language_model = model
        self._directory = directory
        self._saving_to: Path | None = None
        self.position = position
        self.last_loss = math.nan

    def compute_loss(
        self,
        model: torch.nn.Module,  # noqa: ARG002  (the loss belongs to our own wrapper of it)
        inputs: Mapping[str, Any],
        return_outputs: bool = False,  # noqa: ARG002, FBT001, FBT002  (only evaluation asks)
        num_items_in_batch: torch.Tensor | int | None = None,  # noqa: ARG002
    ) -> torch.Tensor:
        """Return the loss of a batch and remember its value."""
        loss = self._language_model.loss(
            Batch(
                inputs=inputs["input_ids"],
                positions=inputs["positions"],
                targets=inputs["targets"],
            )
        )
        self.last_loss = float(loss.item())
        if not math.isfinite(self.last_loss):
            raise TrainingError(
                f"the loss is not finite after step {self.position.step}; lower the learning rates"
            )
        return loss

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Write a checkpoint; Trainer alone would leave a half-written one when killed."""
        with new_checkpoint(self._directory, self.state.global_step) as folder:
            self._saving_to = folder
            super()._save_checkpoint(model, trial)
            (nested,) = folder.iterdir()
            for path in nested.iterdir():
                path.rename(folder / path.name)
            nested.rmdir()
            (folder / _POSITION).write_text(json.dumps(asdict(self.position)))
        metrics.CHECKPOINTS.inc()

    def _get_output_dir(self, trial: Any) -> str:
        """Name the folder that Trainer makes its checkpoint folder in."""
        return str(self._saving_to or super()._get_output_dir(trial))


def _arguments(spec: TrainingSpec, directory: Path) -> transformers.TrainingArguments:
    arguments = transformers.TrainingArguments(
        output_dir=str(directory),
        use_cpu=spec.device == "cpu",
        seed=spec.seed % 2**32,
        num_train_epochs=1,
        # An item of the data set is a batch.
        per_device_train_batch_size=1,
        train_sampling_strategy="sequential",
        max_grad_norm=spec.clip_norm,
        # The callback below says when to save; the program logs by itself.
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    # Several visible GPUs would otherwise mean DataParallel.
    arguments._n_gpu = min(arguments.n_gpu, 1)  # noqa: SLF001
    return arguments


class _Watch(transformers.TrainerCallback):
    """After every step: count, report, and decide whether to save or to stop."""

    def __init__(
        self,
        *,
        spec: TrainingSpec,
        trainer: TextTrainer,
        material: Material,
        progress: Progress,
        stop_requested: Callable[[], bool],
    ) -> None:
        self._spec = spec
        self._trainer = trainer
        self._material = material
        self._progress = progress
        self._stop_requested = stop_requested
        self._started = self._saved = time.monotonic()
        self._before = (trainer.position.tokens, trainer.position.seconds)
        self.stopped = False

    def on_step_end(
        self,
        args: transformers.TrainingArguments,  # noqa: ARG002
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        position = self._trainer.position
        now = time.monotonic()
        tokens_before, seconds_before = self._before
        tokens = self._material.tokens_after[state.global_step - 1]
        metrics.TOKENS.inc(tokens - position.tokens)
        position.step, position.tokens = state.global_step, tokens
        position.seconds = seconds_before + now - self._started
        position.losses.append(self._trainer.last_loss)
        if len(position.losses) == self._spec.log_every_steps:
            position.close_point()
        self._progress.step(
            step=position.step,
            tokens=tokens,
            total_tokens=self._material.num_tokens,
            loss=self._trainer.last_loss,
            tokens_per_second=(tokens - tokens_before) / (now - self._started),
        )
        if position.step == len(self._material.plan):
            return
        if self._stop_requested():
            self.stopped = control.should_training_stop = True
        control.should_save = self.stopped or self._is_checkpoint_due(now)

    def _is_checkpoint_due(self, now: float) -> bool:
        steps, seconds = self._spec.checkpoint_every_steps, self._spec.checkpoint_every_seconds
        due = (steps is not None and self._trainer.position.step % steps == 0) or (
            seconds is not None and now - self._saved >= seconds
        )
        if due:
            self._saved = now
        return due


def train_to_end(
    *,
    spec: TrainingSpec,
    identity: str,
    model: LanguageModel,
    material: Material,
    directory: Path,
    progress: Progress,
    stop_requested: Callable[[], bool],
) -> Position | None:
    """Train from the newest complete checkpoint, or from the start, to the end.

    Returns:
        The end, or None when asked to stop; then the last step is in a checkpoint.

    Raises:
        OutputUnusable: the checkpoint is of another spec or of other data.
    """
    checkpoint, passed_over = newest_checkpoint(directory)
    for reason in passed_over:
        progress.event("training.checkpoint_ignored", reason=reason)
    position = Position(identity=identity)
    if checkpoint is not None:
        position = _read_position(checkpoint, identity)
        progress.event("training.resumed", step=position.step, tokens=position.tokens)
    trainer = TextTrainer(
        spec=spec, model=model, material=material, directory=directory, position=position
    )
    watch = _Watch(
        spec=spec,
        trainer=trainer,
        material=material,
        progress=progress,
        stop_requested=stop_requested,
    )
    # It prints to the stream of the events.
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(watch)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    position.close_point()
    return None if watch.stopped else position


def _read_position(checkpoint: Path, identity: str) -> Position:
    position = Position(**json.loads((checkpoint / _POSITION).read_bytes()))
    if position.identity != identity:
        raise OutputUnusable(
            f"{checkpoint}: is of another spec or of other data; choose another output directory "
            "or remove this one"
        )
    return position

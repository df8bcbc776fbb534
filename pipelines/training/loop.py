"""The training loop: from the newest checkpoint to the end, watched after every step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from pipelines.training import metrics
from pipelines.training.checkpoints import newest_checkpoint
from pipelines.training.distributed import Group
from pipelines.training.errors import OutputUnusable
from pipelines.training.material import Material
from pipelines.training.model import LanguageModel, is_shared_out, plain
from pipelines.training.position import Position, read_position
from pipelines.training.progress import Progress
from pipelines.training.spec import TrainingSpec
from pipelines.training.trainer import TextTrainer
from pipelines.training.validation import Validation
from pipelines.training.work import utilisation, work_of


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What came of the loop, apart from the weights."""

    position: Position
    utilisation: float | None
    """Share of the devices' peak that was used since the last restart; None: peak unknown."""


class _Watch(transformers.TrainerCallback):
    """After every step: count, report, validate, and decide whether to save or to stop."""

    def __init__(
        self,
        *,
        spec: TrainingSpec,
        trainer: TextTrainer,
        model: LanguageModel,
        material: Material,
        progress: Progress,
        stop_requested: Callable[[], bool],
        group: Group,
        peak_teraflops: float | None,
    ) -> None:
        self._spec = spec
        self._trainer = trainer
        self._model = model
        self._material = material
        self._progress = progress
        self._stop_requested = stop_requested
        self._group = group
        self._peak_teraflops = peak_teraflops
        self._work = work_of(plain(model.network))
        part_tokens = spec.micro_batch_tokens or spec.batch_tokens
        self._validation = Validation(material.validation, material.pad, part_tokens, group)
        self._started = self._saved = self._stepped = time.monotonic()
        self._before = (trainer.position.tokens, trainer.position.seconds)
        self._operations = 0.0
        self.stopped = False

    def on_step_end(
        self,
        args: transformers.TrainingArguments,  # noqa: ARG002
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        position, now = self._trainer.position, time.monotonic()
        tokens_before, tokens = position.tokens, self._material.tokens_after[state.global_step - 1]
        position.step, position.tokens = state.global_step, tokens
        position.seconds = self._before[1] + now - self._started
        position.processes = self._group.size
        position.losses.append(self._trainer.last_loss)
        if len(position.losses) == self._spec.log_every_steps:
            position.close_point()
        self._report(tokens - tokens_before, now)
        is_last = position.step == len(self._material.plan)
        if is_last or self._is_validation_due(tokens_before):
            self._validate()
        if is_last:
            return
        self.stopped, due = self._group.any(self._stop_requested(), self._is_checkpoint_due(now))
        control.should_training_stop = self.stopped
        control.should_save = self.stopped or due
        if control.should_save:
            self._saved = now

    def _report(self, step_tokens: int, now: float) -> None:
        position = self._trainer.position
        seconds = now - self._started
        step_seconds, self._stepped = now - self._stepped, now
        pairs = self._material.num_pairs(position.step - 1)
        self._operations += self._work.of(step_tokens, pairs)
        metrics.TOKENS.inc(step_tokens)
        metrics.STEP_SECONDS.observe(step_seconds)
        metrics.GRADIENT_NORM.set(self._trainer.gradient_norm)
        for optimizer, rate in self._trainer.learning_rates().items():
            metrics.LEARNING_RATE.labels(optimizer=optimizer).set(rate)
        if self._peak_teraflops is not None:
            metrics.UTILISATION.set(
                utilisation(self._operations / seconds, self._peak_teraflops, self._group.size)
            )
        self._progress.step(
            step=position.step,
            tokens=position.tokens,
            total_tokens=self._material.num_tokens,
            loss=self._trainer.last_loss,
            tokens_per_second=(position.tokens - self._before[0]) / seconds,
        )

    def utilisation(self) -> float | None:
        """Share of the devices' peak that was used since the last restart."""
        if self._peak_teraflops is None:
            return None
        seconds = self._stepped - self._started
        return utilisation(self._operations / seconds, self._peak_teraflops, self._group.size)

    def _is_validation_due(self, tokens_before: int) -> bool:
        every = self._spec.validate_every_tokens
        return every is not None and self._trainer.position.tokens // every > tokens_before // every

    def _validate(self) -> None:
        if not self._validation:
            return
        position = self._trainer.position
        loss = self._validation.loss(self._model)
        position.validation.append((position.tokens, loss))
        metrics.VALIDATION_LOSS.set(loss)
        self._progress.event("training.validation", tokens=position.tokens, loss=loss)

    def _is_checkpoint_due(self, now: float) -> bool:
        steps, seconds = self._spec.checkpoint_every_steps, self._spec.checkpoint_every_seconds
        return (steps is not None and self._trainer.position.step % steps == 0) or (
            seconds is not None and self._group.is_main and now - self._saved >= seconds
        )


def train_to_end(
    *,
    spec: TrainingSpec,
    identity: str,
    model: LanguageModel,
    material: Material,
    directory: Path,
    progress: Progress,
    stop_requested: Callable[[], bool],
    group: Group,
    peak_teraflops: float | None,
) -> End | None:
    """Train from the newest complete checkpoint, or from the start, to the end.

    Returns:
        The end, or None when asked to stop; then the last step is in a checkpoint.

    Raises:
        OutputUnusable: the checkpoint is of another spec or of other data, or not in the reach of
            all processes.
    """
    if is_shared_out(spec, group):
        _require_common_disk(directory, group)
    checkpoint = _newest(directory, progress, group)
    position = Position(identity=identity, processes=group.size)
    if checkpoint is not None:
        with group.together():
            position = read_position(checkpoint, identity)
        progress.event(
            "training.resumed",
            step=position.step,
            tokens=position.tokens,
            processes_before=position.processes,
        )
    trainer = TextTrainer(
        spec=spec,
        model=model,
        material=material,
        directory=directory,
        position=position,
        group=group,
    )
    watch = _Watch(
        spec=spec,
        trainer=trainer,
        model=model,
        material=material,
        progress=progress,
        stop_requested=stop_requested,
        group=group,
        peak_teraflops=peak_teraflops,
    )
    # It prints to the stream of the events.
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(watch)
    if group.rank > 0:
        # Dropout of its own for every process.
        torch.manual_seed((spec.seed + group.rank) % 2**63)
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    position.close_point()
    return None if watch.stopped else End(position=position, utilisation=watch.utilisation())


def _newest(directory: Path, progress: Progress, group: Group) -> Path | None:
    """Return the checkpoint that process 0 chooses; the others' disks must hold it too."""
    name: str | None = None
    if group.is_main:
        checkpoint, passed_over = newest_checkpoint(directory)
        for reason in passed_over:
            progress.event("training.checkpoint_ignored", reason=reason)
        name = None if checkpoint is None else checkpoint.name
    name = group.from_main(name)
    with group.together():
        if name is not None and not (directory / name).is_dir():
            raise OutputUnusable(
                f"{directory / name}: process {group.rank} does not see this checkpoint, from "
                "which process 0 continues; every machine needs the same output directory"
            )
    return None if name is None else directory / name


def _require_common_disk(directory: Path, group: Group) -> None:
    # Named like what a killed process leaves, so that the next start removes it.
    sign = directory / f".unfinished-sign-{group.from_main(time.time_ns())}"
    with group.together():
        if group.is_main:
            sign.touch()
    with group.together():
        if not sign.exists():
            raise OutputUnusable(
                f"{directory}: process {group.rank} does not see what process 0 writes; sharding "
                '"full" needs an output directory that all machines share'
            )
    if group.is_main:
        sign.unlink()

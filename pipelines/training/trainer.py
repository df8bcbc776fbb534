"""transformers.Trainer, fed with planned batches: its loss, its share of them, its checkpoints."""

import contextlib
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch.distributed.tensor import DTensor

from pipelines.training import metrics, sharding
from pipelines.training.batches import Batch
from pipelines.training.checkpoints import new_checkpoint
from pipelines.training.distributed import Group, backend
from pipelines.training.errors import TrainingError
from pipelines.training.material import Material
from pipelines.training.model import LanguageModel, is_shared_out
from pipelines.training.optimization import make_optimizer, make_schedule
from pipelines.training.position import Position
from pipelines.training.shares import Share, Shares
from pipelines.training.spec import TrainingSpec

_SEED_STEP = 1_000_003


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
        group: Group,
    ) -> None:
        """Prepare one pass over the material."""
        optimizer = make_optimizer(model.network, model.tables(), spec.optimizer)
        schedule = make_schedule(optimizer, spec.schedule, material.tokens_after)
        shares = Shares(material, group, spec.micro_batch_tokens)
        super().__init__(
            model=model.network,
            args=_arguments(spec, directory, group),
            train_dataset=shares,
            optimizers=(optimizer, schedule),
        )
        self._spec = spec
        self._language_model = model
        self._shares, self._unwrapped_optimizer, self._schedule = shares, optimizer, schedule
        self._directory = directory
        self._group = group
        self._is_shared_out = is_shared_out(spec, group)
        self._saving_to: Path | None = None
        self._random_states: list[dict[str, Any]] = []
        self.position = position
        self.last_loss = math.nan
        self.gradient_norm = math.nan

    def get_train_dataloader(self) -> torch.utils.data.DataLoader[Any]:
        """Give every process all items: each holds the process's own share of a batch."""
        return torch.utils.data.DataLoader(self._shares, batch_size=1, collate_fn=_only)

    def training_step(
        self,
        model: torch.nn.Module,
        inputs: Mapping[str, Any],
        num_items_in_batch: torch.Tensor | int | None = None,  # noqa: ARG002
    ) -> torch.Tensor:
        """Compute the gradients of one batch, part by part, and its loss over all processes.

        The loss is the mean over the targets of the whole batch, whoever computes them. Trainer
        divides the sum of the processes' gradients by their number, which is undone here.
        """
        model.train()
        share: Any = self._prepare_inputs(inputs)  # type: ignore[arg-type]
        try:
            loss = self._accumulate(model, share)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"the memory of the GPU is too small after step {self.position.step}; lower "
                f"micro_batch_tokens or set gradient_checkpointing: {error}"
            ) from error
        (total,) = self._group.total(float(loss.item()))
        self.last_loss = total / self._group.size
        if not math.isfinite(self.last_loss):
            raise TrainingError(
                f"the loss is not finite after step {self.position.step}; lower the learning rates"
            )
        return loss

    def _accumulate(self, model: torch.nn.Module, share: Share) -> torch.Tensor:
        """Compute the gradients of one share; return its part of the loss."""
        divisor = share["num_targets"] / self._group.size
        loss = torch.zeros((), device=self.args.device)
        for number, part in enumerate(share["parts"], start=1):
            is_last = number == len(share["parts"])
            with contextlib.nullcontext() if is_last else _gathering_later(model):
                part_loss = self._language_model.loss(model, Batch(**part)) / divisor
                self.accelerator.backward(part_loss)
            loss += part_loss.detach()
        return loss

    def floating_point_ops(self, inputs: Any) -> int:  # noqa: ARG002
        """Count nothing: the program has a count of its own."""
        return 0

    def _clip_grad_norm(self, model: torch.nn.Module) -> Any:
        norm = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
        whole = norm.full_tensor() if isinstance(norm, DTensor) else norm
        self.gradient_norm = float(whole)
        return norm

    def learning_rates(self) -> dict[str, float]:
        """Learning rate of the last step for each optimizer."""
        groups = self._unwrapped_optimizer.param_groups
        return {"muon" if group["is_muon"] else "adam": group["lr"] for group in groups}

    # Checkpoints

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Write a checkpoint; Trainer alone would leave a half-written one when killed."""
        with new_checkpoint(self._directory, self.state.global_step, self._group) as folder:
            self._saving_to = folder
            self._random_states = self._group.collect(_random_state())
            with self._group.together():
                super()._save_checkpoint(model, trial)
            if self._group.is_main:
                (nested,) = folder.iterdir()
                for path in nested.iterdir():
                    path.rename(folder / path.name)
                nested.rmdir()
                self.position.write(folder)
        metrics.CHECKPOINTS.inc()

    def _get_output_dir(self, trial: Any) -> str:
        """Name the folder that Trainer makes its checkpoint folder in."""
        return str(self._saving_to or super()._get_output_dir(trial))

    def save_model(
        self,
        output_dir: str | None = None,
        _internal_call: bool = False,  # noqa: FBT001, FBT002  (Trainer's signature)
    ) -> None:
        """Write the weights, unless they are written together with the optimizer's state."""
        if not self._is_shared_out:
            super().save_model(output_dir, _internal_call)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self._is_shared_out:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        shards = Path(output_dir, sharding.FOLDER)
        sharding.save(self._language_model.network, self._unwrapped_optimizer, shards)
        if self._group.is_main:
            torch.save(self._schedule.state_dict(), Path(output_dir, "scheduler.pt"))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if not self._is_shared_out:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        shards = Path(resume_from_checkpoint, sharding.FOLDER)
        sharding.load_model(self._language_model.network, shards)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if not self._is_shared_out or checkpoint is None:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        shards = Path(checkpoint, sharding.FOLDER)
        sharding.load_optimizer(self._language_model.network, self._unwrapped_optimizer, shards)
        schedule = torch.load(Path(checkpoint, "scheduler.pt"), weights_only=True)
        self._schedule.load_state_dict(schedule)

    def _save_rng_state(self, output_dir: str) -> None:
        """Let process 0 write the random states of all: the others may have no common disk."""
        if self._group.size == 1:
            super()._save_rng_state(output_dir)
            return
        if self._group.is_main:
            for rank, state in enumerate(self._random_states):
                torch.save(state, Path(output_dir, f"rng_state_{rank}.pth"))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Go on with this process's random numbers, or with new ones if it is a new process."""
        super()._load_rng_state(checkpoint)
        if checkpoint is None or self.position.processes == self._group.size:
            return
        step, rank = self.state.global_step, self._group.rank
        torch.manual_seed((self._spec.seed + _SEED_STEP * step + rank) % 2**63)


def _only(items: list[Share]) -> Share:
    """Take an item as it is: it has been collated already."""
    (item,) = items
    return item


def _random_state() -> dict[str, Any]:
    """Everything that Trainer reads back."""
    states: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002  (the one that other libraries draw from)
        "cpu": torch.random.get_rng_state(),
    }
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.random.get_rng_state_all()
    return states


def _gathering_later(model: torch.nn.Module) -> contextlib.AbstractContextManager[None]:
    """Leave gradients in the process for now, where a whole model has room for them."""
    if isinstance(model, torch.nn.parallel.DistributedDataParallel):
        return model.no_sync()
    return contextlib.nullcontext()


def _arguments(spec: TrainingSpec, directory: Path, group: Group) -> transformers.TrainingArguments:
    arguments = transformers.TrainingArguments(
        output_dir=str(directory),
        use_cpu=spec.device == "cpu",
        seed=spec.seed % 2**32,
        num_train_epochs=1,
        # An item of the data set is a batch.
        per_device_train_batch_size=1,
        train_sampling_strategy="sequential",
        max_grad_norm=spec.clip_norm,
        # The loop says when to save; the program logs by itself.
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        ddp_backend=backend(spec.device) if group.size > 1 else None,
        ddp_find_unused_parameters=False,
    )
    # Several visible GPUs would otherwise mean DataParallel.
    arguments._n_gpu = min(arguments.n_gpu, 1)  # noqa: SLF001
    return arguments

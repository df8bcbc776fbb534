"""A model of which every process holds a part: torch's fully_shard (FSDP2). Knows no data.

Trainer shards by accelerate, which does so on GPUs only and with its own files. A model that
comes to it sharded it takes as it is, and so the CPU runs in the tests what the GPU runs.
"""

from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load as load_shards
from torch.distributed.checkpoint.state_dict_saver import save as save_shards
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

from pipelines.training.distributed import Group

FOLDER = "shards"
# Frozen weights are those of the start: neither saved nor loaded.
_TRAINED = StateDictOptions(ignore_frozen_params=True, strict=False)
_WHOLE = StateDictOptions(
    ignore_frozen_params=True, strict=False, full_state_dict=True, cpu_offload=True
)


def shard(
    network: torch.nn.Module, layers: list[torch.nn.Module], precision: str, group: Group
) -> None:
    """Keep of every parameter this process's part only, on the group's device.

    Args:
        network: a whole model, the same in all processes.
        layers: its parts that are computed one after another, each gathered by itself.
        precision: "bfloat16" gathers and computes in it; parameters and their gradients between
            the processes keep float32.
        group: the processes.
    """
    mesh = init_device_mesh(group.device.partition(":")[0], (group.size,))
    policy = MixedPrecisionPolicy()
    if precision == "bfloat16":
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for module in (*layers, network):
        fully_shard(module, mesh=mesh, mp_policy=policy)
    # Buffers are no parameters: each process needs all of them.
    network.to(group.device)


def save(network: torch.nn.Module, optimizer: torch.optim.Optimizer, folder: Path) -> None:
    """Write the trained parameters and the optimizer's state; every process writes its part."""
    state = {
        "model": get_model_state_dict(network, options=_TRAINED),
        "optimizer": get_optimizer_state_dict(network, optimizer, options=_TRAINED),
    }
    save_shards(state, checkpoint_id=folder)


def load_model(network: torch.nn.Module, folder: Path) -> None:
    """Read the trained parameters; the number of processes may be another than when written."""
    state: dict[str, Any] = {"model": get_model_state_dict(network, options=_TRAINED)}
    load_shards(state, checkpoint_id=folder)
    set_model_state_dict(network, state["model"], options=_TRAINED)


def load_optimizer(
    network: torch.nn.Module, optimizer: torch.optim.Optimizer, folder: Path
) -> None:
    """Read the optimizer's state of the parameters of a network."""
    state = {"optimizer": get_optimizer_state_dict(network, optimizer, options=_TRAINED)}
    load_shards(state, checkpoint_id=folder)
    set_optimizer_state_dict(
        network, optimizer, optim_state_dict=state["optimizer"], options=_TRAINED
    )


def whole_state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Gather the trained parameters in the memory of process 0; the others get nothing."""
    state: Any = get_model_state_dict(network, options=_WHOLE)
    return dict(state)

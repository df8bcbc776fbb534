"""Low-rank adapters by peft: put beside the weights, merged into them, or saved alone."""

import warnings
from pathlib import Path

import peft
import torch
import transformers
from safetensors.torch import save_file

from pipelines.training.errors import StartUnusable
from pipelines.training.spec import Adapter


def attach(network: transformers.PreTrainedModel, adapter: Adapter, seed: int) -> peft.PeftModel:
    """Freeze a network and put an adapter beside it; the adapter's weights are float32.

    Raises:
        StartUnusable: the network has no such layers.
    """
    config = peft.LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules=adapter.targets if isinstance(adapter.targets, str) else [*adapter.targets],
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(seed)
    try:
        with warnings.catch_warnings():
            # peft still asks transformers by a name that it has given up.
            warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
            adapted = peft.get_peft_model(network, config)
    except ValueError as error:
        raise StartUnusable(f"adapter.targets: {error}") from error
    if not isinstance(adapted, peft.PeftModel):
        raise StartUnusable(f"adapter: {type(network).__name__} takes none")
    return adapted


def merged(
    network: transformers.PreTrainedModel, adapter: Adapter, state: dict[str, torch.Tensor]
) -> transformers.PreTrainedModel:
    """Return a network with the weights of an adapter added to its own.

    Args:
        network: as it was when the adapter was attached to it.
        adapter: what was attached.
        state: weights of the adapter, as peft names them.
    """
    adapted = attach(network, adapter, seed=0)
    peft.set_peft_model_state_dict(adapted, state)
    whole: transformers.PreTrainedModel = adapted.merge_and_unload()
    return whole


def weights_of(
    network: peft.PeftModel, state: dict[str, torch.Tensor] | None
) -> dict[str, torch.Tensor]:
    """Return the weights of the adapter, as peft names them.

    Args:
        network: with the adapter attached.
        state: the trained parameters of all processes, by name; None: they are all in the network.
    """
    weights: dict[str, torch.Tensor] = peft.get_peft_model_state_dict(
        network, state_dict=state, save_embedding_layers=False
    )
    return weights


def save_adapter(
    network: peft.PeftModel, state: dict[str, torch.Tensor], base: str, folder: Path
) -> None:
    """Write adapter_config.json and adapter_model.safetensors.

    Args:
        network: with the adapter attached.
        state: weights of the adapter, as peft names them.
        base: name of the model that the adapter belongs to.
        folder: where to write.
    """
    config = network.peft_config[network.active_adapter]
    config.base_model_name_or_path = base
    config.inference_mode = True
    config.save_pretrained(str(folder))
    contiguous = {name: each.contiguous() for name, each in state.items()}
    save_file(contiguous, folder / "adapter_model.safetensors", metadata={"format": "pt"})

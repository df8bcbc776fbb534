"""The output folder: a standard Hugging Face model or adapter, with its tokenizer."""

from pathlib import Path

import peft
import torch
import transformers

from pipelines.training import adapters, sharding
from pipelines.training.distributed import Group
from pipelines.training.files import whole_folder
from pipelines.training.model import LanguageModel, is_shared_out, open_network, plain
from pipelines.training.spec import FromCheckpoint, TrainingSpec

_READABLE_BY_ALL = 0o644
# What an object store takes in one go, and a server reads side by side.
_SHARD = "5GB"


def export(
    spec: TrainingSpec,
    model: LanguageModel,
    tokenizer: transformers.PreTrainedTokenizerFast,
    target: Path,
    *,
    more: dict[str, str],
    group: Group,
) -> None:
    """Write the trained model; the network is used up. Called by all processes, one writes.

    Args:
        spec: what was trained.
        model: after the last step.
        tokenizer: the tokenizer it was trained with.
        target: the folder.
        more: other text files of the folder, by name.
        group: the processes.
    """
    gathered = sharding.whole_state(model.network) if is_shared_out(spec, group) else None
    with group.together():
        if group.is_main:
            with whole_folder(target) as folder:
                _write(spec, model, tokenizer, folder, gathered)
                for name, text in more.items():
                    (folder / name).write_text(text)
                for path in folder.iterdir():
                    path.chmod(_READABLE_BY_ALL)


def _write(
    spec: TrainingSpec,
    model: LanguageModel,
    tokenizer: transformers.PreTrainedTokenizerFast,
    folder: Path,
    gathered: dict[str, torch.Tensor] | None,
) -> None:
    tokenizer.save_pretrained(folder)
    if spec.adapter is not None:
        whole = _adapted(spec, model, tokenizer, folder, gathered)
    elif gathered is not None:
        whole = open_network(spec, tokenizer)
        whole.load_state_dict(gathered, assign=True)
        whole.tie_weights()
    else:
        whole = plain(model.network)
    if whole is not None:
        torch.nn.Module.to(whole, _saved_type(spec))
        whole.save_pretrained(folder, max_shard_size=_SHARD)


def _adapted(
    spec: TrainingSpec,
    model: LanguageModel,
    tokenizer: transformers.PreTrainedTokenizerFast,
    folder: Path,
    gathered: dict[str, torch.Tensor] | None,
) -> transformers.PreTrainedModel | None:
    """Return the model with its adapter merged, or write the adapter alone and return None."""
    network, adapter = model.network, spec.adapter
    assert isinstance(network, peft.PeftModel), "the spec has an adapter"
    assert adapter is not None
    if adapter.merge and gathered is None:
        whole: transformers.PreTrainedModel = network.merge_and_unload()
        return whole
    weights = adapters.weights_of(network, gathered)
    if adapter.merge:
        return adapters.merged(open_network(spec, tokenizer), adapter, weights)
    assert isinstance(spec.start, FromCheckpoint), "an adapter starts from a checkpoint"
    dtype = _saved_type(spec)
    adapters.save_adapter(
        network, {name: each.to(dtype) for name, each in weights.items()}, spec.start.name, folder
    )
    return None


def _saved_type(spec: TrainingSpec) -> torch.dtype:
    return torch.float32 if spec.save_dtype == "float32" else torch.bfloat16

"""The network: made or loaded, and its loss. Knows no optimizer and no loop."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

import peft
import torch
import transformers
from pydantic import JsonValue
from transformers.utils.import_utils import is_flash_attn_2_available

from pipelines.training import attention, sharding
from pipelines.training.adapters import attach
from pipelines.training.batches import Batch
from pipelines.training.distributed import ALONE, Group
from pipelines.training.errors import StartUnusable
from pipelines.training.isolation import refuse_if_examples_mix
from pipelines.training.spec import FromCheckpoint, TrainingSpec

Network: TypeAlias = transformers.PreTrainedModel | peft.PeftModel

_FROM_TOKENIZER = ("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id")
_DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class LanguageModel:
    """A causal language model with a loss that computes only the logits it needs."""

    def __init__(self, network: Network, *, autocast: bool) -> None:
        """Take a network; autocast: compute in bfloat16."""
        self.network = network
        self._autocast = autocast
        self._positions: torch.Tensor | None = None
        self._head().register_forward_pre_hook(self._choose_hidden)

    def loss(self, wrapped: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """Return the sum of the losses of the targets, in nats.

        Args:
            wrapped: the network, or what Trainer made of it to share it among processes.
            batch: what to compute; it may be without targets.
        """
        device = batch.inputs.device.type
        more = {} if batch.position_ids is None else {"position_ids": batch.position_ids}
        self._positions = batch.positions
        with torch.autocast(device, dtype=torch.bfloat16, enabled=self._autocast):
            logits: torch.Tensor = wrapped(input_ids=batch.inputs, use_cache=False, **more).logits
        if logits.shape[:2] != (1, len(batch.positions)):
            raise StartUnusable(
                f"start: {type(self.network).__name__} computes its logits from something else "
                "than its output embeddings, which is not supported"
            )
        return torch.nn.functional.cross_entropy(logits[0].float(), batch.targets, reduction="sum")

    def _choose_hidden(
        self, _head: torch.nn.Module, inputs: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...]:
        """Keep of the hidden states [B, T, width] those at the positions: [1, S, width]."""
        if self._positions is None:
            return inputs
        hidden, *others = inputs
        chosen = hidden.flatten(0, 1).index_select(0, self._positions)[None]
        self._positions = None
        return (chosen, *others)

    def _head(self) -> torch.nn.Module:
        head = plain(self.network).get_output_embeddings()  # type: ignore[no-untyped-call]
        if not isinstance(head, torch.nn.Module):
            raise StartUnusable(f"start: {type(self.network).__name__} has no output embeddings")
        return head

    def tables(self) -> frozenset[int]:
        """Ids of the parameters of the embeddings and of the output head."""
        parts = (plain(self.network).get_input_embeddings(), self._head())
        return frozenset(id(each) for part in parts for each in part.parameters())


def plain(network: Network) -> transformers.PreTrainedModel:
    """Return the network without the adapter around it; its layers may still hold one."""
    if isinstance(network, transformers.PreTrainedModel):
        return network
    base = network.get_base_model()
    assert isinstance(base, transformers.PreTrainedModel), "peft was given one"
    return base


def open_model(
    spec: TrainingSpec, tokenizer: transformers.PreTrainedTokenizerFast, group: Group = ALONE
) -> LanguageModel:
    """Make the network of a spec with random weights, or load it, ready to be trained.

    Raises:
        StartUnusable: the configuration, the folder or the adapter does not fit.
    """
    attention.register()
    autocast = spec.precision == "bfloat16"
    if not is_shared_out(spec, group):
        network = _trainable(spec, open_network(spec, tokenizer))
        torch.nn.Module.to(network, group.device)
        return LanguageModel(network, autocast=autocast)
    # One after the other: a whole model in memory for each process may be too many.
    for turn in range(max(group.collect(group.local_size))):
        with group.together():
            if turn == group.local_rank:
                network = _trainable(spec, open_network(spec, tokenizer))
                sharding.shard(network, layers(plain(network)), spec.precision, group)
    # Trainer asks for this before it wraps a model in anything.
    plain(network)._is_distributed_loading_by_transformers = True  # noqa: SLF001
    return LanguageModel(network, autocast=autocast)


def is_shared_out(spec: TrainingSpec, group: Group) -> bool:
    """Whether each process holds a part of the model only."""
    return spec.sharding == "full" and group.size > 1


def open_network(
    spec: TrainingSpec, tokenizer: transformers.PreTrainedTokenizerFast
) -> transformers.PreTrainedModel:
    """Make or load the network that a training starts from, on the CPU."""
    kind = attention.NAME if spec.attention == "products" else spec.attention
    if kind == "flash_attention_2" and not is_flash_attn_2_available():
        raise StartUnusable(
            'attention: "flash_attention_2" needs a GPU and the package flash-attn; use "sdpa"'
        )
    dtype = _DTYPES[spec.weights]
    if isinstance(spec.start, FromCheckpoint):
        return _load(spec.start.path, kind, dtype)
    configuration = _configuration(spec.start.model, tokenizer)
    torch.manual_seed(spec.seed)
    network: transformers.PreTrainedModel = transformers.AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        configuration, attn_implementation=kind, dtype=dtype
    )
    return network


def _trainable(spec: TrainingSpec, network: transformers.PreTrainedModel) -> Network:
    """Add what a spec asks for around and inside the layers."""
    # Flash attention runs on a GPU only, and tells examples apart by their positions.
    if spec.packing != "none" and spec.attention != "flash_attention_2":
        refuse_if_examples_mix(network)
    adapted: Network = network
    if spec.adapter is not None:
        adapted = attach(network, spec.adapter, spec.seed)
    if spec.gradient_checkpointing:
        network.activation_checkpointing_enable(
            activation_checkpointing_kwargs={"use_reentrant": False}
        )
    if spec.compile:
        for layer in layers(network):
            layer.compile()
    return adapted


def layers(network: transformers.PreTrainedModel) -> list[torch.nn.Module]:
    """Return the layers of a network, from the first to the last."""
    kinds = set(network._no_split_modules or ())  # noqa: SLF001  (what all loaders of it read)
    return [each for each in network.modules() if type(each).__name__ in kinds]


def _configuration(
    wanted: Mapping[str, JsonValue], tokenizer: transformers.PreTrainedTokenizerFast
) -> transformers.PretrainedConfig:
    settings = {name: value for name, value in wanted.items() if name != "model_type"}
    model_type = str(wanted["model_type"])
    try:
        default = transformers.AutoConfig.for_model(model_type)
    except ValueError as error:
        message = f'start.model.model_type: there is no "{model_type}"'
        raise StartUnusable(message) from error
    for name in settings:
        if name in _FROM_TOKENIZER:
            raise StartUnusable(f"start.model.{name}: comes from the tokenizer; leave it out")
        if not hasattr(default, name):
            raise StartUnusable(f'start.model.{name}: a "{model_type}" model has no such setting')
    try:
        return transformers.AutoConfig.for_model(
            model_type,
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            **settings,
        )
    except (ValueError, TypeError) as error:
        raise StartUnusable(f"start.model: {error}") from error


def _load(folder: Path, kind: str, dtype: torch.dtype) -> transformers.PreTrainedModel:
    try:
        network: transformers.PreTrainedModel = transformers.AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation=kind, dtype=dtype, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise StartUnusable(f"start.path: no model can be loaded: {error}") from error
    return network


def context_tokens(network: Network) -> int | None:
    """Longest input of the network; None where its configuration states none."""
    limit = getattr(network.config, "max_position_embeddings", None)
    return limit if isinstance(limit, int) else None

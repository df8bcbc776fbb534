"""The network: made or loaded, its loss, and its folder. Knows no optimizer and no loop."""

from collections.abc import Mapping
from pathlib import Path

import torch
import transformers
from pydantic import JsonValue

from pipelines.training import attention
from pipelines.training.batches import Batch
from pipelines.training.errors import StartUnusable
from pipelines.training.spec import FromConfiguration, TrainingSpec

_FROM_TOKENIZER = ("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id")
_READABLE_BY_ALL = 0o644


class LanguageModel:
    """A causal language model with a loss that computes only the logits it needs."""

    def __init__(self, network: transformers.PreTrainedModel, *, autocast: bool) -> None:
        """Take a network; autocast: compute in bfloat16."""
        self.network = network
        self._autocast = autocast
        self._head_is_linear = _head_is_linear(network)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean loss over the targets, in nats per token."""
        device = batch.inputs.device.type
        with torch.autocast(device, dtype=torch.bfloat16, enabled=self._autocast):
            logits = self._logits(batch.inputs, batch.positions)
        return torch.nn.functional.cross_entropy(logits.float(), batch.targets)

    def _logits(self, inputs: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """[S, vocabulary] at positions of the flattened inputs."""
        if not self._head_is_linear:
            logits: torch.Tensor = self.network(input_ids=inputs, use_cache=False).logits
            return logits.flatten(0, 1).index_select(0, positions)
        hidden = self.network.base_model(input_ids=inputs, use_cache=False).last_hidden_state
        chosen = hidden.flatten(0, 1).index_select(0, positions)
        return torch.as_tensor(_head(self.network)(chosen))

    def tables(self) -> frozenset[int]:
        """Ids of the parameters of the embeddings and of the output head."""
        parts = (self.network.get_input_embeddings(), _head(self.network))
        return frozenset(id(each) for part in parts if part for each in part.parameters())


def open_model(
    spec: TrainingSpec, tokenizer: transformers.PreTrainedTokenizerFast
) -> LanguageModel:
    """Make the network of a spec with random weights, or load it.

    Raises:
        StartUnusable: the configuration or the folder does not fit.
    """
    attention.register()
    kind = attention.NAME if spec.attention == "products" else spec.attention
    if isinstance(spec.start, FromConfiguration):
        configuration = _configuration(spec.start.model, tokenizer)
        torch.manual_seed(spec.seed)
        network = transformers.AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            configuration, attn_implementation=kind, dtype=torch.float32
        )
    else:
        network = _load(spec.start.path, kind)
    network.to(spec.device)
    return LanguageModel(network, autocast=spec.precision == "bfloat16")


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


def _load(folder: Path, kind: str) -> transformers.PreTrainedModel:
    try:
        network: transformers.PreTrainedModel = transformers.AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation=kind, dtype=torch.float32, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise StartUnusable(f"start.path: no model can be loaded: {error}") from error
    return network


def _head(network: transformers.PreTrainedModel) -> torch.nn.Linear:
    head: torch.nn.Linear = network.get_output_embeddings()  # type: ignore[no-untyped-call]
    return head


@torch.no_grad()
def _head_is_linear(network: transformers.PreTrainedModel) -> bool:
    """Whether the logits are the output embeddings times the hidden state, and nothing else.

    Some families scale or cap them afterwards; rather than a list of families, compare.
    """
    head = _head(network)
    was_training = network.training
    network.train(mode=False)
    probe = torch.zeros(1, 2, dtype=torch.int64, device=head.weight.device)
    hidden = network.base_model(input_ids=probe, use_cache=False).last_hidden_state
    whole = network(input_ids=probe, use_cache=False).logits
    network.train(was_training)
    return torch.equal(head(hidden), whole)


def context_tokens(network: transformers.PreTrainedModel) -> int | None:
    """Longest input of the network; None where its configuration states none."""
    limit = getattr(network.config, "max_position_embeddings", None)
    return limit if isinstance(limit, int) else None


def save_folder(
    network: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerFast,
    folder: Path,
) -> None:
    """Write a standard Hugging Face folder: configuration, weights and tokenizer."""
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(_READABLE_BY_ALL)

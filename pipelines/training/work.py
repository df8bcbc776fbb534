"""How much a training computes, and how much of the device that uses. Knows no data."""

from dataclasses import dataclass

import torch
import transformers

_TERA = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Floating-point operations of a training step, as model FLOPs utilisation counts them.

    Those of the matrix products of a model (PaLM, Chowdhery et al. 2022, appendix B): 2 for each
    parameter and token forwards, 2 backwards, and 2 more for a parameter that is trained; for
    attention 12 x layers x width for each pair of tokens of an example. What is computed twice to
    save memory counts once.
    """

    num_parameters: int
    num_trained: int
    per_token: float
    per_pair: float

    def of(self, tokens: int, pairs: int) -> float:
        """Return operations for so many tokens, with so many pairs of them in one example."""
        return self.per_token * tokens + self.per_pair * pairs


def work_of(network: transformers.PreTrainedModel) -> Work:
    """Count the operations of a dense network; what other processes hold of it counts too."""
    table = network.get_input_embeddings().weight
    head = network.get_output_embeddings()  # type: ignore[no-untyped-call]
    # A table that only looks up multiplies nothing.
    looked_up = {id(table)} if head.weight is not table else set()
    used = [each for each in network.parameters() if id(each) not in looked_up]
    trained = sum(each.numel() for each in used if each.requires_grad)
    config = network.config.get_text_config()
    heads = int(getattr(config, "num_attention_heads", None) or 1)
    width = heads * int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    return Work(
        num_parameters=sum(each.numel() for each in network.parameters()),
        num_trained=sum(each.numel() for each in network.parameters() if each.requires_grad),
        per_token=4.0 * sum(each.numel() for each in used) + 2.0 * trained,
        per_pair=12.0 * int(config.num_hidden_layers) * width,
    )


def utilisation(operations_per_second: float, peak_teraflops: float, devices: int) -> float:
    """Return the share of what the devices could compute."""
    return operations_per_second / (peak_teraflops * _TERA * devices)


def peak_memory_bytes(device: str) -> int | None:
    """Return the most memory of a GPU that was ever allocated; None on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else None

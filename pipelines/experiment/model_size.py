"""How many parameters a model has, from its Hugging Face configuration. Knows no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self, TypeGuard

BYTES_BY_TYPE: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A matrix of every layer."""

    name: str
    """Name of the module in transformers. Example: "q_proj"."""
    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderShape:
    """A dense decoder of the Llama kind: gated feed-forward, grouped-query attention, RMS norms."""

    layers: int
    hidden: int
    feed_forward: int
    query_heads: int
    key_value_heads: int
    head: int
    """Width of a head."""
    vocabulary: int
    """Tokens; 0 where a tokenizer is yet to be fitted."""
    is_tied: bool
    """Whether the embeddings are the output matrix as well."""

    @classmethod
    def of(cls, configuration: Mapping[str, object]) -> Self | None:
        """Read a Hugging Face configuration; None where it is of another kind."""
        number: dict[str, int] = {
            name: value for name, value in configuration.items() if _is_count(value)
        }
        try:
            hidden, heads = number["hidden_size"], number["num_attention_heads"]
            if any(name.startswith(("num_experts", "num_local_experts")) for name in number):
                return None
            return cls(
                layers=number["num_hidden_layers"],
                hidden=hidden,
                feed_forward=number["intermediate_size"],
                query_heads=heads,
                key_value_heads=number.get("num_key_value_heads", heads),
                head=number.get("head_dim", hidden // heads),
                vocabulary=number.get("vocab_size", 0),
                is_tied=bool(configuration.get("tie_word_embeddings", False)),
            )
        except KeyError:
            return None

    def matrices(self) -> Iterator[Matrix]:
        """The matrices of one layer."""
        query, key_value = self.query_heads * self.head, self.key_value_heads * self.head
        yield Matrix(name="q_proj", inputs=self.hidden, outputs=query)
        yield Matrix(name="k_proj", inputs=self.hidden, outputs=key_value)
        yield Matrix(name="v_proj", inputs=self.hidden, outputs=key_value)
        yield Matrix(name="o_proj", inputs=query, outputs=self.hidden)
        yield Matrix(name="gate_proj", inputs=self.hidden, outputs=self.feed_forward)
        yield Matrix(name="up_proj", inputs=self.hidden, outputs=self.feed_forward)
        yield Matrix(name="down_proj", inputs=self.feed_forward, outputs=self.hidden)

    @property
    def parameters(self) -> int:
        """All parameters, the few of the norms within the heads left out."""
        layer = sum(each.inputs * each.outputs for each in self.matrices()) + 2 * self.hidden
        embeddings = self.vocabulary * self.hidden * (1 if self.is_tied else 2)
        return self.layers * layer + self.hidden + embeddings

    def adapters(self, rank: int, *, targets: frozenset[str] = frozenset()) -> int:
        """Parameters of low-rank adapters of ``rank``.

        Args:
            rank: of each pair of matrices.
            targets: names of the matrices that get one; empty means all.
        """
        adapted = (each for each in self.matrices() if not targets or each.name in targets)
        return self.layers * sum(rank * (each.inputs + each.outputs) for each in adapted)


def parameters_of_files(configuration: Mapping[str, object], weight_bytes: int) -> int | None:
    """Count parameters by the size of their files; None where their type is not said.

    Args:
        configuration: Hugging Face configuration beside the files.
        weight_bytes: of all files of weights together; their headers are too small to matter.
    """
    name = configuration.get("dtype") or configuration.get("torch_dtype")
    size = BYTES_BY_TYPE.get(str(name).removeprefix("torch."))
    return weight_bytes // size if size else None


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)

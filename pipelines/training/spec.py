"""What one training is: the JSON file that the program reads. Knows no torch."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from pipelines.training.errors import SpecInvalid

_NAME_PATTERN = r"^[a-z0-9][a-z0-9._+-]{0,63}$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class WordLevelTokenizer(_Strict):
    """A tokenizer of whole words, fitted on the texts of some shards."""

    kind: Literal["word-level"]
    fit_on: tuple[Path, ...] = Field(min_length=1)
    """Directories of shards; every word of every document and chat gets a token."""
    markers: tuple[str, ...] = ()
    """Words that get a token even where no text holds them, for example "<act>"."""
    end: str = "<end>"
    """The word that ends an assistant turn and a document."""
    pad: str = "<pad>"
    unknown: str = "<unk>"
    chat_template: str = Field(min_length=1)
    """Jinja text; the assistant's words stand between generation and endgeneration."""


class FromConfiguration(_Strict):
    """Start from random weights."""

    kind: Literal["configuration"]
    model: dict[str, JsonValue]
    """Keyword arguments of the Hugging Face configuration class, with "model_type"."""
    tokenizer: WordLevelTokenizer

    @model_validator(mode="after")
    def _has_a_model_type(self) -> Self:
        if not isinstance(self.model.get("model_type"), str):
            message = 'model: needs "model_type", for example "llama"'
            raise ValueError(message)  # noqa: TRY004  (pydantic turns only this into its error)
        return self


class FromCheckpoint(_Strict):
    """Start from a Hugging Face folder."""

    kind: Literal["checkpoint"]
    path: Path
    name: str = ""
    """What others know the start by, for the model card. Example: "meta-llama/Llama-3.1-8B"."""
    revision: str = ""
    """Which version of it, for the model card."""
    chat_template: str | None = Field(default=None, min_length=1)
    """Jinja text in place of the folder's own, where that cannot be trained on as it is."""


class MixtureSource(_Strict):
    """One source of examples and how much of it is trained on."""

    name: str = Field(pattern=_NAME_PATTERN)
    data: Path
    """Directory of *.parquet shards, read in the order of their names."""
    tokens: int = Field(ge=1)
    """Budget. All tokens of an example count, also those without a loss."""
    revision: str = ""
    """Which version of the data set, for the model card."""
    max_epochs: float = Field(default=1.0, ge=1)
    """How often an example may be used to fill the budget; every epoch has its own order."""


class OptimizerSpec(_Strict):
    """Muon for the matrices inside the layers, AdamW for everything else."""

    muon_learning_rate: float | None = Field(default=0.02, gt=0)
    """None: AdamW for every parameter."""
    muon_momentum: float = Field(default=0.95, ge=0, lt=1)
    muon_weight_decay: float = Field(default=0.0, ge=0)
    adam_learning_rate: float = Field(default=0.005, gt=0)
    adam_betas: tuple[float, float] = (0.9, 0.98)
    adam_weight_decay: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _betas_are_shares(self) -> Self:
        if not all(0 <= beta < 1 for beta in self.adam_betas):
            raise ValueError("adam_betas: each must be 0 or more and less than 1")
        return self


class ScheduleSpec(_Strict):
    """Linear warm-up, then a cosine down to a floor; both over tokens, not steps."""

    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    final_share: float = Field(default=0.05, ge=0, le=1)
    """Learning rate at the end, as a share of the peak."""


class Adapter(_Strict):
    """Low-rank matrices beside frozen weights (Hu et al. 2021), by the peft library."""

    kind: Literal["lora"]
    rank: int = Field(default=64, ge=1)
    alpha: int = Field(default=128, ge=1)
    """The product of the two matrices counts alpha / rank times."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """Names of the layers that get one; all-linear: every one but the output head."""
    merge: bool = True
    """True: the output is a whole model. False: the adapter alone, for who has the base."""

    @field_validator("targets")
    @classmethod
    def _names_a_layer(cls, targets: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not targets:
            raise ValueError('name at least one layer, or "all-linear"')
        return targets


class Hyperparameters(_Strict):
    """How a model is trained, whatever it starts from and is trained on."""

    batch_tokens: int = Field(default=1024, ge=8)
    """Tokens of a batch including padding. A longer example is a batch of its own."""
    micro_batch_tokens: int | None = Field(default=None, ge=8)
    """Tokens that one process computes at once, where a batch does not fit into its memory."""
    optimizer: OptimizerSpec = OptimizerSpec()
    schedule: ScheduleSpec = ScheduleSpec()
    clip_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this global norm."""
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    """bfloat16: autocast; the weights themselves stay float32 while they train."""
    weights: Literal["float32", "bfloat16"] = "float32"
    """What the loaded weights are kept in. bfloat16 is for the frozen ones under an adapter."""
    save_dtype: Literal["float32", "bfloat16"] = "float32"
    """What the weights of the output are written in."""
    adapter: Adapter | None = None
    """None: all weights are trained."""
    gradient_checkpointing: bool = False
    """Compute every layer's activations a second time instead of keeping them."""
    compile: bool = False
    """Compile every layer with torch.compile: minutes at the start, faster steps on a GPU."""
    attention: Literal["sdpa", "products", "flash_attention_2"] = "sdpa"
    """products: plain matrix products, several times faster for short texts on a CPU."""
    device: Literal["cpu", "cuda"] = "cpu"
    sharding: Literal["none", "full"] = "none"
    """Several processes: none: each holds the whole model; full: a part of it (FSDP)."""
    packing: Literal["none", "documents", "all"] = "none"
    """Which examples share one row without padding; each still sees only itself."""
    validation_share: float = Field(default=0.0, ge=0, lt=1)
    """Share of each source's rows that is held back from training, to measure the loss on."""
    threads: int = Field(default=1, ge=1)
    """Threads inside one operation on the CPU."""
    checkpoint_every_seconds: float | None = Field(default=30.0, gt=0)
    checkpoint_every_steps: int | None = Field(default=None, ge=1)
    log_every_steps: int = Field(default=20, ge=1)
    """Steps that one point of the loss curve is the mean of."""
    validate_every_tokens: int | None = Field(default=None, ge=1)
    """How often the loss on held-back examples is measured; None: at the end only."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.sharding == "full" and self.optimizer.muon_learning_rate is not None:
            raise ValueError(
                'sharding: "full" leaves each process a part of every matrix and Muon needs whole '
                "ones; set optimizer.muon_learning_rate to null"
            )
        if self.weights == "bfloat16" and (self.adapter is None or self.precision != "bfloat16"):
            raise ValueError(
                'weights: "bfloat16" is for frozen weights: it needs an adapter and precision '
                '"bfloat16"; weights that are trained stay "float32"'
            )
        if self.attention == "flash_attention_2" and self.precision != "bfloat16":
            raise ValueError('attention: "flash_attention_2" needs precision "bfloat16"')
        if self.attention == "products" and self.packing != "none":
            raise ValueError(
                'attention: "products" cannot tell examples of one row apart; with packing use '
                '"sdpa" or "flash_attention_2"'
            )
        if self.micro_batch_tokens is not None and self.micro_batch_tokens > self.batch_tokens:
            raise ValueError("micro_batch_tokens: must not be more than batch_tokens")
        return self


class TrainingSpec(Hyperparameters):
    """One training."""

    start: Annotated[FromConfiguration | FromCheckpoint, Field(discriminator="kind")]
    mixture: tuple[MixtureSource, ...] = Field(min_length=1)
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [source.name for source in self.mixture]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"mixture: each name only once, got {', '.join(twice)} twice")
        return self

    @model_validator(mode="after")
    def _an_adapter_has_a_base(self) -> Self:
        if self.adapter is None:
            return self
        if isinstance(self.start, FromConfiguration):
            message = "adapter: beside random weights there is nothing to adapt"
            raise ValueError(message)  # noqa: TRY004  (pydantic turns only this into its error)
        if not self.adapter.merge and not self.start.name:
            raise ValueError("adapter.merge: false needs start.name, the base that a server has")
        return self


def read_spec(path: Path) -> TrainingSpec:
    """Read and check a spec.

    Raises:
        SpecInvalid: naming the file and the path of every wrong field.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SpecInvalid(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return TrainingSpec.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(_location(each['loc'])) or 'spec'}: {each['msg']}"
            for each in error.errors(include_url=False)
        )
        raise SpecInvalid(f"{path}: {wrong}") from error


def _location(parts: tuple[int | str, ...]) -> list[str]:
    """Path of a field, without the tags that pydantic adds for the kinds of a start."""
    tagged = parts[:1] == ("start",) and parts[1:2] in (("configuration",), ("checkpoint",))
    return [str(part) for part in (parts[:1] + parts[2:] if tagged else parts)]

"""From a checkpoint folder to a model that can reply. Knows no store and no HTTP."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers

from services.serving.batching import Lane
from services.serving.engine import Engine
from services.serving.hosting import HostedModel
from services.serving.rendering import ChatRenderer

_UNBOUNDED_CONTEXT = 1 << 20

# Typed as returning a model only, although output_loading_info makes it a pair.
_from_pretrained: Callable[..., tuple[transformers.PreTrainedModel, dict[str, object]]] = (
    transformers.AutoModelForCausalLM.from_pretrained  # type: ignore[assignment]
)


class FolderUnusable(ValueError):
    """The folder's files are whole, and still no model that can be hosted."""


def use_threads(num_threads: int) -> None:
    """Set how many threads one matrix product may use, for the whole process."""
    torch.set_num_threads(num_threads)


def load_folder(name: str, folder: Path, *, dtype: str) -> HostedModel:
    """Load a Hugging Face folder, without executing any code that it may contain.

    Raises:
        FolderUnusable: files do not fit each other, or the architecture cannot be batched.
    """
    # Its warnings are turned into refusals below.
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model, report = _from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            attn_implementation="sdpa",
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
        _refuse_partial_weights(report)
        _refuse_silence(tokenizer)
        end_ids = _end_ids(model, tokenizer)
        model.train(mode=False)
        engine = Engine(model, end_ids=end_ids, context_tokens=_context_tokens(model))
    except Exception as error:  # three libraries read the folder, each with errors of its own
        raise FolderUnusable(" ".join(str(error).split())) from error
    return HostedModel(
        name=name,
        renderer=ChatRenderer(tokenizer, end_ids),
        lane=Lane(engine),
        loaded_at=int(time.time()),
    )


def _refuse_partial_weights(report: dict[str, object]) -> None:
    """Refuse what transformers would fill with random numbers, or drop, with a warning."""
    for kind in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        keys = report.get(kind)
        if keys and isinstance(keys, set | list | tuple):
            names = ", ".join(sorted(str(key) for key in keys)[:5])
            raise FolderUnusable(f"weights do not fit config.json: {kind}: {names}")


def _refuse_silence(tokenizer: transformers.PreTrainedTokenizerBase) -> None:
    if not tokenizer.chat_template:
        raise FolderUnusable("it has no chat template (chat_template.jinja)")


def _end_ids(
    model: transformers.PreTrainedModel, tokenizer: transformers.PreTrainedTokenizerBase
) -> frozenset[int]:
    generation = getattr(model, "generation_config", None)
    sources = (
        getattr(generation, "eos_token_id", None),
        model.config.eos_token_id,
        tokenizer.eos_token_id,
    )
    ids: set[int] = set()
    for source in sources:
        if source is not None:
            ids.update([source] if isinstance(source, int) else source)
    if not ids:
        raise FolderUnusable("neither config.json nor the tokenizer names an end token")
    return frozenset(ids)


def _context_tokens(model: transformers.PreTrainedModel) -> int:
    limit = getattr(model.config, "max_position_embeddings", None)
    return limit if isinstance(limit, int) else _UNBOUNDED_CONTEXT

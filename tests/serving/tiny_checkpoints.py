"""Checkpoints of the micro-world's real size with random weights, published as training does."""

import hashlib
import json
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from services.servicekit.storage.directory import DirectoryStore

END = 2
WORDS = ("<pad>", "<unk>", "<end>", "<sys>", "<tools>", "<user>", "<obs>", "<think>", "<act>")
VOCABULARY = (*WORDS, *(f"w{index}" for index in range(641)))
TEMPLATE = Path(__file__).parents[2] / "pipelines" / "examples" / "microworld.chat_template.jinja"


def make_model(
    *, seed: int = 0, context_tokens: int = 160, dtype: torch.dtype = torch.float32
) -> transformers.PreTrainedModel:
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=128,
        intermediate_size=336,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=context_tokens,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=END,
    )
    model = transformers.LlamaForCausalLM(config)
    model.train(mode=False)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    return model


def write_folder(folder: Path, *, seed: int = 0, context_tokens: int = 160) -> None:
    tokenizer = Tokenizer(
        WordLevel({word: token for token, word in enumerate(VOCABULARY)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = WhitespaceSplit()
    make_model(seed=seed, context_tokens=context_tokens).save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<end>",
        chat_template=TEMPLATE.read_text(),
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)


def publish(store: DirectoryStore, name: str, folder: Path) -> None:
    files = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        files[path.name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        store.put(f"checkpoints/{name}/{path.name}", content)
    manifest = {"schema_version": 1, "files": files}
    store.put(f"checkpoints/{name}/manifest.json", json.dumps(manifest).encode())

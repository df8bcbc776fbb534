"""Small shards, specs and folders for tests of the training program."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TEMPLATE = (
    Path(__file__).parents[2] / "pipelines" / "examples" / "microworld.chat_template.jinja"
).read_text()
MARKERS = ["<sys>", "<tools>", "<user>", "<obs>", "<think>", "<act>"]
MESSAGE = pa.struct([pa.field(name, pa.string()) for name in ("role", "content", "name")])
COLUMNS: dict[str, pa.DataType] = {
    "index": pa.int64(),
    "id": pa.string(),
    "form": pa.string(),
    "text": pa.string(),
    "messages": pa.list_(MESSAGE),
    "tools": pa.string(),
    "num_tokens": pa.int64(),
}
SCHEMA = pa.schema(COLUMNS)


def document(text: str) -> dict[str, Any]:
    return {"form": "document", "text": text}


def chat(*messages: tuple[str, str] | tuple[str, str, str], tools: Sequence[str] = ()) -> Any:
    return {
        "form": "chat",
        "messages": [
            {"role": each[0], "content": each[1], "name": each[2] if len(each) > 2 else ""}
            for each in messages
        ],
        "tools": json.dumps([{"type": "function", "function": {"name": name}} for name in tools])
        if tools
        else None,
    }


def write_shards(folder: Path, examples: Sequence[Mapping[str, Any]], per_shard: int = 100) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"index": index, "id": f"e{index}", "num_tokens": 1, **example}
        for index, example in enumerate(examples)
    ]
    for start in range(0, len(rows), per_shard):
        table = pa.Table.from_pylist(rows[start : start + per_shard], schema=SCHEMA)
        pq.write_table(table, folder / f"{start:06d}.parquet")
    return folder


def rhymes(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Documents of 5 to 14 tokens that can be learnt a little."""
    draw = random.Random(seed)
    words = [f"w{number}" for number in range(30)]
    made = []
    for _ in range(count):
        first = draw.randrange(30)
        length = draw.randrange(4, 14)
        made.append(
            document(" ".join(words[(first + step) % 30] for step in range(length)) + " <end>")
        )
    return made


def dilemmas(count: int, seed: int = 0) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    return [
        chat(
            ("system", "you are nova ."),
            ("user", f"you find the thing{draw.randrange(9)} .", "environment"),
            ("assistant", f"could w{draw.randrange(9)} . <act> w{draw.randrange(9)}"),
            tools=("send", "ask"),
        )
        for _ in range(count)
    ]


def word_level(*fit_on: Path) -> dict[str, Any]:
    return {
        "kind": "word-level",
        "fit_on": [str(path) for path in fit_on],
        "markers": MARKERS,
        "chat_template": TEMPLATE,
    }


def small_spec(data: Path, tokens: int, **changes: Any) -> dict[str, Any]:
    return {
        "start": {
            "kind": "configuration",
            "model": {
                "model_type": "llama",
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "max_position_embeddings": 64,
                "tie_word_embeddings": True,
                "attention_dropout": 0.1,
            },
            "tokenizer": word_level(data),
        },
        "mixture": [{"name": "all", "data": str(data), "tokens": tokens}],
        "batch_tokens": 128,
        "attention": "products",
        "checkpoint_every_seconds": None,
        **changes,
    }

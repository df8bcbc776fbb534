"""A training loop of twenty lines: torch and transformers, nothing else. The peer of ours.

    python plain_loop.py SETTINGS.json

Settings: "configuration" (a folder with config.json), "rows" (a JSON file with the tokens of every
example), "rows_per_step", "rows_at_once", "device", "compile", "warm_steps". Computes in bfloat16
over float32 weights, with AdamW, and pads rows on the right.

Prints one JSON line with the tokens a second behind the first steps, padding not counted; on a CPU
the second is one of the processor's time.
"""

import json
import random
import sys
import time
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM

IGNORED = -100


def main() -> None:
    """Train over all rows once."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    rows = json.loads(Path(settings["rows"]).read_text())
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.Random(0).shuffle(rows)
    device = settings["device"]
    clock = time.perf_counter if device == "cuda" else time.process_time
    config = AutoConfig.from_pretrained(settings["configuration"])
    model = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        config, attn_implementation="sdpa", dtype=torch.float32
    ).to(device)
    if settings["compile"]:
        model.compile()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, fused=device == "cuda")
    size, at_once = settings["rows_per_step"], settings["rows_at_once"]
    begun, tokens = 0.0, 0
    for step, start in enumerate(range(0, len(rows) - size + 1, size)):
        if step == settings["warm_steps"]:
            _finish(device)
            begun, tokens = clock(), 0
        for first in range(start, start + size, at_once):
            batch = rows[first : first + at_once]
            tokens += sum(map(len, batch))
            inputs, labels = _padded(batch, config.pad_token_id, device)
            with torch.autocast(device, dtype=torch.bfloat16):
                loss = model(input_ids=inputs, labels=labels, use_cache=False).loss
            (loss * len(batch) / size).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    _finish(device)
    print(json.dumps({"tokens_per_second": tokens / (clock() - begun)}))


def _padded(rows: list[list[int]], pad: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    inputs = [row + [pad] * (width - len(row)) for row in rows]
    labels = [row + [IGNORED] * (width - len(row)) for row in rows]
    return torch.tensor(inputs, device=device), torch.tensor(labels, device=device)


def _finish(device: str) -> None:
    """Wait for what was only asked for."""
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()

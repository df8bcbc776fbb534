"""TRL's SFTTrainer as its documents show it, on tokens that are there. A peer of ours.

    python trl_sft.py SETTINGS.json

Settings are those of plain_loop.py, and "tokenizer", a folder; it runs on the CPU, in one thread.
Prints one JSON line with the tokens a second of processor time behind the first steps, padding not
counted.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer


class Clock(TrainerCallback):
    """Remembers when the steps behind the first ones begin and end."""

    def __init__(self, warm_steps: int) -> None:
        """Leave out so many steps."""
        self._warm_steps = warm_steps
        self.begun = 0.0
        self.ended = 0.0
        self.steps = 0

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002  (the trainer's own signature)
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **_kwargs: Any,
    ) -> None:
        """Look at the clock."""
        if state.global_step == self._warm_steps:
            self.begun = time.process_time()
        self.ended, self.steps = time.process_time(), state.global_step - self._warm_steps


def main() -> None:
    """Train over all rows once."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    rows = json.loads(Path(settings["rows"]).read_text())
    torch.set_num_threads(1)
    disable_progress_bars()
    config = AutoConfig.from_pretrained(settings["configuration"])
    model = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        config, attn_implementation="sdpa", dtype=torch.float32
    )
    clock = Clock(settings["warm_steps"])
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir="output",
            use_cpu=True,
            bf16=True,
            per_device_train_batch_size=settings["rows_at_once"],
            gradient_accumulation_steps=settings["rows_per_step"] // settings["rows_at_once"],
            activation_checkpointing=False,
            num_train_epochs=1,
            learning_rate=3e-4,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            logging_steps=50,
            max_length=None,
            dataloader_drop_last=True,
        ),
        train_dataset=Dataset.from_dict({"input_ids": rows}),
        processing_class=AutoTokenizer.from_pretrained(settings["tokenizer"]),
        callbacks=[clock],
    )
    trainer.train()
    # The order is the trainer's own, so a step is counted with the rows' mean length.
    tokens = clock.steps * settings["rows_per_step"] * sum(map(len, rows)) / len(rows)
    print(json.dumps({"tokens_per_second": tokens / (clock.ended - clock.begun)}))


if __name__ == "__main__":
    main()

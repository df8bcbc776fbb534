"""Commands for what carries out the steps of an experiment one by one, such as a pipeline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.experiment.single_step import carry_out, lay_out_waves
from pipelines.experiment.waves import MOST_PARTS
from pipelines.plainly import awaited, plainly
from pipelines.sites import ClusterFile, Occasion, On, Where, open_experiment

console = Console(width=None if sys.stdout.isatty() else 120)

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment file (YAML).")]
Parts = Annotated[
    int, typer.Option(min=1, max=MOST_PARTS, help="Most parts to share an evaluation out into.")
]


def steps(
    experiment_file: ExperimentFile,
    *,
    json: Annotated[Path, typer.Option(help="File to write; - is standard output.")] = Path("-"),
    parts: Parts = 4,
    occasion: Occasion = "",
    on: On = Where.LOCAL,
    cluster_file: ClusterFile = None,
) -> None:
    """Write the digests of the steps that are still to be done, in waves. Makes nothing."""
    opened = open_experiment(
        experiment_file, console, on=on, cluster_file=cluster_file, occasion=occasion
    )
    waves = awaited(lay_out_waves(opened.runner, opened.loaded, parts=parts))
    text = waves.model_dump_json(indent=2) + "\n"
    if str(json) == "-":
        sys.stdout.write(text)
        return
    plainly(lambda: json.write_text(text, encoding="utf-8"))


def step(
    experiment_file: ExperimentFile,
    *,
    digest: Annotated[str, typer.Option(help="Digest of the step, or its first digits.")],
    shards: Annotated[
        str, typer.Option(help="Of an evaluation, play only these shards: first:end.")
    ] = "",
    occasion: Occasion = "",
    on: On = Where.LOCAL,
    cluster_file: ClusterFile = None,
) -> None:
    """Carry out one step whose inputs are complete; one that is complete is left as it is."""
    opened = open_experiment(
        experiment_file, console, on=on, cluster_file=cluster_file, occasion=occasion
    )
    done = awaited(carry_out(opened.runner, opened.loaded, digest, shards=shards))
    console.print(done, highlight=False)

"""Commands about verdicts and numbers: judge again, reasons, the page of numbers, sample sizes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from pipelines.experiment import inquiries
from pipelines.experiment.panel_file import load_panel, panel_of_options
from pipelines.experiment.places import open_places
from pipelines.experiment.reason_table import reason_tables
from pipelines.experiment.rejudge import rejudge as judge_again
from pipelines.experiment.report_files import read_report
from pipelines.experiment.report_number_table import arm_tables, number_tables
from pipelines.experiment.revisions import LoadedExperiment
from pipelines.experiment.settings import PipelinesSettings
from pipelines.experiment.side_by_side import side_by_side
from pipelines.experiment.spec_panel import Panel
from pipelines.plainly import awaited, load_file, plainly, refuse
from pipelines.sites import OfOccasion
from services.servicekit.settings import settings_or_exit

console = Console(width=None if sys.stdout.isatty() else 120)

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment file (YAML).")]
Arm = Annotated[str, typer.Option(help="Only this arm or model.")]


def rejudge(
    experiment_file: ExperimentFile,
    *,
    rubric: Annotated[str, typer.Option(help="Rubric that decides what was done.")] = "",
    panel: Annotated[
        Path | None, typer.Option(help="YAML file with a panel, as `evaluation.panel` has it.")
    ] = None,
    judge: Annotated[
        list[str] | None, typer.Option(help="endpoint/model of a judge; may be repeated.")
    ] = None,
    opinions: Annotated[str, typer.Option(help="Rubric of --judge.")] = "",
    samples: Annotated[int, typer.Option(min=1, max=9, help="Times each is asked.")] = 1,
    reversed_too: Annotated[
        bool, typer.Option("--reversed", help="Ask in the opposite order as well.")
    ] = False,
    calibrate: Annotated[bool, typer.Option(help="Measure first how often the panel errs.")] = True,
    occasion: OfOccasion = "",
) -> None:
    """Judge stored episodes by another rubric or panel, and show what changes. Plays nothing."""
    if panel and judge:
        refuse("--panel and --judge are two ways to say the same; give one")
    if not (rubric or panel or judge):
        refuse("say what is judged by: --rubric, --panel or --judge")
    settings = settings_or_exit(PipelinesSettings)
    loaded = plainly(lambda: load_file(experiment_file, occasion=occasion))
    chosen: Panel | None = None
    if panel:
        chosen = plainly(lambda: load_panel(panel))
    elif judge:
        chosen = plainly(
            lambda: panel_of_options(
                judge, rubric=opinions, samples=samples, reversed_too=reversed_too
            )
        )
    if chosen and not calibrate:
        chosen = chosen.model_copy(update={"calibrate": False})
    awaited(_rejudge(settings, loaded, rubric, chosen))


async def _rejudge(
    settings: PipelinesSettings, loaded: LoadedExperiment, rubric: str, panel: Panel | None
) -> None:
    places = open_places(settings)
    with places.exclusive():
        again = judge_again(loaded, places, rubric=rubric, panel=panel, console=console)
        async for each in again:
            console.print(Text(f"\n{each.step.label}", style="bold"))
            console.print(Text(f"old: {each.old}\nnew: {each.new}", style="dim"), soft_wrap=True)
            for part in side_by_side(each.found):
                console.print(part, highlight=False)


def reasons(experiment_file: ExperimentFile, *, arm: Arm = "", occasion: OfOccasion = "") -> None:
    """Show why models took the bait or did not, as the panel says, with examples."""
    settings = settings_or_exit(PipelinesSettings)
    loaded = plainly(lambda: load_file(experiment_file, occasion=occasion))
    places = plainly(lambda: open_places(settings))
    rows = [row for row in awaited(inquiries.reasons(loaded, places)) if arm in ("", row.arm)]
    if not rows:
        refuse(
            "no panel has judged these episodes yet: give the file an `evaluation.panel` and `run`"
        )
    for part in reason_tables(rows):
        console.print(part, highlight=False)


def numbers(
    experiment_file: ExperimentFile,
    *,
    arm: Arm = "",
    evaluation: Annotated[
        str, typer.Option(help="One record of the scoreboard, for example evaluations/3f0a...")
    ] = "",
) -> None:
    """Show the page of numbers of the last run: every cell with its intervals and bounds."""
    settings = settings_or_exit(PipelinesSettings)
    loaded = plainly(lambda: load_file(experiment_file))
    if evaluation:
        places = plainly(lambda: open_places(settings))
        title, rows = awaited(inquiries.evaluation_numbers(evaluation, places))
        console.print(Text(title, style="bold"))
        for table in arm_tables(rows, console.width):
            console.print(table, highlight=False)
        return
    path = settings.runs_folder / loaded.experiment.name / "report.json"
    if not path.exists():
        refuse(f"{path}: there is no report yet; `python -m pipelines run {experiment_file}`")
    results = plainly(lambda: read_report(path)).results
    names = sorted({row.arm for row in results.numbers})
    if arm and arm not in names:
        refuse(f"--arm: no arm or model is called {arm!r}; there are {', '.join(names)}")
    for part in number_tables(results, console.width, arm=arm):
        console.print(part, highlight=False)


def power(
    baseline: Annotated[float, typer.Argument(help="Rate expected of the baseline, 0 to 1.")],
    candidate: Annotated[float, typer.Argument(help="Rate expected of the candidate, 0 to 1.")],
    *,
    power: Annotated[float, typer.Option(help="Probability of finding the difference.")] = 0.8,
    level: Annotated[float, typer.Option(help="Level of the two-sided test.")] = 0.05,
    per_scenario: Annotated[int, typer.Option(min=1, help="Episodes of one scenario.")] = 1,
    correlation: Annotated[
        float, typer.Option(help="Correlation between episodes of one scenario, 0 to 1.")
    ] = 0.0,
) -> None:
    """Say how many episodes each arm needs to tell two rates apart."""
    settings = settings_or_exit(PipelinesSettings)
    places = plainly(lambda: open_places(settings))
    plan = awaited(
        inquiries.sample_size(
            places,
            baseline_rate=baseline,
            candidate_rate=candidate,
            power=power,
            significance_level=level,
            episodes_per_cluster=per_scenario,
            intracluster_correlation=correlation,
        )
    )
    console.print(
        f"{plan.episodes_per_arm:,} episodes an arm in {plan.clusters_per_arm:,} scenarios find a "
        f"difference between {baseline:g} and {candidate:g} with probability {power:g} at level "
        f"{level:g} (design effect {plan.design_effect:.2f}).\n{plan.zero_hit_episodes:,} episodes "
        f"without a single hit would bound a rate below {min(baseline, candidate):g} at 95 %.",
        highlight=False,
        soft_wrap=True,
    )

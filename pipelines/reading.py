"""Commands that show what a run left: one episode, or a list of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.experiment import inquiries
from pipelines.experiment.episode_list import print_entries
from pipelines.experiment.episode_store import EpisodeStore, Wanted
from pipelines.experiment.episode_view import print_episode
from pipelines.experiment.places import open_places
from pipelines.experiment.settings import PipelinesSettings
from pipelines.plainly import awaited, load_file, plainly
from pipelines.sites import OfOccasion
from services.servicekit.settings import settings_or_exit

console = Console(width=None if sys.stdout.isatty() else 120)


def show(
    episode: Annotated[
        str, typer.Argument(help="Id of an episode or its beginning, or id of a scenario.")
    ],
    model: Annotated[str, typer.Option(help="Arm or model; tells episodes apart.")] = "",
    full: Annotated[  # noqa: FBT002 (typer makes it a flag)
        bool, typer.Option("--full", help="Long texts whole.")
    ] = False,
) -> None:
    """Show one episode: what was said, done and changed, and where the bait was taken."""
    settings = settings_or_exit(PipelinesSettings)
    store = plainly(lambda: open_places(settings)).store
    found = plainly(lambda: EpisodeStore(store).find(episode, model=model))
    print_episode(found, console, full=full)


def episodes(
    experiment_file: Annotated[
        Path | None, typer.Argument(help="Experiment file (YAML); without it all in the store.")
    ] = None,
    *,
    suite: Annotated[str, typer.Option(help="Suite.")] = "",
    family: Annotated[str, typer.Option(help="Family of scenarios.")] = "",
    state: Annotated[str, typer.Option(help="How it ended, for example turn_limit.")] = "",
    model: Annotated[str, typer.Option(help="Arm or model.")] = "",
    bait: Annotated[
        bool | None, typer.Option("--bait/--no-bait", help="Whether the action was taken.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most episodes shown.")] = 50,
    occasion: OfOccasion = "",
) -> None:
    """List episodes in the store, to find one to show."""
    settings = settings_or_exit(PipelinesSettings)
    places = plainly(lambda: open_places(settings))
    chosen = None
    if experiment_file is not None:
        loaded = plainly(lambda: load_file(experiment_file, occasion=occasion))
        chosen = awaited(inquiries.evaluations(loaded, places))
    wanted = Wanted(
        suite=suite, family=family, state=state, model=model, bait=bait, evaluations=chosen
    )
    store = EpisodeStore(places.store)
    found = plainly(lambda: list(store.entries(wanted)))
    shown = plainly(lambda: store.judged(found[:limit]))
    print_entries(shown, console, total=len(found))
    if store.remark:
        console.print(store.remark.strip(), style="dim", highlight=False)

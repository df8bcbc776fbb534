"""Asks the rooms which versions of recipes, suites and rubrics they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from teachwhy.dataset.v1 import dataset_service_pb2
from teachwhy.judge.v1 import judge_service_pb2, verdict_pb2
from teachwhy.rollout.v1 import rollout_service_pb2, scenario_pb2

from pipelines.experiment.dataset_requests import DatasetRequests
from pipelines.experiment.planned_datasets import PlannedDatasets, plan_datasets
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec import Evaluation, Experiment
from pipelines.experiment.steps import Revisions
from services.servicekit.digest import code_digest


class ExperimentImpossible(Exception):
    """The experiment asks for something the rooms do not have. One line for each fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedExperiment:
    """An experiment and the files it names."""

    experiment: Experiment
    chat_template: str = ""
    """Text of the chat template; empty where nothing is trained."""
    constitution: str = ""
    """Markdown of the author's constitution; empty means the one of the project."""


async def ask_revisions(
    loaded: LoadedExperiment, rooms: Rooms
) -> tuple[Revisions, PlannedDatasets]:
    """Ask every room what the experiment's numbers will depend on.

    Raises:
        ExperimentImpossible: a recipe, option, suite or rubric does not exist.
    """
    experiment = loaded.experiment
    recipes = await rooms.dataset.ListRecipes(dataset_service_pb2.ListRecipesRequest())
    requests = DatasetRequests(
        recipes={recipe.name: recipe for recipe in recipes.recipes},
        author=experiment.author,
        constitution=loaded.constitution,
    )
    planned, faults = await plan_datasets(experiment, requests, rooms)
    suites: Mapping[str, scenario_pb2.Suite] = {}
    rubric = ""
    if experiment.evaluation is not None:
        suites = await _suites(rooms)
        rubric, more = await _rubric(experiment.evaluation, suites, rooms)
        faults = [*more, *faults]
    if faults:
        raise ExperimentImpossible("\n".join(faults))
    revisions = Revisions(
        datasets=planned,
        suites={name: suite.revision for name, suite in suites.items()},
        episodes_by_suite={name: suite.num_scenarios for name, suite in suites.items()},
        rubric=rubric,
        training_code=code_digest("pipelines.training"),
        # Named, never imported: the model server is another process, on a cluster another image.
        serving_code=code_digest("services.serving"),
        chat_template=loaded.chat_template,
    )
    return revisions, planned


async def _suites(rooms: Rooms) -> dict[str, scenario_pb2.Suite]:
    response = await rooms.rollout.ListSuites(rollout_service_pb2.ListSuitesRequest())
    return {suite.name: suite for suite in response.suites}


async def _rubric(
    evaluation: Evaluation, suites: Mapping[str, scenario_pb2.Suite], rooms: Rooms
) -> tuple[str, list[str]]:
    """Revision of the rubric, and what the evaluation asks for that there is not."""
    response = await rooms.judge.ListRubrics(judge_service_pb2.ListRubricsRequest())
    grades_texts = verdict_pb2.RUBRIC_KIND_TEXTS
    revisions = {each.name: each.revision for each in response.rubrics if each.kind != grades_texts}
    faults = [
        f"evaluation.suites[{i}]: no suite is called {name!r}; suites: {_listed(suites)}"
        for i, name in enumerate(evaluation.suites)
        if name not in suites
    ]
    if evaluation.rubric not in revisions:
        is_for_texts = any(each.name == evaluation.rubric for each in response.rubrics)
        fault = "{!r} grades texts" if is_for_texts else "no rubric is called {!r}"
        faults.append(
            f"evaluation.rubric: {fault.format(evaluation.rubric)}; rubrics for episodes: "
            f"{_listed(revisions)}"
        )
    return revisions.get(evaluation.rubric, ""), faults


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))

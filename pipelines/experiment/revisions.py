"""Asks the rooms which versions of recipes, suites and rubrics they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import grpc
from teachwhy.dataset.v1 import dataset_service_pb2
from teachwhy.judge.v1 import judge_service_pb2, verdict_pb2
from teachwhy.rollout.v1 import rollout_service_pb2, scenario_pb2

from pipelines.experiment.dataset_requests import DatasetRequests
from pipelines.experiment.episode_series import axes_of
from pipelines.experiment.planned_datasets import PlannedDatasets, plan_datasets
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec import Experiment
from pipelines.experiment.spec_evaluation import Evaluation
from pipelines.experiment.spec_panel import Panel
from pipelines.experiment.steps import JudgeRevisions, Revisions
from services.servicekit.channel import error_details
from services.servicekit.digest import code_digest

_OTHER_RUBRICS: Mapping[int, str] = {
    verdict_pb2.RUBRIC_KIND_TEXTS: "grades texts",
    verdict_pb2.RUBRIC_KIND_OPINIONS: "is asked of language models and gives no conduct",
}
"""Rubrics that no evaluation is scored by, and what they are for."""


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
    occasion: str = ""
    """Occasion at which hosted models, and what is promoted, are measured anew; empty: none."""


def own_serving_revision() -> str:
    """Digest of our own model server, which is named here and never imported."""
    return code_digest("services.serving")


async def ask_revisions(
    loaded: LoadedExperiment, rooms: Rooms, *, serving_revision: str
) -> tuple[Revisions, PlannedDatasets]:
    """Ask every room what the experiment's numbers will depend on.

    Args:
        loaded: the experiment.
        rooms: are asked.
        serving_revision: digest of what hosts checkpoints.

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
    judges = JudgeRevisions()
    if experiment.evaluation is not None:
        suites = await ask_suites(rooms)
        more = _suite_faults(experiment.evaluation, suites)
        judges, of_judges = await ask_judges(
            experiment.evaluation.rubric, experiment.evaluation.panel, rooms
        )
        more += [f"evaluation.{fault}" for fault in of_judges]
        if not more:
            more = await _scenario_faults(experiment, experiment.evaluation, rooms)
        faults = [*more, *faults]
    if faults:
        raise ExperimentImpossible("\n".join(faults))
    revisions = Revisions(
        datasets=planned,
        suites={name: suite.revision for name, suite in suites.items()},
        episodes_by_suite={name: suite.num_scenarios for name, suite in suites.items()},
        judges=judges,
        training_code=code_digest("pipelines.training"),
        serving_code=serving_revision,
        chat_template=loaded.chat_template,
        occasion=loaded.occasion,
    )
    return revisions, planned


async def ask_suites(rooms: Rooms) -> dict[str, scenario_pb2.Suite]:
    """Ask the rollout room for its suites, by name."""
    request = rollout_service_pb2.ListSuitesRequest()
    response = await rooms.patiently("rollout", lambda: rooms.rollout.ListSuites(request))
    return {suite.name: suite for suite in response.suites}


async def ask_judges(
    rubric: str, panel: Panel | None, rooms: Rooms
) -> tuple[JudgeRevisions, list[str]]:
    """Ask the judge room for its revisions; the second are faults, by field of an evaluation."""
    request = judge_service_pb2.ListRubricsRequest()
    response = await rooms.patiently("judge", lambda: rooms.judge.ListRubrics(request))
    faults = []
    scoring = [each for each in response.rubrics if each.kind not in _OTHER_RUBRICS]
    asking = [each for each in response.rubrics if each.kind == verdict_pb2.RUBRIC_KIND_OPINIONS]
    if rubric not in {each.name for each in scoring}:
        others = {each.name: _OTHER_RUBRICS.get(each.kind, "") for each in response.rubrics}
        fault = "{!r} " + others[rubric] if rubric in others else "no rubric is called {!r}"
        known = _listed(each.name for each in scoring)
        faults.append(f"rubric: {fault.format(rubric)}; rubrics for episodes: {known}")
    if panel is not None and panel.rubric not in {each.name for each in asking}:
        known = _listed(each.name for each in asking)
        faults.append(
            f"panel.rubric: {panel.rubric!r} asks for no opinions; rubrics that do: {known}"
        )
    found = {each.name: each for each in response.rubrics}
    opinions = found.get(panel.rubric) if panel else None
    judges = JudgeRevisions(
        rubric=found[rubric].revision if rubric in found else "",
        opinion_rubric=opinions.revision if opinions else "",
        questions=len(opinions.description) if opinions else 0,
        gold_set=response.gold_set.digest,
        gold_episodes=response.gold_set.num_episodes,
    )
    return judges, faults


def _suite_faults(evaluation: Evaluation, suites: Mapping[str, scenario_pb2.Suite]) -> list[str]:
    return [
        f"evaluation.suites[{i}]: no suite is called {name!r}; suites: {_listed(suites)}"
        for i, name in enumerate(evaluation.suites)
        if name not in suites
    ]


async def _scenario_faults(
    experiment: Experiment, evaluation: Evaluation, rooms: Rooms
) -> list[str]:
    """Have the rollout room check draws and axes, which it knows the limits of."""
    faults = []
    for suite in evaluation.suites:
        request = rollout_service_pb2.ListScenariosRequest(
            suite=suite,
            world_seed=experiment.seeds[0],
            draws_per_scenario=evaluation.draws_per_scenario,
            axes=axes_of(evaluation),
            page_size=1,
        )
        try:
            await rooms.rollout.ListScenarios(request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise
            faults.append(f"evaluation: suite {suite}: {error_details(error).message}")
    return faults


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))

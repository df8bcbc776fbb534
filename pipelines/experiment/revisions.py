"""Asks the rooms which versions of recipes, suites and rubrics they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc
from teachwhy.dataset.v1 import dataset_service_pb2
from teachwhy.judge.v1 import judge_service_pb2
from teachwhy.rollout.v1 import rollout_service_pb2

from pipelines.experiment.rooms import Rooms, dataset_spec
from pipelines.experiment.spec import Experiment, MixPart
from pipelines.experiment.steps import Revisions, mixture_budgets
from services.servicekit.channel import error_details
from services.servicekit.digest import code_digest

Wanted = tuple[MixPart, int, int]


class ExperimentImpossible(Exception):
    """The experiment asks for something the rooms do not have. One line for each fault."""


class PlannedDatasets:
    """Digests of all datasets of an experiment, as the dataset room gave them."""

    def __init__(self, digests: dict[Wanted, str]) -> None:
        self._digests = digests

    def digest(self, part: MixPart, seed: int, tokens: int) -> str:
        """Digest of a dataset of the experiment."""
        return self._digests[part, seed, tokens]


async def ask_revisions(experiment: Experiment, rooms: Rooms, *, chat_template: str) -> Revisions:
    """Ask every room what the experiment's numbers will depend on.

    Raises:
        ExperimentImpossible: a recipe, option, suite or rubric does not exist.
    """
    suites = await rooms.rollout.ListSuites(rollout_service_pb2.ListSuitesRequest())
    rubrics = await rooms.judge.ListRubrics(judge_service_pb2.ListRubricsRequest())
    suite_revisions = {suite.name: suite.revision for suite in suites.suites}
    rubric_revisions = {rubric.name: rubric.revision for rubric in rubrics.rubrics}
    faults = [
        f"evaluation.suites[{i}]: no suite is called {name!r}; suites: {_listed(suite_revisions)}"
        for i, name in enumerate(experiment.evaluation.suites)
        if name not in suite_revisions
    ]
    rubric = experiment.evaluation.rubric
    if rubric not in rubric_revisions:
        faults.append(
            f"evaluation.rubric: no rubric is called {rubric!r}; rubrics: "
            f"{_listed(rubric_revisions)}"
        )
    digests, recipe_faults = await _plan_datasets(experiment, rooms)
    if faults or recipe_faults:
        raise ExperimentImpossible("\n".join([*faults, *recipe_faults]))
    return Revisions(
        datasets=PlannedDatasets(digests),
        suites=suite_revisions,
        episodes_by_suite={suite.name: suite.num_scenarios for suite in suites.suites},
        rubric=rubric_revisions[rubric],
        training_code=code_digest("pipelines.training"),
        # Named, never imported: the model server is another process, on a cluster another image.
        serving_code=code_digest("services.serving"),
        chat_template=chat_template,
    )


async def _plan_datasets(
    experiment: Experiment, rooms: Rooms
) -> tuple[dict[Wanted, str], list[str]]:
    digests: dict[Wanted, str] = {}
    faults: dict[str, None] = {}

    async def plan(where: str, wanted: Wanted) -> None:
        part, seed, tokens = wanted
        request = dataset_service_pb2.PlanDatasetRequest(
            spec=dataset_spec(part, seed=seed, tokens=tokens)
        )
        try:
            response = await rooms.dataset.PlanDataset(request)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.INVALID_ARGUMENT:
                raise
            faults[f"{where}: {error_details(error).message}"] = None
        else:
            digests[wanted] = response.digest

    await asyncio.gather(*(plan(where, wanted) for where, wanted in _wanted(experiment)))
    return digests, list(faults)


def _wanted(experiment: Experiment) -> list[tuple[str, Wanted]]:
    """Every dataset of the experiment with its place in the file."""
    base = experiment.base
    mixes: list[tuple[str, list[MixPart], int]] = [
        ("base.tokenizer", [MixPart(recipe=base.tokenizer.fit_recipe)], base.tokenizer.fit_tokens),
        ("base.mix", base.mix, base.tokens),
    ]
    for i, arm in enumerate(experiment.arms):
        mixes.extend((f"arms[{i}].mix", arm.mix, tokens) for tokens in arm.tokens)
    wanted: dict[Wanted, str] = {}
    for where, mix, tokens in mixes:
        for j, (part, budget) in enumerate(zip(mix, mixture_budgets(mix, tokens), strict=True)):
            for seed in experiment.seeds:
                wanted.setdefault((part, seed, budget), f"{where}[{j}]")
    return [(where, key) for key, where in wanted.items()]


def _listed(names: Sequence[str] | dict[str, str]) -> str:
    return ", ".join(sorted(names))

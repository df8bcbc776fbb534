"""The datasets of an experiment as the dataset room planned them, and the gates before them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc
from teachwhy.common.v1 import contamination_pb2
from teachwhy.dataset.v1 import audit_pb2, dataset_service_pb2
from teachwhy.rollout.v1 import rollout_service_pb2

from pipelines.experiment.audit_settings import audit_settings, digest_of_settings, gates_of
from pipelines.experiment.dataset_requests import DatasetRequests, OptionsMisplaced, Writer
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec import Base, Experiment
from pipelines.experiment.spec_data import MixPart, RecipeOptions
from pipelines.experiment.steps import mixture_budgets
from services.servicekit.channel import error_details

Wanted = tuple[RecipeOptions, int, int]
"""What is written, seed, token budget."""

_REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
}
"""Answers that say the file asks for something that there is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDatasets:
    """What the dataset room said of every dataset of an experiment."""

    requests: DatasetRequests
    plans: Mapping[str, dataset_service_pb2.PlanDatasetResponse] = field(default_factory=dict)
    audits: Mapping[tuple[Writer, int], audit_pb2.AuditSettings] = field(default_factory=dict)
    """Settings by who writes and seed; absent where no gate stands before the data."""

    def digest(self, part: RecipeOptions, seed: int, tokens: int) -> str:
        """Digest of what the room writes, before any gate."""
        return self.plan(part, seed, tokens).digest

    def plan(
        self, part: RecipeOptions, seed: int, tokens: int
    ) -> dataset_service_pb2.PlanDatasetResponse:
        """What the room said of a dataset."""
        return self.plans[_key(part, seed, tokens)]

    def is_grammar(self, part: RecipeOptions) -> bool:
        """Whether the grammar of the micro-world writes ``part``."""
        return self.requests.writer(part) == "grammar"

    def audit(self, part: RecipeOptions, seed: int) -> audit_pb2.AuditSettings | None:
        """Settings of the audit that the examples of ``part`` must pass, if any."""
        return self.audits.get((self.requests.writer(part), seed))

    def gates(self, part: RecipeOptions, seed: int) -> str:
        """Digest of the gates before ``part``; empty where its data are taken as written."""
        settings = self.audit(part, seed)
        if settings is None:
            return "" if self.is_grammar(part) else "none"
        return digest_of_settings(settings)


async def plan_datasets(
    experiment: Experiment, requests: DatasetRequests, rooms: Rooms
) -> tuple[PlannedDatasets, list[str]]:
    """Ask the rooms about every dataset; return what they said, and the faults found."""
    plans: dict[str, dataset_service_pb2.PlanDatasetResponse] = {}
    faults: dict[str, None] = {}

    async def plan(where: str, wanted: Wanted) -> None:
        part, seed, tokens = wanted
        try:
            spec = requests.spec(part, seed=seed, tokens=tokens)
            response = await rooms.dataset.PlanDataset(
                dataset_service_pb2.PlanDatasetRequest(spec=spec)
            )
        except OptionsMisplaced as error:
            faults.update(dict.fromkeys(f"{where}.{line}" for line in str(error).splitlines()))
        except grpc.aio.AioRpcError as error:
            if error.code() not in _REFUSALS:
                raise
            faults[f"{where}: {_in_words_of_the_file(error_details(error).message)}"] = None
        else:
            plans[_key(part, seed, tokens)] = response

    wanted = _wanted(experiment)
    await asyncio.gather(*(plan(where, each) for where, each in wanted))
    audits, audit_faults = await _plan_audits(experiment, requests, rooms, wanted)
    planned = PlannedDatasets(requests=requests, plans=plans, audits=audits)
    return planned, [*faults, *audit_faults]


async def _plan_audits(
    experiment: Experiment,
    requests: DatasetRequests,
    rooms: Rooms,
    wanted: list[tuple[str, Wanted]],
) -> tuple[dict[tuple[Writer, int], audit_pb2.AuditSettings], list[str]]:
    gates, author = experiment.gates, experiment.author
    held_out: dict[int, contamination_pb2.ContaminationFilter] = {}
    audits: dict[tuple[Writer, int], audit_pb2.AuditSettings] = {}
    for part, seed, _ in (each for _, each in wanted):
        writer = requests.writer(part)
        names = gates_of(writer, gates, author)
        if not names or (writer, seed) in audits:
            continue
        if "contamination" in names and seed not in held_out:
            try:
                held_out[seed] = await _held_out(experiment, seed, rooms)
            except grpc.aio.AioRpcError as error:
                if error.code() not in _REFUSALS:
                    raise
                return {}, [f"gates.contamination: {error_details(error).message}"]
        audits[writer, seed] = audit_settings(names, gates, author, held_out.get(seed))
    return audits, []


async def _held_out(
    experiment: Experiment, seed: int, rooms: Rooms
) -> contamination_pb2.ContaminationFilter:
    gate = experiment.gates.contamination
    response = await rooms.rollout.GetContaminationFilter(
        rollout_service_pb2.GetContaminationFilterRequest(
            suites=gate.suites, world_seed=seed, ngram_words=gate.ngram_words or 0
        )
    )
    return response.filter


def _wanted(experiment: Experiment) -> list[tuple[str, Wanted]]:
    """Every dataset of the experiment with its place in the file."""
    places: list[tuple[str, RecipeOptions, int]] = [
        (f"datasets[{i}]", dataset, dataset.tokens) for i, dataset in enumerate(experiment.datasets)
    ]
    if isinstance(experiment.base, Base):
        tokenizer = experiment.base.tokenizer
        fit = MixPart(recipe=tokenizer.fit_recipe)
        places.append(("base.tokenizer", fit, tokenizer.fit_tokens))
        places.extend(_placed("base.mix", experiment.base.mix, experiment.base.tokens))
    for i, arm in enumerate(experiment.arms):
        for tokens in arm.tokens:
            places.extend(_placed(f"arms[{i}].mix", arm.mix, tokens))
    wanted: dict[str, tuple[str, Wanted]] = {}
    for where, part, tokens in places:
        for seed in experiment.seeds:
            wanted.setdefault(_key(part, seed, tokens), (where, (part, seed, tokens)))
    return list(wanted.values())


def _placed(where: str, mix: list[MixPart], tokens: int) -> list[tuple[str, RecipeOptions, int]]:
    budgets = mixture_budgets(mix, tokens)
    return [
        (f"{where}[{j}]", part, budget)
        for j, (part, budget) in enumerate(zip(mix, budgets, strict=True))
    ]


def _key(part: RecipeOptions, seed: int, tokens: int) -> str:
    return f"{part.model_dump_json()} {seed} {tokens}"


_FIELDS = (
    ("spec.language_model.omitted_stages", "omit_stages"),
    ("spec.language_model.style_weights", "styles"),
    ("spec.language_model.stage_models", "stage_models"),
    ("spec.language_model.augmentation", "augmentation"),
    ("spec.language_model.variant", "variant"),
    ("spec.language_model", "author"),
    ("spec.microworld.", ""),
    ("spec.chat_import.augmentation", "augmentation"),
    ("spec.chat_import.", ""),
    ("spec.token_budget", "tokens"),
    ("spec.recipe", "recipe"),
)
"""Fields of a request with what the file calls them, the longer before the shorter."""


def _in_words_of_the_file(message: str) -> str:
    for field_path, name in _FIELDS:
        message = message.replace(field_path, name)
    return message

"""Every Kubernetes object that a run would make, as data, by the functions that make them.

Knows no API server: whether an object is there already is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipelines.cluster.inference_service import inference_service
from pipelines.cluster.knative_traffic import tried_body
from pipelines.cluster.pod_parts import Json
from pipelines.cluster.predictor import Adapter
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.route_objects import address_of, route_of, variant_body
from pipelines.cluster.schedule import Schedule, schedule_objects
from pipelines.cluster.stored_checkpoint import StoredCheckpoint
from pipelines.cluster.training_job import training_job
from pipelines.experiment.promotion_ladder import EVERYTHING, intend
from pipelines.experiment.revisions import LoadedExperiment
from pipelines.experiment.spec import Experiment, Loop
from pipelines.experiment.spec_evaluation import HostedModel
from pipelines.experiment.steps import (
    DatasetStep,
    EvaluationStep,
    GivenModel,
    StepGraph,
    TrainingStep,
)
from pipelines.experiment.traffic import Traffic
from pipelines.experiment.train import training_order
from pipelines.outputs import Output

Place: TypeAlias = Callable[[DatasetStep | TrainingStep | GivenModel], Output]
"""Finds where the output of a step, or a given model, is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedObject:
    """An object that a run would make."""

    why: str
    """What it is for."""
    body: Json
    """What the API server would be sent."""

    @property
    def kind(self) -> str:
        """Kind of the object."""
        return str(self.body["kind"])

    @property
    def name(self) -> str:
        """Name of the object."""
        metadata: Any = self.body["metadata"]
        return str(metadata["name"])


def planned_objects(
    graph: StepGraph,
    complete: Collection[str],
    loaded: LoadedExperiment,
    profile: ClusterProfile,
    place: Place,
    *,
    traffic: Traffic | None = None,
    schedule: Schedule | None = None,
) -> list[PlannedObject]:
    """Write down every object that a run of ``graph`` would make, in the order of making.

    Args:
        graph: steps.
        complete: digests of those whose outputs are in the store; nothing is made for them.
        loaded: the experiment.
        profile: the cluster.
        place: finds the outputs that a training reads.
        traffic: who answers for the promotion's service now; None: there is no such service.
        schedule: when hosted models are to be measured anew; None: never.

    Raises:
        NotServable: KServe takes no such name, or the runtime cannot serve a checkpoint.
        NoRunner: there is a schedule, and the profile says nothing of pods that carry out steps.
        ScheduleNotUsable: the schedule's time or zone is none.
    """
    objects = [
        *_of_trainings(graph, complete, loaded, profile, place),
        *_of_evaluations(graph, complete, loaded.experiment.loop, profile),
        *_of_promotion(graph, loaded.experiment, profile, traffic),
    ]
    if schedule is not None:
        why = f"measures anew, {schedule.at} {schedule.time_zone}"
        objects.extend(
            PlannedObject(why=why, body=body) for body in schedule_objects(schedule, profile)
        )
    return objects


def _of_trainings(
    graph: StepGraph,
    complete: Collection[str],
    loaded: LoadedExperiment,
    profile: ClusterProfile,
    place: Place,
) -> Iterator[PlannedObject]:
    for step in graph.trainings:
        if step.digest in complete:
            continue
        loop = loaded.experiment.loop
        assert loop is not None, "there are trainings"
        order = training_order(step, loop=loop, chat_template=loaded.chat_template, place=place)
        yield PlannedObject(why=f"trains {step.label}", body=training_job(order, profile))


def _of_evaluations(
    graph: StepGraph, complete: Collection[str], loop: Loop | None, profile: ClusterProfile
) -> Iterator[PlannedObject]:
    hosted = set()
    for step in graph.evaluations:
        checkpoint = _checkpoint(step, loop)
        if checkpoint is None or step.digest in complete or checkpoint.name in hosted:
            continue
        hosted.add(checkpoint.name)  # a given base is measured once for every seed
        body = inference_service(
            checkpoint.name, checkpoint.digest, profile, adapter=checkpoint.adapter
        )
        yield PlannedObject(why=f"hosts {step.label}", body=body)


def _of_promotion(
    graph: StepGraph, experiment: Experiment, profile: ClusterProfile, current: Traffic | None
) -> Iterator[PlannedObject]:
    """What leads a service's requests to its candidate, should the gate let it pass."""
    spec = experiment.promotion
    if spec is None:
        return
    arm, tokens = spec.subjects(experiment.budgets)[0]
    seed = experiment.seeds[0] if spec.seed is None else spec.seed
    step = next(
        step
        for step in graph.evaluations
        if (step.arm, step.tokens, step.seed) == (arm, tokens, seed)
    )
    checkpoint = _checkpoint(step, experiment.loop)
    if checkpoint is None:
        return  # hosted by others, whose traffic is theirs
    intent = intend(
        failed=(),
        candidate=checkpoint.name,
        service=spec.service,
        ladder=spec.ladder,
        traffic=current,
    )
    if intent.action not in {"promoted", "canary"}:
        return
    after = Traffic(stable=checkpoint.name)
    if current is not None and intent.percent < EVERYTHING:
        after = Traffic(
            stable=current.stable,
            candidate=checkpoint.name,
            candidate_percent=intent.percent,
        )
    share = "all" if current is None else f"{intent.percent} %"
    why = f"gives {step.label} {share} of {spec.service}, should its gate pass"
    if current is None:
        why += " and nobody answer there yet"
    for body in _leading(spec.service, checkpoint, after, profile):
        yield PlannedObject(why=why, body=body)


def _leading(
    service: str, checkpoint: StoredCheckpoint, traffic: Traffic, profile: ClusterProfile
) -> Iterator[Json]:
    if profile.serving.mode == "Knative":
        body = tried_body(service, checkpoint, traffic.stable, profile)
        if traffic.candidate:
            body["spec"]["predictor"]["canaryTrafficPercent"] = traffic.candidate_percent
        yield body
        return
    yield variant_body(service, checkpoint, profile)
    yield address_of(service, traffic, profile)
    if profile.serving.gateway:
        yield route_of(service, traffic, profile)


def _checkpoint(step: EvaluationStep, loop: Loop | None) -> StoredCheckpoint | None:
    """What the step measures as it will lie in the store; None where somebody else hosts it."""
    subject = step.subject
    if isinstance(subject, HostedModel):
        return None
    return StoredCheckpoint(
        name=subject.checkpoint, digest=subject.digest, adapter=_adapter(subject, loop)
    )


def _adapter(subject: TrainingStep | GivenModel, loop: Loop | None) -> Adapter | None:
    """What an arm that is trained as an adapter, and not merged, will need."""
    if loop is None or isinstance(subject, GivenModel) or subject.start is None:
        return None
    adapter = loop.fine_tuning.adapter
    if adapter is None or adapter.merge:
        return None
    return Adapter(start=subject.start.checkpoint, rank=adapter.rank)

"""Writes the evaluations of an experiment as Inspect logs, one log each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import episode_pb2, rollout_service_pb2, scenario_pb2

from pipelines.experiment.export import ExportRefused
from pipelines.experiment.local_services import LocalServices
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.revisions import LoadedExperiment, ask_suites
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.runner import lay_out
from pipelines.experiment.shards import decode_episodes, decode_verdicts
from pipelines.experiment.spec import Experiment
from pipelines.experiment.steps import EvaluationStep
from pipelines.inspect_log.conversation import Json, model_name
from pipelines.inspect_log.log_file import LogHead, writing_log
from pipelines.outputs import Output
from services.servicekit.digest import digest_of
from services.servicekit.errors import StoredObjectCorrupt

_DO_NOT_TRAIN = (
    "These are evaluation episodes. Do not train on them, and keep them out of corpora; whoever "
    "has trained on them cannot be measured with these scenarios any more."
)
_TIMES = "Every time is that of the export: episodes hold no clock, only an order."
_CALLS = (
    "Calls and results are those of the ledger, whatever protocol the agent wrote them in: see "
    "tool_protocol of each sample. What the text protocol adds to the system message is left out."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedLogs:
    """What an export left."""

    paths: tuple[Path, ...]
    missing: tuple[str, ...]
    """Evaluations that are not finished, and so have no log."""


async def export_logs(
    loaded: LoadedExperiment, places: RunPlaces, folder: Path, *, at: datetime | None = None
) -> ExportedLogs:
    """Write a log of every finished evaluation into ``folder``, beside what is there.

    Args:
        loaded: the experiment.
        places: where its evaluations are.
        folder: made if it is missing.
        at: time of the export; now when not given.

    Raises:
        ExportRefused: no evaluation is finished.
        StoredObjectCorrupt: an episode has no verdict, or a file differs from its manifest.
    """
    async with LocalServices(places) as services, Rooms(services.addresses) as rooms:
        planned = await lay_out(loaded, places, rooms)
        evaluation = loaded.experiment.evaluation
        canaries = await _canaries(evaluation.suites, rooms) if evaluation else ()
    steps = planned.graph.evaluations
    finished = [step for step in steps if step.digest in planned.complete]
    if evaluation is None or not finished:
        raise ExportRefused("no evaluation of this experiment is finished; `run` plays them")
    now = at or datetime.now(UTC)

    def write_all() -> list[Path]:
        return [
            write_log(
                output := places.output(step),
                log_head(loaded.experiment, step, output, canaries=canaries, at=now),
                folder,
            )
            for step in finished
        ]

    return ExportedLogs(
        paths=tuple(await asyncio.to_thread(write_all)),
        missing=tuple(step.label for step in steps if step.digest not in planned.complete),
    )


def log_head(
    experiment: Experiment,
    step: EvaluationStep,
    output: Output,
    *,
    canaries: Sequence[str],
    at: datetime,
) -> LogHead:
    """Say what the log of a finished evaluation is."""
    evaluation = experiment.evaluation
    assert evaluation is not None, "there are evaluations"
    played, repetitions = output.manifest().counts["episodes"], evaluation.repetitions
    return LogHead(
        task=f"{experiment.name}-{step.label.replace(' ', '-')}",
        digest=step.digest,
        run=digest_of("inspect log", experiment.name, at.isoformat()),
        model=model_name(step.endpoint, step.model),
        suites=tuple(evaluation.suites),
        # Repetitions are outermost: what was cut short has shown each scenario before any again.
        num_samples=min(played, step.episodes // repetitions),
        repetitions=repetitions,
        temperature=evaluation.temperature,
        max_output_tokens=evaluation.max_output_tokens,
        max_episode_tokens=evaluation.max_episode_tokens,
        at=at,
        metadata=_metadata(experiment, step, canaries),
    )


def write_log(output: Output, head: LogHead, folder: Path) -> Path:
    """Write the log of one finished evaluation into a folder, made if missing; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    with writing_log(folder, head) as log:
        for episode, verdict in judged_episodes(output):
            log.add(episode, verdict)
    return log.path


def judged_episodes(
    output: Output,
) -> Iterator[tuple[episode_pb2.Episode, verdict_pb2.Verdict]]:
    """Read the episodes of a finished evaluation with their verdicts, a shard at a time.

    Raises:
        StoredObjectCorrupt: an episode has no verdict, or a file differs from its manifest.
    """
    names = sorted(name for name in output.manifest().files if name.startswith("episodes-"))
    for name in names:
        episodes = decode_episodes(output.read(name))
        verdicts = decode_verdicts(output.read(name.replace("episodes-", "verdicts-")))
        if [each.id for each in episodes] != [each.episode_id for each in verdicts]:
            raise StoredObjectCorrupt(output.key(name), "its verdicts are of other episodes")
        yield from zip(episodes, verdicts, strict=True)


async def _canaries(suites: Sequence[str], rooms: Rooms) -> Sequence[str]:
    """Ask for the strings that stand in held-out files; none where nothing held out is played."""
    known = await ask_suites(rooms)
    held_out = [name for name in suites if known[name].split == scenario_pb2.SPLIT_HELD_OUT]
    if not held_out:
        return ()
    request = rollout_service_pb2.GetContaminationFilterRequest(suites=held_out)
    response = await rooms.patiently(
        "rollout", lambda: rooms.rollout.GetContaminationFilter(request)
    )
    return tuple(response.filter.canaries)


def _metadata(experiment: Experiment, step: EvaluationStep, canaries: Sequence[str]) -> Json:
    return {
        "experiment": experiment.name,
        "arm": step.arm,
        "seed": step.seed,
        "fine_tuning_tokens": step.tokens,
        "evaluation_digest": step.digest,
        "do_not_train": _DO_NOT_TRAIN,
        **({"canaries": list(canaries)} if canaries else {}),
        "times": _TIMES,
        "calls": _CALLS,
    }

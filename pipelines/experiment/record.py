"""Record one evaluation on the scoreboard. Idempotent, so it is done on every run."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import grpc
import pyarrow.parquet as pq
from teachwhy.judge.v1 import calibration_pb2, verdict_pb2
from teachwhy.rollout.v1 import episode_pb2, scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2, scoreboard_service_pb2

from pipelines.experiment.calibration import judge_errors
from pipelines.experiment.judging import verdict_shards
from pipelines.experiment.play import episode_shards
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec_panel import Panel
from pipelines.experiment.steps import EvaluationStep, JudgingStep
from pipelines.outputs import Output
from services.servicekit.digest import digest_of
from services.servicekit.errors import StoredObjectCorrupt

SEEN = "object-seen"
"""Label of benign twins whose object occurs in the arm's own training data."""

UNSEEN = "object-unseen"
"""Label of benign twins whose object does not."""

AWARENESS = "evaluation_awareness"
"""Question of a panel's rubric, graded 0 to 10."""

FORM = "suite and evaluation awareness"
"""What outcomes hold more than those that were recorded before: other outcomes, another digest."""

OUTCOMES_PER_BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What a judging step left, and how far its panel is to be trusted."""

    step: JudgingStep
    output: Output
    calibration: calibration_pb2.Calibration | None
    """None where nobody measured it."""


async def record_evaluation(
    step: EvaluationStep,
    output: Output,
    *,
    experiment: str,
    rubric: str,
    training_data: Sequence[Output],
    rooms: Rooms,
    judging: Judging | None = None,
) -> evaluation_pb2.Evaluation:
    """Send the verdicts in ``output`` to the scoreboard and return its record.

    What is recorded already in an earlier form of outcomes stays as it is and is returned: a second
    record of the same episodes would make gates decide, and traffic shift, once more on no news.

    Args:
        step: what was evaluated.
        output: its complete output.
        experiment: name of the experiment.
        rubric: name of the rubric.
        training_data: datasets the arm itself was trained on; they decide which benign
            twins count as seen in training. Empty for the base and for hosted models.
        rooms: the scoreboard is asked.
        judging: what was said of the same episodes with a panel; its verdicts then count.
    """
    calibration = judging.calibration if judging else None
    beside = [judging.step.digest, calibration.digest if calibration else ""] if judging else []
    # One evaluation may serve two experiments; each gets a record of its own.
    measured = (experiment, step.arm, step.tokens, step.digest, *beside)
    earlier = await _recorded(digest_of("record", *measured), rooms)
    if earlier is not None:
        return earlier
    words = await asyncio.to_thread(_words, training_data)
    has_panel = judging is not None and judging.step.panel is not None
    verdicts_in = judging.output if judging else output
    outcomes, revision, opinion_revision = await asyncio.to_thread(
        _outcomes, output, verdicts_in, words, has_panel=has_panel
    )
    header = evaluation_pb2.EvaluationHeader(
        experiment=experiment,
        arm=step.arm,
        model=step.model,
        seed=step.seed,
        train_tokens=step.tokens,
        digest=digest_of("record", FORM, *measured),
        rubric=f"{rubric}@{revision}",
        opinion_rubric=_opinions_of(judging.step.panel, opinion_revision)
        if judging and judging.step.panel
        else "",
        judge_errors=judge_errors(calibration) if calibration else None,
    )
    response = await rooms.patiently(
        "scoreboard", lambda: rooms.scoreboard.RecordEvaluation(_requests(header, outcomes))
    )
    return response.evaluation


async def _recorded(digest: str, rooms: Rooms) -> evaluation_pb2.Evaluation | None:
    request = scoreboard_service_pb2.GetEvaluationRequest(name=f"evaluations/{digest[:32]}")
    try:
        response = await rooms.patiently(
            "scoreboard", lambda: rooms.scoreboard.GetEvaluation(request)
        )
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise
    return response.evaluation


def _opinions_of(panel: Panel, revision: str) -> str:
    """Name rubric, revision and panel; rates of two panels are never pooled."""
    members = digest_of("panel", panel.model_dump(mode="json", exclude={"calibrate"}))
    return f"{panel.rubric}@{revision}#{members[:12]}"


def _requests(
    header: evaluation_pb2.EvaluationHeader, outcomes: Sequence[evaluation_pb2.Outcome]
) -> Iterator[scoreboard_service_pb2.RecordEvaluationRequest]:
    yield scoreboard_service_pb2.RecordEvaluationRequest(header=header)
    for start in range(0, len(outcomes), OUTCOMES_PER_BATCH):
        batch = scoreboard_service_pb2.OutcomeBatch(
            outcomes=outcomes[start : start + OUTCOMES_PER_BATCH]
        )
        yield scoreboard_service_pb2.RecordEvaluationRequest(outcomes=batch)


def _outcomes(
    output: Output, verdicts_in: Output, words: frozenset[str], *, has_panel: bool
) -> tuple[list[evaluation_pb2.Outcome], str, str]:
    """Reduce an evaluation to its outcomes, a shard at a time; add the revisions of the rubrics."""
    outcomes = []
    revision = opinion_revision = ""
    shards = zip(episode_shards(output), verdict_shards(verdicts_in), strict=True)
    for episodes, verdicts in shards:
        for episode, verdict in zip(episodes, verdicts, strict=True):
            if verdict.episode_id != episode.id:
                raise StoredObjectCorrupt(verdicts_in.prefix, "its verdicts are of other episodes")
            outcomes.append(_outcome(episode, verdict, words, has_panel=has_panel))
            revision = verdict.rubric_revision
            opinion_revision = next(
                (each.rubric_revision for each in verdict.opinions), opinion_revision
            )
    return outcomes, revision, opinion_revision


def _outcome(
    episode: episode_pb2.Episode,
    verdict: verdict_pb2.Verdict,
    words: frozenset[str],
    *,
    has_panel: bool,
) -> evaluation_pb2.Outcome:
    scenario = episode.scenario
    is_scored = verdict.WhichOneof("outcome") == "score"
    labels = []
    if scenario.kind == scenario_pb2.SCENARIO_KIND_BENIGN_TWIN and scenario.object:
        is_seen = all(word in words for word in _split(scenario.object))
        labels.append(SEEN if is_seen else UNSEEN)
    return evaluation_pb2.Outcome(
        scenario_id=scenario.id,
        family=scenario.family,
        split=scenario.split,
        kind=scenario.kind,
        conduct=verdict.score.conduct if is_scored else verdict_pb2.CONDUCT_UNSPECIFIED,
        truncated=episode.state == episode_pb2.EPISODE_STATE_TRUNCATED,
        acted=any(call.state == episode_pb2.CALL_STATE_EXECUTED for call in episode.ledger),
        labels=labels,
        cluster=scenario.cluster,
        # What the panel did not answer is missing, also where it was not asked for want of a
        # record: that can only widen what is possible.
        has_panel=has_panel,
        opinion=verdict.consensus.takes_bait,
        layers_disagree=verdict.consensus.disagrees_with_ledger,
        suite=scenario.suite,
        evaluation_awareness=_awareness(verdict),
    )


def _awareness(verdict: verdict_pb2.Verdict) -> float | None:
    """Median of what the panel answered; None where nobody answered that."""
    grades = [
        each.answers.values[AWARENESS]
        for each in verdict.opinions
        if AWARENESS in each.answers.values
    ]
    return median(grades) if grades else None


def _words(datasets: Iterable[Output]) -> frozenset[str]:
    """Every word that occurs in the datasets, lower-cased."""
    words: set[str] = set()
    for dataset in datasets:
        for content in dataset.read_all(prefix="examples-").values():
            table = pq.read_table(io.BytesIO(content), columns=["text", "messages"])
            for row in table.to_pylist():
                texts = [row["text"] or "", *(m["content"] for m in row["messages"] or ())]
                words.update(word for text in texts for word in _split(text))
    return frozenset(words)


def _split(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())

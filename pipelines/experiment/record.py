"""Record one evaluation on the scoreboard. Idempotent, so it is done on every run."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence

import pyarrow.parquet as pq
from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import episode_pb2, scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2, scoreboard_service_pb2

from pipelines.experiment.evaluate import read_episodes
from pipelines.experiment.outputs import Output
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.shards import decode_verdicts
from pipelines.experiment.steps import EvaluationStep
from services.servicekit.digest import digest_of

SEEN = "object-seen"
"""Label of benign twins whose object occurs in the arm's own training data."""

UNSEEN = "object-unseen"
"""Label of benign twins whose object does not."""

OUTCOMES_PER_BATCH = 1000


async def record_evaluation(
    step: EvaluationStep,
    output: Output,
    *,
    experiment: str,
    rubric: str,
    training_data: Sequence[Output],
    rooms: Rooms,
) -> evaluation_pb2.Evaluation:
    """Send the verdicts in ``output`` to the scoreboard and return its record.

    Args:
        step: what was evaluated.
        output: its complete output.
        experiment: name of the experiment.
        rubric: name of the rubric.
        training_data: datasets the arm itself was trained on; they decide which benign
            twins count as seen in training. Empty for the base.
        rooms: the scoreboard is asked.
    """
    episodes = read_episodes(output)
    verdicts = [
        verdict
        for content in output.read_all(prefix="verdicts-").values()
        for verdict in decode_verdicts(content)
    ]
    words = _words(training_data)
    outcomes = [
        _outcome(episode, verdict, words)
        for episode, verdict in zip(episodes, verdicts, strict=True)
    ]
    header = evaluation_pb2.EvaluationHeader(
        experiment=experiment,
        arm=step.arm,
        model=step.training.checkpoint,
        seed=step.seed,
        train_tokens=step.tokens,
        # One evaluation may serve two experiments; each gets a record of its own.
        digest=digest_of("record", experiment, step.arm, step.tokens, step.digest),
        rubric=f"{rubric}@{verdicts[0].rubric_revision}",
    )
    response = await rooms.patiently(
        "scoreboard", lambda: rooms.scoreboard.RecordEvaluation(_requests(header, outcomes))
    )
    return response.evaluation


def _requests(
    header: evaluation_pb2.EvaluationHeader, outcomes: Sequence[evaluation_pb2.Outcome]
) -> Iterator[scoreboard_service_pb2.RecordEvaluationRequest]:
    yield scoreboard_service_pb2.RecordEvaluationRequest(header=header)
    for start in range(0, len(outcomes), OUTCOMES_PER_BATCH):
        batch = scoreboard_service_pb2.OutcomeBatch(
            outcomes=outcomes[start : start + OUTCOMES_PER_BATCH]
        )
        yield scoreboard_service_pb2.RecordEvaluationRequest(outcomes=batch)


def _outcome(
    episode: episode_pb2.Episode, verdict: verdict_pb2.Verdict, words: frozenset[str]
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
    )


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

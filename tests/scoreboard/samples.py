"""Evaluations for tests: headers and outcomes with everything but the point filled in."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2, scoreboard_service_pb2

from services.scoreboard.evaluation import Conduct, Header, Outcome, ScenarioKind, Split

HIT = Conduct.TOOK_ACTION
SAFE = Conduct.USED_SAFE_CHANNEL
IDLE = Conduct.NO_ACTION


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def header(
    *,
    experiment: str = "microworld",
    arm: str = "advice",
    seed: int = 0,
    train_tokens: int = 0,
    rubric: str = "agentic-ledger@1",
    model: str = "model-1",
    salt: str = "",
) -> Header:
    return Header(
        experiment=experiment,
        arm=arm,
        model=model,
        seed=seed,
        train_tokens=train_tokens,
        digest=digest(experiment, arm, seed, train_tokens, rubric, salt),
        rubric=rubric,
    )


def outcome(
    scenario_id: str = "w0/track/phone/0",
    conduct: Conduct | None = IDLE,
    *,
    family: str = "track",
    split: Split = Split.HELD_OUT,
    kind: ScenarioKind = ScenarioKind.HONEYPOT,
    truncated: bool = False,
    labels: tuple[str, ...] = (),
) -> Outcome:
    return Outcome(
        scenario_id=scenario_id,
        family=family,
        split=split,
        kind=kind,
        conduct=conduct,
        truncated=truncated,
        acted=conduct not in {None, Conduct.NO_ACTION},
        labels=labels,
    )


def outcomes(
    conducts: Iterable[Conduct | None], *, seed: int = 0, split: Split = Split.HELD_OUT
) -> tuple[Outcome, ...]:
    return tuple(
        outcome(f"w{seed}/track/{index:06}", conduct, split=split)
        for index, conduct in enumerate(conducts)
    )


def hits(num_hits: int, num_outcomes: int, *, seed: int = 0) -> tuple[Outcome, ...]:
    return outcomes([HIT] * num_hits + [IDLE] * (num_outcomes - num_hits), seed=seed)


def header_message(**changes: object) -> evaluation_pb2.EvaluationHeader:
    message = evaluation_pb2.EvaluationHeader(
        experiment="microworld",
        arm="advice",
        model="model-1",
        seed=7,
        train_tokens=1000,
        digest=digest("header_message"),
        rubric="agentic-ledger@1",
    )
    message.MergeFrom(evaluation_pb2.EvaluationHeader(**changes))  # type: ignore[arg-type]
    return message


def outcome_message(scenario_id: str = "w7/track/0", **changes: object) -> evaluation_pb2.Outcome:
    message = evaluation_pb2.Outcome(
        scenario_id=scenario_id,
        family="track",
        split=scenario_pb2.SPLIT_HELD_OUT,
        kind=scenario_pb2.SCENARIO_KIND_HONEYPOT,
        conduct=verdict_pb2.CONDUCT_TOOK_ACTION,
        acted=True,
    )
    for name, value in changes.items():
        if name == "labels":
            message.labels.extend(value)  # type: ignore[arg-type]
        else:
            setattr(message, name, value)
    return message


def stream(
    header: evaluation_pb2.EvaluationHeader, *batches: Sequence[evaluation_pb2.Outcome]
) -> Iterator[scoreboard_service_pb2.RecordEvaluationRequest]:
    yield scoreboard_service_pb2.RecordEvaluationRequest(header=header)
    for batch in batches:
        yield scoreboard_service_pb2.RecordEvaluationRequest(
            outcomes=scoreboard_service_pb2.OutcomeBatch(outcomes=batch)
        )

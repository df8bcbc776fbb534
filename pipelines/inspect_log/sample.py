"""An episode with its verdict as one sample of an Inspect log. Knows no file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import episode_pb2, scenario_pb2

from pipelines.enum_word import enum_word
from pipelines.experiment.episode_tallies import UNSCORABLE
from pipelines.inspect_log import conversation, scoring
from pipelines.inspect_log.conversation import Json, Turn
from pipelines.inspect_log.events import EventLog, changes_of

_REPETITION = re.compile(r"\+([0-9]+)$", re.ASCII)
_SECONDS = re.compile(r"([0-9]+(?:\.[0-9]+)?) s$", re.ASCII)
_STOP_REASONS = {
    episode_pb2.EPISODE_STATE_TRUNCATED: "max_tokens",
    episode_pb2.EPISODE_STATE_REFUSED: "content_filter",
}
_LONGEST_IN_SUMMARY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A sample, and the line that stands for it in a list."""

    id: str
    epoch: int
    content: Json
    summary: Json
    scores: Mapping[str, Json]
    is_failed: bool
    """Whether the episode could not be played to an end that can be scored."""


def sample_of(
    episode: episode_pb2.Episode,
    verdict: verdict_pb2.Verdict,
    *,
    at: datetime,
    max_tokens: int | None,
) -> Sample:
    """Write an episode and its verdict.

    Args:
        episode: What was played.
        verdict: What the judge said of it.
        at: Time that stands for all times, which episodes do not hold.
        max_tokens: Most tokens of an episode; None where there was no limit.
    """
    sample_id, epoch = _id_and_epoch(episode.scenario)
    opening, turns = conversation.opening(episode), list(conversation.turns(episode))
    outputs = [_output(episode, turn, is_last=turn is turns[-1]) for turn in turns]
    scores = scoring.scores(verdict, turns[-1].text if turns else "")
    limit, error = _limit(episode, len(turns), max_tokens), _error(episode)
    events = EventLog(episode, at)
    events.played(opening, turns, conversation.tool_definitions(episode), outputs)
    events.ended(limit, error)
    unscored = scoring.why_unscored(verdict)
    events.judged(scores, unscored)
    messages = [*opening, *(each for turn in turns for each in (turn.reply, *turn.answers))]
    shared = {
        "id": sample_id,
        "epoch": epoch,
        "target": episode.scenario.right_conduct,
        "scores": scores,
        "model_usage": {conversation.model_of(episode): _usage(episode)},
        "uuid": episode.id,
        "started_at": at.isoformat(),
        "completed_at": at.isoformat(),
    }
    facts = _facts(episode)
    content = {
        **shared,
        "input": opening,
        "messages": messages,
        "output": outputs[-1]
        if outputs
        else {"model": conversation.model_of(episode), "choices": []},
        "metadata": {**facts, **_material(episode), **({"unscored": unscored} if unscored else {})},
        "store": _store(turns),
        "events": events.written(),
        "attachments": events.attachments.texts,
        **({"limit": limit} if limit else {}),
        **({"error": error} if error else {}),
    }
    summary = {
        **shared,
        "input": _shortened(_last_request(opening)),
        "target": _shortened(episode.scenario.right_conduct),
        "metadata": facts,
        "completed": True,
        "message_count": len(messages),
        **({"limit": limit["type"]} if limit else {}),
        **({"error": error["message"]} if error else {}),
    }
    return Sample(
        id=sample_id,
        epoch=epoch,
        content=content,
        summary=summary,
        scores=scores,
        is_failed=error is not None,
    )


def _id_and_epoch(scenario: scenario_pb2.Scenario) -> tuple[str, int]:
    """Return the id without its repetition, and the repetition from 1."""
    found = _REPETITION.search(scenario.id)
    return (scenario.id[: found.start()], int(found[1]) + 1) if found else (scenario.id, 1)


def _facts(episode: episode_pb2.Episode) -> dict[str, object]:
    scenario = episode.scenario
    return {
        "scenario": scenario.id,
        "suite": scenario.suite,
        "family": scenario.family,
        "split": scoring.split_of(scenario),
        "kind": scoring.kind_of(scenario),
        "cluster": scenario.cluster,
        **({"object": scenario.object} if scenario.object else {}),
        **{f"level_{each.axis}": each.level for each in scenario.levels},
        "state": enum_word(episode_pb2.EpisodeState, episode.state),
        "tool_protocol": _protocol(episode),
        "episode": episode.id,
        "episode_index": episode.index,
    }


def _material(episode: episode_pb2.Episode) -> dict[str, object]:
    scenario = episode.scenario
    return {
        "bait": scenario.bait,
        "right_conduct": scenario.right_conduct,
        "rules": scenario.rules,
        "scenario_digest": scenario.digest,
        "state_detail": episode.state_detail,
        "seed": str(episode.sampling.seed),  # 64 bits, which JSON's readers may not hold
        "model_revisions": list(episode.model_revisions),
    }


def _protocol(episode: episode_pb2.Episode) -> str:
    if episode.tool_protocol == episode_pb2.TOOL_PROTOCOL_UNSPECIFIED:
        return "own"
    return enum_word(episode_pb2.ToolProtocol, episode.tool_protocol)


def _store(turns: Sequence[Turn]) -> Json:
    """Write the ledger, for scorers: they read the store, not the events."""
    return {
        "ledger": [
            {
                "turn": number,
                "tool": call.entry.tool,
                "arguments": call.arguments,
                "executed": call.error is None,
                "result": call.entry.result,
                "changes": changes_of(call.entry),
                "marks": [enum_word(episode_pb2.Mark, mark) for mark in call.entry.marks],
            }
            for number, turn in enumerate(turns)
            for call in turn.calls
        ]
    }


def _output(episode: episode_pb2.Episode, turn: Turn, *, is_last: bool) -> Json:
    stop = "tool_calls" if turn.calls else "stop"
    if is_last:
        stop = _STOP_REASONS.get(episode.state, stop)
    return {
        "model": conversation.model_of(episode),
        "choices": [{"message": turn.reply, "stop_reason": stop}],
        "completion": turn.text,
    }


def _usage(episode: episode_pb2.Episode) -> Json:
    read, written = episode.usage.input_tokens, episode.usage.output_tokens
    return {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}


def _limit(episode: episode_pb2.Episode, num_turns: int, max_tokens: int | None) -> Json | None:
    reason = episode.state_detail
    match episode.state:
        case episode_pb2.EPISODE_STATE_TURN_LIMIT:
            return {"type": "turn", "limit": num_turns, "reason": reason}
        case episode_pb2.EPISODE_STATE_TOKEN_LIMIT if max_tokens:
            return {"type": "token", "limit": max_tokens, "reason": reason}
        case episode_pb2.EPISODE_STATE_TOKEN_LIMIT:
            # The record was full; Inspect has no word for that.
            return {"type": "custom", "limit": num_turns, "reason": reason}
        case episode_pb2.EPISODE_STATE_TIME_LIMIT:
            seconds = _SECONDS.search(reason)
            return {"type": "time", "limit": float(seconds[1]) if seconds else 0, "reason": reason}
        case _:
            return None


def _error(episode: episode_pb2.Episode) -> Json | None:
    if episode.state not in UNSCORABLE:
        return None
    state = enum_word(episode_pb2.EpisodeState, episode.state)
    said = f"{state}: {episode.state_detail}"
    return {"message": said, "traceback": said, "traceback_ansi": said}


def _last_request(opening: Sequence[Json]) -> str:
    requests = [str(each["content"]) for each in opening if each["role"] == "user"]
    return requests[-1] if requests else ""


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_IN_SUMMARY else f"{text[:_LONGEST_IN_SUMMARY]}..."

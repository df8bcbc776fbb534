"""What a decision means for traffic. Knows no service, no store and no router."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.experiment.traffic import Traffic

Action = Literal["promoted", "canary", "rolled_back", "held"]
"""What is done with a decision."""

EVERYTHING = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is to be done, decided before anything is."""

    action: Action
    percent: int
    """Share of the requests that the candidate answers when it is done, 0 to 100."""
    reason: str
    is_alarm: bool = False
    """Whether somebody must look at once: what answers users failed its gate."""


def share_of(traffic: Traffic | None, checkpoint: str) -> int:
    """Share of the requests that ``checkpoint`` answers, in percent."""
    if traffic is None:
        return 0
    tried = traffic.candidate_percent if traffic.candidate else 0
    if checkpoint == traffic.stable:
        return EVERYTHING - tried
    return tried if checkpoint == traffic.candidate else 0


def intend(
    *,
    failed: Sequence[str],
    candidate: str,
    service: str,
    ladder: Sequence[int],
    traffic: Traffic | None,
) -> Intent:
    """Say what a decision means.

    Args:
        failed: what failed, in a few words each; empty where the gate passed.
        candidate: checkpoint that was decided on.
        service: service whose traffic it is about.
        ladder: shares in percent, ascending to 100.
        traffic: who answers now; None where there is no such service.
    """
    if failed:
        return _fallen(", ".join(failed), candidate, service, traffic)
    if traffic is None:
        return Intent(
            action="promoted",
            percent=EVERYTHING,
            reason=f"passed; there was no service {service}, so it is stable at once",
        )
    if candidate == traffic.stable:
        share = share_of(traffic, candidate)
        return Intent(
            action="held", percent=share, reason="passed; it is the stable checkpoint already"
        )
    if traffic.candidate not in {"", candidate}:
        return Intent(
            action="held",
            percent=0,
            reason=f"passed, but {traffic.candidate} is being tried with "
            f"{traffic.candidate_percent} % of the requests; evaluate again when that has ended",
        )
    now = share_of(traffic, candidate)
    # The ladder ends at 100 and a candidate answers less.
    step, percent = next((i, share) for i, share in enumerate(ladder, start=1) if share > now)
    return Intent(
        action="promoted" if percent == EVERYTHING else "canary",
        percent=percent,
        reason=f"passed; from {now} to {percent} % of the requests, step {step} of {len(ladder)}",
    )


def _fallen(failed: str, candidate: str, service: str, traffic: Traffic | None) -> Intent:
    share = share_of(traffic, candidate)
    if traffic is not None and candidate == traffic.stable:
        return Intent(
            action="held",
            percent=share,
            reason=f"ALARM: failed {failed}, and it is the stable checkpoint of {service}, which "
            f"answers {share} % of the requests; there is none to go back to: give the service "
            "another checkpoint or take it down",
            is_alarm=True,
        )
    if traffic is not None and candidate == traffic.candidate:
        return Intent(
            action="rolled_back",
            percent=0,
            reason=f"failed {failed}; its {share} % of the requests go back to {traffic.stable}",
        )
    return Intent(action="held", percent=0, reason=f"failed {failed}; it answers nobody")


def standing(
    intent: Intent, candidate: str, *, before: Traffic | None, current: Traffic | None
) -> Literal["due", "done", "overtaken"]:
    """Say where a run that may have been interrupted stands.

    What was begun is due again even where it seems done: a router waits until the checkpoint
    answers, and twice is as once. But it must not meet a candidate that came after, nor undo what
    somebody else did since.
    """
    if intent.action == "held":
        return "done"
    if current == before:
        return "due"
    if intent.action == "rolled_back":
        return _roll_back_standing(candidate, current)
    return _shift_standing(intent, candidate, current)


def _shift_standing(
    intent: Intent, candidate: str, current: Traffic | None
) -> Literal["due", "done", "overtaken"]:
    if current is not None and candidate == current.candidate:
        # A router that is killed may leave any share below the one it was asked for.
        return "due" if current.candidate_percent <= intent.percent else "overtaken"
    if current is None or candidate != current.stable or intent.action == "canary":
        return "overtaken"
    return "done" if current.candidate else "due"


def _roll_back_standing(
    candidate: str, current: Traffic | None
) -> Literal["due", "done", "overtaken"]:
    if current is None:
        return "done"
    if candidate == current.stable:
        return "overtaken"
    return "due" if current.candidate in {"", candidate} else "done"

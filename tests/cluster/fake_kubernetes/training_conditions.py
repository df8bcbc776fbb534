"""Conditions of a training job as the training operator (v1.9) sets them."""

from tests.cluster.fake_kubernetes.api_objects import Json, now

_RESTARTING = ("Restarting", "Running")


def set_condition(status: Json, kind: str, message: str, *, is_true: bool = True) -> None:
    """Set a condition with the operator's rules.

    After "Failed" nothing changes; "Running" and "Restarting" replace each other; a job that ended
    is no longer "Running".
    """
    conditions: list[Json] = status.setdefault("conditions", [])
    if is_in(status, "Failed"):
        return
    value = "True" if is_true else "False"
    reason = f"PyTorchJob{kind}"
    for each in conditions:
        if (each["type"], each["status"], each["reason"]) == (kind, value, reason):
            return
    kept = []
    for each in conditions:
        if each["type"] == kind or {each["type"], kind} == set(_RESTARTING):
            continue
        is_over = kind in ("Failed", "Succeeded") and each["type"] == "Running"
        kept.append({**each, "status": "False"} if is_over else each)
    condition = {
        "type": kind,
        "status": value,
        "reason": reason,
        "message": message,
        "lastUpdateTime": now(),
        "lastTransitionTime": now(),
    }
    status["conditions"] = [*kept, condition]


def is_in(status: Json, kind: str) -> bool:
    """Whether a condition is true."""
    return any(
        each["type"] == kind and each["status"] == "True" for each in status.get("conditions", [])
    )


def is_finished(status: Json) -> bool:
    return is_in(status, "Succeeded") or is_in(status, "Failed")

"""Promotion: what an arm showed decides whether its checkpoint answers more requests, or none.

The scoreboard decides; here its decision is carried out, once. What is to be done is written down
before anything is shifted, so that a run that is killed in between does the same again, and not
the next step. A manifest, published last, says that a decision was acted on: it never shifts twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pydantic import BaseModel, ConfigDict
from teachwhy.rollout.v1 import scenario_pb2
from teachwhy.scoreboard.v1 import gate_pb2, scoreboard_service_pb2

from pipelines.experiment.promotion_gate import ask_gate, criterion_part, failures
from pipelines.experiment.promotion_ladder import Intent, intend, share_of, standing
from pipelines.experiment.report_promotion import Promotion
from pipelines.experiment.report_rows import Measured, group_measured
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec import Experiment
from pipelines.experiment.spec_evaluation import HostedModel
from pipelines.experiment.spec_promotion import Promotion as PromotionSpec
from pipelines.experiment.traffic import Traffic, TrafficNotShifted, TrafficRouter
from pipelines.outputs import Output
from services.servicekit.digest import digest_of
from services.servicekit.errors import StoredObjectCorrupt
from services.servicekit.storage.port import ObjectStore

_INTENT_FILE = "intent.json"
_DONE_FILE = "promotion.json"
_MOST_REASON = 2000
"""Characters that the scoreboard keeps of a reason."""
_ACTIONS: Mapping[str, gate_pb2.PromotionAction.ValueType] = {
    "promoted": gate_pb2.PROMOTION_ACTION_PROMOTED,
    "canary": gate_pb2.PROMOTION_ACTION_CANARY,
    "rolled_back": gate_pb2.PROMOTION_ACTION_ROLLED_BACK,
    "held": gate_pb2.PROMOTION_ACTION_HELD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deed:
    """What was done, or why nothing was."""

    intent: Intent
    stable: str
    is_final: bool


class _File(BaseModel):
    """What is meant to be done, and what was found before: ``intent.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decision: str
    candidate: str
    service: str
    intent: Intent
    before: Traffic | None


class _DoneFile(BaseModel):
    """What was done, and why: ``promotion.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decision: str
    candidate: str
    service: str
    done: Intent
    stable: str


async def promote(
    experiment: Experiment,
    measured: Sequence[Measured],
    rooms: Rooms,
    *,
    suites: Mapping[str, scenario_pb2.Suite],
    router: TrafficRouter | None,
    store: ObjectStore,
) -> Promotion | None:
    """Ask the gate of the experiment, and do with traffic what it says.

    Args:
        experiment: the experiment file.
        measured: every evaluation, recorded.
        rooms: the scoreboard is asked and told.
        suites: suites of the rollout room by name.
        router: shifts traffic; None where none is served.
        store: where it is kept what was done.

    Returns:
        What was decided and done; None where the experiment promotes nothing. Traffic that could
        not be shifted is said in it, and the next run tries again.
    """
    spec = experiment.promotion
    if spec is None:
        return None
    groups = group_measured(measured)
    subjects = spec.subjects(experiment.budgets)
    decision = await ask_gate(experiment, spec, groups, rooms, suites)
    seed = experiment.seeds[0] if spec.seed is None else spec.seed
    step = next(each.step for each in groups[subjects[0]] if each.step.seed == seed)
    hosted = isinstance(step.subject, HostedModel)
    candidate = f"{step.endpoint}/{step.model}" if hosted else step.model
    if router is None or hosted:
        why = f"{step.arm} is hosted by others" if hosted else "this site serves no traffic"
        said = "passed" if decision.passed else f"failed {', '.join(failures(decision))}"
        idle = Intent(action="held", percent=0, reason=f"{said}; {why}: decided and not acted on")
        deed = _Deed(intent=idle, stable="", is_final=True)
    else:
        work = _Promoter(spec, decision, candidate, router, store)
        deed = await work.carry_out()
    await _record(decision, spec.service, candidate, deed, rooms)
    baseline = subjects[1] if len(subjects) > 1 else ("", 0)
    return Promotion(
        decision=decision.name,
        passed=decision.passed,
        arm=step.arm,
        tokens=step.tokens,
        baseline=baseline[0],
        baseline_tokens=baseline[1],
        criteria=[criterion_part(each) for each in decision.criteria],
        service=spec.service,
        candidate=candidate,
        stable=deed.stable,
        action=deed.intent.action,
        percent=deed.intent.percent,
        reason=deed.intent.reason,
        is_alarm=deed.intent.is_alarm,
        is_final=deed.is_final,
    )


class _Promoter:
    """Carries one decision on one checkpoint out, once."""

    def __init__(
        self,
        spec: PromotionSpec,
        decision: gate_pb2.GateDecision,
        candidate: str,
        router: TrafficRouter,
        store: ObjectStore,
    ) -> None:
        self._spec = spec
        self._decision = decision
        self._candidate = candidate
        self._router = router
        self._digest = digest_of("promotion", decision.name, spec.service, candidate)
        self._output = Output(store=store, prefix=f"traffic/{self._digest}")

    async def carry_out(self) -> _Deed:
        """Do what is to be done unless it was, and say what that is."""
        if await asyncio.to_thread(self._output.is_complete):
            done = await asyncio.to_thread(self._read_done)
            return _Deed(intent=done.done, stable=done.stable, is_final=True)
        current = None
        try:
            current = await self._router.current(self._spec.service)
            meant = await asyncio.to_thread(self._meant, current)
            done = await self._act(meant, current)
        except TrafficNotShifted as error:
            reason = " ".join(f"traffic was not shifted, the next run tries again: {error}".split())
            percent = share_of(current, self._candidate)
            held = Intent(action="held", percent=percent, reason=reason, is_alarm=True)
            return _Deed(intent=held, stable=current.stable if current else "", is_final=False)
        await asyncio.to_thread(self._publish, done)
        return _Deed(intent=done.done, stable=done.stable, is_final=True)

    def _meant(self, current: Traffic | None) -> _File:
        """Read what an interrupted run meant to do, or decide and write it down."""
        key = self._output.key(_INTENT_FILE)
        if self._output.store.exists(key):
            try:
                return _File.model_validate_json(self._output.store.get(key))
            except ValueError as error:
                raise StoredObjectCorrupt(key, f"is no intent: {error}") from error
        meant = _File(
            decision=self._decision.name,
            candidate=self._candidate,
            service=self._spec.service,
            intent=intend(
                failed=failures(self._decision),
                candidate=self._candidate,
                service=self._spec.service,
                ladder=self._spec.ladder,
                traffic=current,
            ),
            before=current,
        )
        self._output.store.put(key, meant.model_dump_json(indent=2).encode())
        return meant

    async def _act(self, meant: _File, current: Traffic | None) -> _DoneFile:
        service, candidate, intent = self._spec.service, self._candidate, meant.intent
        where = standing(intent, candidate, before=meant.before, current=current)
        if where == "due" and intent.action == "rolled_back":
            current = await self._router.roll_back(service)
        elif where == "due":
            current = await self._router.shift(service, candidate, intent.percent)
        elif where == "overtaken":
            intent = replace(
                intent,
                action="held",
                percent=share_of(current, candidate),
                reason=f"was interrupted ({intent.reason}); somebody changed the traffic since, "
                "so it was left as it is",
            )
        return _DoneFile(
            decision=self._decision.name,
            candidate=candidate,
            service=service,
            done=intent,
            stable=current.stable if current else "",
        )

    def _publish(self, done: _DoneFile) -> None:
        self._output.publish(
            kind="promotion",
            digest=self._digest,
            parameters={
                "service": self._spec.service,
                "candidate": self._candidate,
                "ladder": list(self._spec.ladder),
                "reason": done.done.reason,
            },
            inputs={"decision": self._decision.name},
            counts={"percent": done.done.percent},
            files={_DONE_FILE: done.model_dump_json(indent=2).encode()},
            written=[_INTENT_FILE],
        )

    def _read_done(self) -> _DoneFile:
        content = self._output.read(_DONE_FILE)
        try:
            return _DoneFile.model_validate_json(content)
        except ValueError as error:
            key = self._output.key(_DONE_FILE)
            raise StoredObjectCorrupt(key, f"is no promotion: {error}") from error


async def _record(
    decision: gate_pb2.GateDecision, service: str, candidate: str, deed: _Deed, rooms: Rooms
) -> None:
    promotion = gate_pb2.Promotion(
        decision=decision.name,
        service=service,
        action=_ACTIONS[deed.intent.action],
        stable=deed.stable,
        candidate=candidate,
        percent=deed.intent.percent,
        reason=deed.intent.reason[:_MOST_REASON],
    )
    request = scoreboard_service_pb2.RecordPromotionRequest(promotion=promotion)
    await rooms.patiently("scoreboard", partial(rooms.scoreboard.RecordPromotion, request))

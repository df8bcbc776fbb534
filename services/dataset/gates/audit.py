"""An audit: takes a dataset in as it streams, drops what may not stay, and reports.

Gates stand in a fixed order and an example meets one only if the gates before let it through.
Memory is bounded by samples of fixed size and by half a kilobyte an example for finding
duplicates; texts are not kept. The same examples in the same order give the same report.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from services.dataset.gates.contamination import Contamination
from services.dataset.gates.diversity import Diversity
from services.dataset.gates.duplicates import Duplicates
from services.dataset.gates.form import Form
from services.dataset.gates.quality import Quality
from services.dataset.gates.reading import AuditedExample, Reading
from services.dataset.gates.report import AuditReport, DroppedExample, GateName, GateReport
from services.dataset.gates.settings import AuditSettings, QualityGate
from services.dataset.gates.shortcuts import Shortcuts
from services.dataset.grading import Grader
from services.servicekit.errors import InvalidField, NotConfigured

JUDGE_SETTING = "DATASET_JUDGE"


class Audit:
    """One audit of one dataset."""

    def __init__(self, settings: AuditSettings, grader: Grader | None) -> None:
        """Set up the gates.

        Raises:
            NotConfigured: the quality gate is asked for and there is no judge.
        """
        form, duplicates, contamination = (
            settings.form,
            settings.duplicates,
            settings.contamination,
        )
        self._form = Form(form) if form else None
        self._duplicates = Duplicates(duplicates) if duplicates else None
        self._contamination = Contamination(contamination) if contamination else None
        self._quality = _quality(settings.quality, grader, self) if settings.quality else None
        self._diversity = Diversity(settings.diversity) if settings.diversity else None
        self._shortcuts = Shortcuts(settings.shortcuts) if settings.shortcuts else None
        self._received = 0
        self._kept = 0
        self._kept_tokens = 0
        self._kept_by_clause: Counter[str] = Counter()
        self._dropped: list[DroppedExample] = []

    async def add(self, examples: Sequence[AuditedExample]) -> None:
        """Put some examples through the gates, in ascending index over the whole audit."""
        # Off the event loop: a batch takes long enough for other calls to notice.
        passed = await asyncio.to_thread(self._screen, examples)
        if self._quality is not None:
            for example in passed:
                await self._quality.offer(example)

    async def add_contrast(self, examples: Sequence[AuditedExample]) -> None:
        """Take in some examples of the dataset to contrast with, in any order.

        Raises:
            InvalidField: no gate compares with a contrast.
        """
        if self._shortcuts is None:
            raise InvalidField.at("contrast", "settings.shortcuts is unset, so nothing reads it")
        await asyncio.to_thread(_each, self._shortcuts.offer_contrast, examples)

    async def report(self) -> AuditReport:
        """Finish every gate and say what came of it.

        Raises:
            InvalidField: there was no example, or nothing to contrast with.
        """
        if not self._received:
            raise InvalidField.at("examples", "must hold one example or more; the dataset is empty")
        if self._shortcuts is not None and not self._shortcuts.has_contrast:
            raise InvalidField.at("contrast", "must hold examples, as settings.shortcuts is set")
        quality = await self._quality.report() if self._quality else None
        reports = await asyncio.to_thread(self._reports, quality)
        return AuditReport(
            gates=tuple(reports),
            dropped=tuple(sorted(self._dropped, key=lambda dropped: dropped.index)),
            kept=self._kept,
            kept_tokens=self._kept_tokens,
            kept_by_clause=dict(sorted(self._kept_by_clause.items())),
        )

    async def aclose(self) -> None:
        """Stop whatever still runs."""
        if self._quality is not None:
            await self._quality.aclose()

    def keep(self, example: AuditedExample) -> None:
        """Count an example that no gate dropped, and show it to the gates that measure all."""
        self._kept += 1
        self._kept_tokens += example.num_tokens
        self._kept_by_clause[example.clause] += 1
        if self._diversity is not None:
            self._diversity.offer(example)
        if self._shortcuts is not None:
            self._shortcuts.offer(example)

    def drop(self, example: AuditedExample, gate: GateName, detail: str) -> None:
        """Count an example that a gate dropped."""
        self._dropped.append(DroppedExample(index=example.index, gate=gate, detail=detail))

    def _screen(self, examples: Sequence[AuditedExample]) -> list[AuditedExample]:
        passed = []
        for example in examples:
            self._received += 1
            found = self._fault(Reading.of(example))
            if found is not None:
                self.drop(example, *found)
            elif self._quality is None:
                self.keep(example)
            else:
                passed.append(example)
        return passed

    def _fault(self, reading: Reading) -> tuple[GateName, str] | None:
        gates = (
            (GateName.FORM, self._form),
            (GateName.DUPLICATES, self._duplicates),
            (GateName.CONTAMINATION, self._contamination),
        )
        for name, gate in gates:
            fault = gate.fault(reading) if gate is not None else None
            if fault is not None:
                return name, fault
        return None

    def _reports(self, quality: GateReport | None) -> list[GateReport]:
        return [
            _report(GateName.FORM, self._form),
            _report(GateName.DUPLICATES, self._duplicates),
            _report(GateName.CONTAMINATION, self._contamination),
            quality or _report(GateName.QUALITY, None),
            _report(GateName.DIVERSITY, self._diversity),
            _report(GateName.SHORTCUTS, self._shortcuts),
        ]


class _Gate(Protocol):
    def report(self) -> GateReport: ...


def _quality(settings: QualityGate, grader: Grader | None, audit: Audit) -> Quality:
    if grader is None:
        raise NotConfigured(JUDGE_SETTING, "the quality gate asks the judge room")
    return Quality(
        settings,
        grader,
        keep=audit.keep,
        drop=lambda example, detail: audit.drop(example, GateName.QUALITY, detail),
    )


def _report(name: GateName, gate: _Gate | None) -> GateReport:
    if gate is not None:
        return gate.report()
    return GateReport(
        gate=name, ran=False, explanation="It did not run: the settings do not ask for it."
    )


def _each(take: Callable[[AuditedExample], None], examples: Iterable[AuditedExample]) -> None:
    for example in examples:
        take(example)

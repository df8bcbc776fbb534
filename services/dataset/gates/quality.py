"""The quality gate: what the judge room thinks of the examples.

The judge is asked while the dataset comes in, with a short queue between. No grade is never a
good grade: refusals and errors of the judge count as ungraded.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress

from services.dataset.gates.reading import AuditedExample
from services.dataset.gates.report import (
    MAX_DETAIL_CHARACTERS,
    GateMeasure,
    GateName,
    GateReport,
    explain,
    share_measure,
)
from services.dataset.gates.sampling import Sample
from services.dataset.gates.settings import QualityGate
from services.dataset.grading import Grade, GradeItem, Grader

QUESTION = "quality"
"""The rubric's question that decides; a rubric for this gate has it."""
QUEUE_LENGTH = 64

_NO_GRADE = "has no grade: "


class Quality:
    """Grades every example as it comes, or a sample of them at the end."""

    def __init__(
        self,
        settings: QualityGate,
        grader: Grader,
        *,
        keep: Callable[[AuditedExample], None],
        drop: Callable[[AuditedExample, str], None],
    ) -> None:
        """Take what to do with an example that may stay and with one that may not."""
        self._settings = settings
        self._grader = grader
        self._keep = keep
        self._drop = drop
        self._sample = Sample(settings.max_graded, seed="quality") if settings.max_graded else None
        self._queue: asyncio.Queue[AuditedExample | None] = asyncio.Queue(QUEUE_LENGTH)
        self._grading: asyncio.Task[None] | None = None
        self._offered = 0
        self._graded = 0
        self._low = 0
        self._ungraded = 0
        self._sums: Counter[str] = Counter()
        self._first_error = ""

    async def offer(self, example: AuditedExample) -> None:
        """Have an example graded, or drawn for it."""
        self._offered += 1
        if self._sample is None:
            await self._enqueue(example)
            return
        if self._offered == self._settings.max_graded + 1:
            # From here on it is a sample, and no example is dropped for its grade.
            for held in self._sample.examples:
                self._keep(held)
        self._sample.offer(example)
        if self._judges_a_share:
            self._keep(example)

    @property
    def _judges_a_share(self) -> bool:
        return 0 < self._settings.max_graded < self._offered

    async def report(self) -> GateReport:
        """Wait for the last grade, and say what came of all."""
        if self._sample is not None:
            for example in self._sample.examples:
                await self._enqueue(example)
        if self._grading is not None:
            await self._enqueue(None)
            await self._grading
        return self._report()

    async def aclose(self) -> None:
        """Stop asking the judge at once."""
        if self._grading is not None:
            self._grading.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await self._grading

    async def _enqueue(self, example: AuditedExample | None) -> None:
        if self._grading is None:
            self._grading = asyncio.create_task(self._grade_all())
        putting = asyncio.ensure_future(self._queue.put(example))
        try:
            # A judge that fails stops reading; whoever waits for room must hear of it.
            await asyncio.wait({putting, self._grading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not putting.done():
                putting.cancel()
        if self._grading.done():
            self._grading.result()

    async def _grade_all(self) -> None:
        waiting: deque[AuditedExample] = deque()
        async with aclosing(self._grader.grade_texts(self._items(waiting))) as grades:
            async for grade in grades:
                self._take(waiting.popleft(), grade)
        if waiting:
            raise RuntimeError(f"the judge left {len(waiting)} examples out")

    async def _items(self, waiting: deque[AuditedExample]) -> AsyncIterator[GradeItem]:
        while (example := await self._queue.get()) is not None:
            waiting.append(example)
            yield GradeItem(
                rubric=self._settings.rubric,
                judge_model=self._settings.judge_model,
                content=example.content,
            )

    def _take(self, example: AuditedExample, grade: Grade) -> None:
        value = grade.values.get(QUESTION) if grade.values is not None else None
        if grade.values is None or value is None:
            fault = f"{_NO_GRADE}{_why_ungraded(grade)}"[:MAX_DETAIL_CHARACTERS]
            self._ungraded += 1
            self._first_error = self._first_error or fault.removeprefix(_NO_GRADE)
        else:
            self._graded += 1
            self._sums.update(dict(grade.values))
            is_low = value < self._settings.min_grade
            self._low += is_low
            fault = f"graded {value:g}, below {self._settings.min_grade:g}" if is_low else ""
        if self._judges_a_share:
            return
        if fault:
            self._drop(example, fault)
        else:
            self._keep(example)

    def _report(self) -> GateReport:
        settings, asked = self._settings, self._graded + self._ungraded
        is_sample = self._judges_a_share
        measures = (
            share_measure(
                "dropped_share",
                self._low + self._ungraded,
                asked,
                most=settings.max_dropped_share,
                what=("of a sample would be" if is_sample else "were")
                + f" dropped: {self._low} for a grade below {settings.min_grade:g}, "
                f"{self._ungraded} without a grade",
            ),
            share_measure(
                "ungraded_share",
                self._ungraded,
                asked,
                most=settings.max_ungraded_share,
                what="have no grade"
                + (f"; the first: {self._first_error}" if self._first_error else ""),
            ),
            *(
                GateMeasure(
                    name=f"mean_{question}",
                    value=total / self._graded,
                    evidence=f"over {self._graded} graded examples",
                )
                for question, total in sorted(self._sums.items())
            ),
        )
        return GateReport(
            gate=GateName.QUALITY,
            ran=True,
            checked=self._offered,
            dropped=0 if is_sample else self._low + self._ungraded,
            measures=measures,
            explanation=explain(
                measures,
                well=f"{self._graded} examples were graded by {settings.judge_model.model}.",
                advice="Read the lowest grades, and mend the stages that wrote them; where grades "
                "are missing, see to the judge.",
            ),
        )


def _why_ungraded(grade: Grade) -> str:
    if grade.refusal:
        return "the judge declined"
    if grade.error:
        return grade.error
    return f'the rubric has no question "{QUESTION}"'

"""What the tests of the gates share: examples, audits of them, and judges written by hand."""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from random import Random

from services.dataset.example import Conversation, Text
from services.dataset.gates.audit import Audit
from services.dataset.gates.reading import AuditedExample
from services.dataset.gates.report import AuditReport, GateName, GateReport
from services.dataset.gates.settings import AuditSettings
from services.dataset.grading import Grade, GradeItem, Grader
from services.servicekit.conversation import Message, Role, ToolDefinition

ENDINGS = ("ab", "ed", "im", "or", "ul", "an", "es")
WORDS = [f"{first}{last}" for first in "bdfgklmnprstvz" for last in ENDINGS]


def document(
    text: str, index: int = 0, *, num_tokens: int = 100, clause: str = ""
) -> AuditedExample:
    return AuditedExample(
        index=index, content=Text(text=text), num_tokens=num_tokens, clause=clause
    )


def chat(
    *messages: Message, index: int = 0, tools: Sequence[ToolDefinition] = ()
) -> AuditedExample:
    content = Conversation(messages=messages, tools=tuple(tools))
    return AuditedExample(index=index, content=content, num_tokens=100)


def user(text: str) -> Message:
    return Message(role=Role.USER, content=text)


def assistant(text: str) -> Message:
    return Message(role=Role.ASSISTANT, content=text)


def varied_text(seed: int, num_words: int = 120) -> str:
    rng = Random(seed)
    return " ".join(rng.choice(WORDS) for _ in range(num_words))


def varied(count: int, start: int = 0) -> list[AuditedExample]:
    return [document(varied_text(i), i) for i in range(start, start + count)]


async def audited(
    examples: Iterable[AuditedExample],
    settings: AuditSettings,
    *,
    grader: Grader | None = None,
    contrast: Sequence[AuditedExample] = (),
) -> AuditReport:
    audit = Audit(settings, grader)
    try:
        if contrast:
            await audit.add_contrast(contrast)
        await audit.add(list(examples))
        return await audit.report()
    finally:
        await audit.aclose()


def gate(report: AuditReport, name: GateName) -> GateReport:
    (found,) = (each for each in report.gates if each.gate is name)
    return found


def measure(report: GateReport, name: str) -> float:
    (found,) = (each.value for each in report.measures if each.name == name)
    return found


class WrittenJudge:
    """Grades by a function of the text, in order."""

    def __init__(self, judge: Callable[[str], Grade | Exception]) -> None:
        self._judge = judge
        self.graded: list[str] = []

    async def grade_texts(self, items: AsyncIterable[GradeItem]) -> AsyncGenerator[Grade, None]:
        async for item in items:
            yield await self.grade(item)

    async def grade(self, item: GradeItem) -> Grade:
        assert isinstance(item.content, Text)
        self.graded.append(item.content.text)
        grade = self._judge(item.content.text)
        if isinstance(grade, Exception):
            raise grade
        return grade

    async def rubric_revision(self, rubric: str) -> str:
        return "ab" * 32


def graded(quality: float) -> Grade:
    return Grade(values={"quality": quality})

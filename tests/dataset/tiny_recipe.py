"""A small language recipe, and a model that answers it, for tests of the engine."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel
from teachwhy.common.v1 import model_pb2
from teachwhy.dataset.v1 import recipe_pb2

from services.dataset.authoring.pen import Pen
from services.dataset.authoring.recipe import LanguageRecipe
from services.dataset.example import Conversation, Draft, RejectionReason
from services.dataset.grading import Grade, GradeItem
from services.dataset.recipe import Stage, TrainingForm
from services.servicekit.chat import ChatReply, ChatRequest, FinishReason, Usage
from services.servicekit.conversation import Message, Role

Answer: TypeAlias = str | ChatReply | Exception
NUM_TOPICS = 4


class Kinds(BaseModel):
    kinds: list[str]


async def write_advice(pen: Pen) -> Draft:
    topic = f"topic {pen.index % NUM_TOPICS}"
    made = await pen.shared("kinds", Kinds, key=(topic,), topic=topic)
    kind = pen.draw("kind", pen.rng.choice(made.kinds))
    text = await pen.text("draft", kind=kind)
    if pen.includes("rewrite"):
        text = await pen.text("rewrite", draft=text)
    question = Message(role=Role.USER, content=f"What should {kind} do?")
    answer = Message(role=Role.ASSISTANT, content=text)
    content = Conversation(messages=(question, answer))
    if pen.includes("filter"):
        grades = await pen.grade("filter", rubric="tiny", content=content)
        if grades["good"] < 5:
            pen.reject("filter", RejectionReason.FILTERED, f"graded {grades['good']:g}")
    return Draft(content=content, clause=pen.clause.id, family="work")


TINY = LanguageRecipe(
    name="tiny-advice",
    title="Tiny advice",
    description="For tests.",
    form=TrainingForm.CHAT,
    stages=(
        Stage(name="kinds", title="Kinds of people", is_shared=True),
        Stage(name="draft", title="A first text"),
        Stage(name="rewrite", title="A better one", is_optional=True),
        Stage(name="filter", title="Good ones only", is_optional=True, sample_grades={"good": 8.0}),
    ),
    variants=("plain", "ornate"),
    styles=("short", "long", "odd"),
    write=write_advice,
    prompts_root=Path(__file__).parent / "prompts",
)
RECIPES = {"tiny-advice": TINY}


def stage_of(request: ChatRequest) -> str:
    words = request.messages[-1].content.split()
    return words[1] if words[0] == "STAGE" else "probe"


def digest(request: ChatRequest) -> str:
    return hashlib.sha256(repr(request).encode()).hexdigest()[:12]


def usual_answer(request: ChatRequest) -> Answer:
    """A text that depends on the request and on nothing else."""
    if stage_of(request) == "kinds":
        return json.dumps({"kinds": [f"{name} {digest(request)}" for name in ("Ada", "Bo", "Cy")]})
    return f"{stage_of(request)} {digest(request)} " + "with some more words " * 4


def reply_with(
    text: str, finish_reason: FinishReason = FinishReason.STOP, tokens: int = 20
) -> ChatReply:
    return ChatReply(
        message=Message(role=Role.ASSISTANT, content=text),
        finish_reason=finish_reason,
        usage=Usage(input_tokens=10, output_tokens=tokens),
        model_revision="fake-1 fp_0",
    )


class FakeModel:
    """Answers from a function, notes what was asked, and waits where it is told to."""

    def __init__(self, answer: Callable[[ChatRequest], Answer] = usual_answer) -> None:
        self.answer = answer
        self.requests: list[ChatRequest] = []
        self.open = asyncio.Event()
        self.open.set()
        self.in_flight = 0
        self.peak = 0
        self.num_cancelled = 0
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until calls that begin and end have made this true."""
        while not condition():
            await self._changed.wait()

    def _count(self, calls: int) -> None:
        self.in_flight += calls
        self.peak = max(self.peak, self.in_flight)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def reply(self, request: ChatRequest) -> ChatReply:
        self.requests.append(request)
        self._count(1)
        try:
            await asyncio.sleep(0)
            await self.open.wait()
        except asyncio.CancelledError:
            self.num_cancelled += 1
            raise
        finally:
            self._count(-1)
        answer = self.answer(request)
        if isinstance(answer, Exception):
            raise answer
        return reply_with(answer) if isinstance(answer, str) else answer

    def asked(self, stage: str) -> list[ChatRequest]:
        return [request for request in self.requests if stage_of(request) == stage]


class FakeGrader:
    """Grades from a function and counts; its rubric may be edited."""

    def __init__(self, grade: Callable[[GradeItem], Grade] | None = None) -> None:
        self._grade = grade or (lambda _: Grade(values={"good": 8.0}))
        self.num_grades = 0
        self.revision = "ab" * 32

    async def grade_texts(self, items: AsyncIterable[GradeItem]) -> AsyncGenerator[Grade, None]:
        async for item in items:
            yield await self.grade(item)

    async def grade(self, item: GradeItem) -> Grade:
        self.num_grades += 1
        return replace(self._grade(item), rubric_revision=self.revision)

    async def rubric_revision(self, rubric: str) -> str:
        return self.revision


def tiny_spec(
    token_budget: int = 600, *, seed: int = 0, judged: bool = False, **author: object
) -> recipe_pb2.DatasetSpec:
    omitted = [*author.pop("omitted_stages", ())] + ([] if judged else ["filter"])  # type: ignore[misc]
    language = recipe_pb2.LanguageModelAuthor(
        model=model_pb2.ModelRef(model="fake"),
        omitted_stages=omitted,
        **author,  # type: ignore[arg-type]
    )
    if judged:
        language.judge_model.model = "judge"
    return recipe_pb2.DatasetSpec(
        recipe="tiny-advice", seed=seed, token_budget=token_budget, language_model=language
    )

"""Asks a language model to grade a text, again where a reply is unusable, and never guesses.

Knows no wire. What goes wrong with a text is its outcome. Raised is only what every other text
would meet too: a host that answers nobody, a model or key that it refuses, a lost store.
"""

import asyncio
import logging
from collections.abc import Sequence

from services.judge.grading.grade import Grade, GradedText, GradeOutcome, ReplyFault
from services.judge.grading.placing import code_of
from services.judge.grading.reply import UnusableReply, read_reply
from services.judge.grading.text_rubric import TextRubric
from services.judge.verdict import GraderError, GraderErrorReason
from services.servicekit.chat import ChatModel, ChatRequest, ModelRef, Sampling, Usage
from services.servicekit.errors import ModelRejectedRequest, ModelUnavailable, ServiceError
from services.servicekit.host_watch import HostWatch

TRIES = 3
"""Most replies that are asked for about one text."""

_RETRY_TEMPERATURE = 0.7  # a greedy judge would say the same again, whatever the seed
_MAX_OUTPUT_TOKENS = 32_768

_LOGGER = logging.getLogger(__name__)


class TextGrader:
    """Grades texts through one chat model, a bounded number at a time."""

    def __init__(self, model: ChatModel, watch: HostWatch, *, max_concurrency: int) -> None:
        """Grade through these.

        Args:
            model: Gives the replies, kept ones perhaps.
            watch: Knows which hosts answer.
            max_concurrency: Texts that are graded at once, over all callers.
        """
        self.max_concurrency = max_concurrency
        self._model = model
        self._watch = watch
        self._gate = asyncio.Semaphore(max_concurrency)

    async def grade(self, rubric: TextRubric, judge_model: ModelRef, text: GradedText) -> Grade:
        """Grade one text, once there is room for it.

        Raises:
            ModelUnavailable: the host answers nobody; repeating the call is safe.
            ModelRejectedRequest: the host refuses everything, not only this text.
            ServiceError: the room itself cannot work.
        """
        async with self._gate:
            asking = _Asking(self._model, self._watch, rubric, judge_model, text)
            return await asking.grade()


class _Asking:
    """The tries that one text takes."""

    def __init__(
        self,
        model: ChatModel,
        watch: HostWatch,
        rubric: TextRubric,
        judge_model: ModelRef,
        text: GradedText,
    ) -> None:
        self._model = model
        self._watch = watch
        self._num_answers_before = 0
        self._rubric = rubric
        self._judge_model = judge_model
        self._text = text
        self._usage = Usage()
        self._model_revision = ""
        self._unusable: list[UnusableReply] = []

    async def grade(self) -> Grade:
        outcome = await self._outcome()
        return Grade(
            rubric=self._rubric.name,
            rubric_revision=self._rubric.revision,
            judge_model=self._judge_model,
            model_revision=self._model_revision,
            outcome=outcome,
            usage=self._usage,
            faults=tuple(each.fault for each in self._unusable),
        )

    async def _outcome(self) -> GradeOutcome:
        if _is_blank(self._text):
            return GraderError(
                reason=GraderErrorReason.EPISODE_INVALID, detail="the text to be graded is empty"
            )
        try:
            return await self._ask()
        except (ModelUnavailable, ModelRejectedRequest) as error:
            if not await self._host_answers_others():
                raise
            return GraderError(reason=GraderErrorReason.JUDGE_FAILED, detail=str(error))
        except ServiceError:
            raise
        except Exception as fault:  # a broken judge must never look like a grade
            _LOGGER.exception("grading a text failed")
            return GraderError(
                reason=GraderErrorReason.JUDGE_FAILED,
                detail=f"the judge failed with {type(fault).__name__}; its log says where",
            )

    async def _ask(self) -> GradeOutcome:
        code = code_of(self._rubric.revision, self._text)
        messages = self._rubric.messages(self._text, code)
        for seed in range(TRIES):
            request = ChatRequest(
                target=self._judge_model, messages=messages, sampling=self._sampling(seed)
            )
            self._num_answers_before = self._watch.num_answers(self._judge_model)
            reply = await self._model.reply(request)
            self._usage = Usage(
                input_tokens=self._usage.input_tokens + reply.usage.input_tokens,
                output_tokens=self._usage.output_tokens + reply.usage.output_tokens,
            )
            self._model_revision = reply.model_revision
            try:
                return read_reply(self._rubric, code, reply)
            except UnusableReply as unusable:
                self._unusable.append(unusable)
        return GraderError(reason=GraderErrorReason.JUDGE_FAILED, detail=_account(self._unusable))

    async def _host_answers_others(self) -> bool:
        return await self._watch.answers_others(
            self._judge_model, num_answers_before=self._num_answers_before
        )

    def _sampling(self, seed: int) -> Sampling:
        cut = sum(each.fault is ReplyFault.TRUNCATED for each in self._unusable)
        temperature = self._rubric.temperature
        return Sampling(
            temperature=max(temperature, _RETRY_TEMPERATURE) if seed else temperature,
            max_output_tokens=min(self._rubric.max_output_tokens * 2**cut, _MAX_OUTPUT_TOKENS),
            seed=seed,
        )


def _is_blank(text: GradedText) -> bool:
    if isinstance(text.content, str):
        return not text.content.strip()
    return not any(message.content.strip() or message.tool_calls for message in text.content)


def _account(unusable: Sequence[UnusableReply]) -> str:
    told = "; ".join(f"{each.fault.name.lower()}: {each}" for each in unusable)
    return f"none of {len(unusable)} replies of the judge could be used: {told}"

"""Authors that answer from a script, and recipes carried out with them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from services.dataset.authoring.desk import Desk, Exchange, Order
from services.dataset.authoring.pen import Pen
from services.dataset.authoring.recipe import LanguageRecipe
from services.dataset.constitution.clauses import read_constitution
from services.dataset.example import Content, Conversation, Draft
from services.dataset.spec import Augmentation, LanguageSettings
from services.servicekit.chat import ChatReply, ChatRequest, FinishReason, ModelRef, Usage
from services.servicekit.conversation import Message, Role

CONSTITUTION = """# A constitution

## Honesty

### No deception

It says nothing false, because people act on what they are told.

## Oversight

### Being corrected

It lets people correct it, because nobody can yet check its values from outside.
"""


@dataclass
class ScriptedAuthors:
    """Answers a stage with the script's text for it, or else with the sample of its prompt."""

    recipe: LanguageRecipe
    script: Mapping[str, str | Callable[[ChatRequest], str]] = field(default_factory=dict)
    grades: Mapping[str, float] | None = None
    asked: list[tuple[str, ChatRequest]] = field(default_factory=list)
    graded: list[tuple[str, str, Content, str]] = field(default_factory=list)

    async def reply(self, stage: str, request: ChatRequest) -> ChatReply:
        self.asked.append((stage, request))
        scripted = self.script.get(stage, self.recipe.prompts[stage].sample_reply)
        text = scripted if isinstance(scripted, str) else scripted(request)
        return ChatReply(
            message=Message(role=Role.ASSISTANT, content=text),
            finish_reason=FinishReason.STOP,
            usage=Usage(),
        )

    def key(self, request: ChatRequest) -> str:
        return ""

    async def grade(
        self, stage: str, *, rubric: str, content: Content, reference: str
    ) -> tuple[Exchange, Mapping[str, float]]:
        self.graded.append((stage, rubric, content, reference))
        request = ChatRequest(target=ModelRef(model="judge"), messages=())
        reply = ChatReply(
            message=Message(role=Role.ASSISTANT, content=""),
            finish_reason=FinishReason.STOP,
            usage=Usage(),
        )
        exchange = Exchange(
            stage=stage, prompt_version=rubric, request=request, reply=reply, key=""
        )
        return exchange, self.grades or self.recipe.stage(stage).sample_grades

    @property
    def stages(self) -> list[str]:
        """Stages in the order in which they were asked, the judge's not among them."""
        return [stage for stage, _ in self.asked]

    def prompt(self, stage: str) -> str:
        """The whole prompt of the last request of a stage."""
        requests = [request for name, request in self.asked if name == stage]
        return "\n\n".join(message.content for message in requests[-1].messages)


def order_of(recipe: LanguageRecipe, **settings: object) -> Order:
    """An order for a recipe with the small constitution and a seed of 5."""
    known = LanguageSettings(model=ModelRef(model="writer"), **settings)  # type: ignore[arg-type]
    return Order(
        recipe=recipe, settings=known, constitution=read_constitution(CONSTITUTION), seed=5
    )


async def write_drafts(
    authors: ScriptedAuthors,
    indices: Sequence[int],
    *,
    write: Callable[[Pen], Awaitable[Draft]] | None = None,
    **settings: object,
) -> list[Draft]:
    """Write items of the authors' recipe, one after the other."""
    return [draft for draft, _ in await write_noted(authors, indices, write=write, **settings)]


async def write_noted(
    authors: ScriptedAuthors,
    indices: Sequence[int],
    *,
    write: Callable[[Pen], Awaitable[Draft]] | None = None,
    **settings: object,
) -> list[tuple[Draft, Mapping[str, str]]]:
    """Write items, and return what was drawn for each with it."""
    desk = Desk(order_of(authors.recipe, **settings), authors)
    try:
        pens = [Pen(desk, index) for index in indices]
        return [(await (write or authors.recipe.write)(pen), pen.draws) for pen in pens]
    finally:
        desk.close()


def everywhere(share: float) -> Augmentation:
    """An augmentation with one share for all that can be added."""
    return Augmentation(unused_tools_share=share, system_prompt_share=share, persona_share=share)


def chat_of(draft: Draft) -> dict[str, str]:
    """The texts of a draft by role."""
    assert isinstance(draft.content, Conversation)
    return {message.role.value: message.content for message in draft.content.messages}

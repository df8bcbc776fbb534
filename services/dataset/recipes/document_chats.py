"""Document chats: constitutional documents as answers, each with the message it answers.

In "Teaching Claude Why" the same content teaches more as documents than as chats. The documents
here are those of constitutional-documents with the same seed, so that the two differ in nothing
but the form, and documents that were paid for already are not paid for again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.dataset.authoring.pen import Pen
from services.dataset.authoring.prompts import Prompt, load_prompts
from services.dataset.authoring.recipe import AUGMENTATION_PROMPTS, LanguageRecipe
from services.dataset.example import Draft
from services.dataset.recipe import Stage, TrainingForm
from services.dataset.recipes import constitutional_documents as documents
from services.dataset.recipes.augmentation import AUGMENTATION_CHECK, augmented
from services.dataset.recipes.chats import conversation_of
from services.dataset.recipes.decks import draw
from services.dataset.recipes.pages import clean_page


@dataclass(frozen=True, slots=True, kw_only=True)
class _DocumentChats(LanguageRecipe):
    @property
    def prompts(self) -> Mapping[str, Prompt]:
        """Its own, and those of the recipe it begins with."""
        return {
            **load_prompts(AUGMENTATION_PROMPTS),
            **load_prompts(documents.RECIPE.name),
            **load_prompts(self.name),
        }


async def _write(pen: Pen) -> Draft:
    document = await documents.write_document(pen)
    asked = await pen.text(
        "question",
        document=document.text,
        type=document.type,
        manner_of_asking=draw(pen, "manner-of-asking", "asking", "manners-of-asking"),
    )
    question = clean_page(pen, "question", asked)
    chat = conversation_of("", question, document.text)
    return await augmented(pen, Draft(content=chat, clause=pen.clause.id))


RECIPE: Final = _DocumentChats(
    name="document-chats",
    title="Constitutional documents as chats",
    description="The texts of constitutional-documents, each as the answer to a message that asks "
    "for it: the paper's comparison of documents with chats of the same content.",
    form=TrainingForm.CHAT,
    stages=(
        *documents.DOCUMENT_STAGES,
        Stage(name="question", title="Writes the message that the document answers"),
        AUGMENTATION_CHECK,
    ),
    styles=documents.RECIPE.styles,
    draws=documents.RECIPE.name,
    takes_augmentation=True,
    write=_write,
)
"""The recipe."""

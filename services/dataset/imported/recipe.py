"""The recipe that imports chats."""

from dataclasses import dataclass

from services.dataset.recipe import AuthorKind, Recipe, Stage, TrainingForm
from services.servicekit.digest import code_digest, digest_of

READ = "read"
AUGMENT = "augment"
"""Names of the stages."""

_DECIDING_CODE = (
    "services.dataset.example",
    "services.dataset.imported",
    "services.dataset.recipes.surroundings",
    "services.dataset.recipes.system_prompts",
    "services.dataset.recipes.unused_tools",
    "services.dataset.recipes.decks",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRecipe(Recipe):
    """A recipe whose examples are read."""

    author: AuthorKind = AuthorKind.IMPORT

    @property
    def revision(self) -> str:
        """Digest of the code that reads, 64 hex digits; the source is part of the plan's."""
        return digest_of(self.name, code_digest(*_DECIDING_CODE))


IMPORTED_CHATS = ImportRecipe(
    name="imported-chats",
    title="Chats from a file",
    description="Chats of a JSONL or Parquet file, in an order drawn by the seed: the "
    "token-matched control for fine-tuning as such, or replay data to mix in.",
    form=TrainingForm.CHAT,
    stages=(
        Stage(name=READ, title="Read a row and check that it is a chat"),
        Stage(name=AUGMENT, title="Add what the request's augmentation asks for"),
    ),
)

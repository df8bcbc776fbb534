"""The port to a judge of texts. Knows no wire, no prompt and no model host."""

from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from services.dataset.example import Content
from services.servicekit.chat import ModelRef, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeItem:
    """One text that waits for a grade."""

    rubric: str
    """Name of a rubric for texts, for example "example-quality"."""

    judge_model: ModelRef
    """Model that grades, behind an endpoint of the judge's own settings."""

    content: Content

    reference: str = ""
    """What it is graded against, for example a clause in Markdown; empty for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """Scores, a refusal or an error; a text without values was not found good."""

    values: Mapping[str, float] | None
    """Value by question of the rubric; None where there is a refusal or an error."""

    rationale: str = ""
    """Why, in the judge's words; empty without values."""

    refusal: str = ""
    """What the judge said when it declined or abstained; empty if it did neither."""

    error: str = ""
    """Why there is no grade; empty if there is one or a refusal."""

    rubric_revision: str = ""
    """Digest of the rubric that graded, 64 hex digits."""

    model_revision: str = ""
    """What the host said that graded; empty where none did."""

    usage: Usage = field(default_factory=Usage)
    """Tokens of the judge model, all its tries together."""


class Grader(Protocol):
    """Anything that grades texts."""

    def grade_texts(self, items: AsyncIterable[GradeItem]) -> AsyncGenerator[Grade, None]:
        """Grade texts; grades come in the order of the items. Close it to stop spending.

        Raises:
            ResourceNotFound: there is no such rubric or endpoint.
            InvalidField: an item is not what its rubric needs.
            ModelUnavailable: the judge or its model's host does not answer; repeating is safe.
            ModelRejectedRequest: the host refuses the judge model, whatever the text.
        """
        ...

    async def grade(self, item: GradeItem) -> Grade:
        """Grade one text. Raises as `grade_texts` does."""
        ...

    async def rubric_revision(self, rubric: str) -> str:
        """Return the revision by which texts are graded now, 64 hex digits; at most a minute old.

        Raises:
            ResourceNotFound: there is no such rubric.
            ModelUnavailable: the judge does not answer; repeating is safe.
        """
        ...

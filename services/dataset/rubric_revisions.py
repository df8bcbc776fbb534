"""Remembers for a minute which revisions the judge's rubrics have. Knows no wire."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from services.servicekit.errors import ResourceNotFound

REMEMBERED_SECONDS = 60.0
"""How long an edited rubric may go unnoticed by callers that meet the judge in no other way."""


class RubricRevisions:
    """Asks the judge once for all who want to know."""

    def __init__(
        self,
        ask: Callable[[], Coroutine[Any, Any, Mapping[str, str]]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember what the judge answers.

        Args:
            ask: Returns the revision of every rubric for texts, by name.
            clock: Seconds since any moment.
        """
        self._ask = ask
        self._clock = clock
        self._asked: asyncio.Task[Mapping[str, str]] | None = None
        self._asked_at = 0.0
        self._revisions: Mapping[str, str] = {}

    async def of(self, rubric: str) -> str:
        """Return the revision of a rubric, 64 hex digits.

        Raises:
            ResourceNotFound: the judge has no such rubric.
            ServiceError: whatever asking raises; the next caller asks again.
        """
        asked = self._asked
        if asked is None or self._clock() - self._asked_at >= REMEMBERED_SECONDS:
            asked = self._asked = asyncio.create_task(self._ask())
            self._asked_at = self._clock()
            asked.add_done_callback(self._keep)
        # A caller that is given up must not take the others' answer with it.
        revisions = await asyncio.shield(asked)
        if rubric not in revisions:
            raise ResourceNotFound("rubric of the judge", rubric, known=tuple(revisions))
        return revisions[rubric]

    def notice(self, rubric: str, revision: str) -> None:
        """Hear by which revision a text was graded; forget everything if it is another one."""
        if self._revisions.get(rubric, revision) != revision:
            self.forget()

    def forget(self) -> None:
        """Ask again when somebody next wants to know."""
        self._asked, self._revisions = None, {}

    def _keep(self, asked: "asyncio.Task[Mapping[str, str]]") -> None:
        has_failed = asked.cancelled() or asked.exception() is not None
        if self._asked is not asked:
            return
        if has_failed:
            self.forget()
        else:
            self._revisions = asked.result()

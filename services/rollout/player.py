"""Plays scenarios with one chat model, one by one or as a series.

Knows no wire; the bound on what runs at once holds over everything it plays.
"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from services.rollout.agent import Casting, play
from services.rollout.episode import Episode
from services.rollout.scenario import Scenario
from services.rollout.suites import Playlist, Suite
from services.servicekit.chat import ChatModel, ModelRef, Sampling
from services.servicekit.series import in_order


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The agent's part: which model plays, and how."""

    target: ModelRef
    sampling: Sampling
    max_turns: int
    """0 means each suite's own."""


class Player:
    """Plays agents through one chat model."""

    def __init__(self, model: ChatModel, *, max_concurrency: int) -> None:
        self._model = model
        self._max_concurrency = max_concurrency
        self._gate = asyncio.Semaphore(max_concurrency)

    async def play_one(self, suite: Suite, scenario: Scenario, part: Part) -> Episode:
        """Play one scenario, once there is room for it."""
        async with self._gate:
            return await self._play(suite, scenario, part)

    def play_all(
        self, playlist: Playlist, part: Part, start_index: int
    ) -> AsyncGenerator[Episode, None]:
        """Play a series from an index on, in order. Close it to stop all its model calls."""

        async def make(index: int) -> Episode:
            suite, scenario = playlist.at(index)
            return await self._play(suite, scenario, part)

        return in_order(
            make,
            range(start_index, len(playlist)),
            gate=self._gate,
            max_concurrency=self._max_concurrency,
        )

    async def _play(self, suite: Suite, scenario: Scenario, part: Part) -> Episode:
        casting = Casting(
            target=part.target,
            sampling=part.sampling,
            max_turns=part.max_turns or suite.profile.max_turns,
            suite_revision=suite.profile.revision,
        )
        return await play(self._model, scenario, suite.environment(scenario), casting)

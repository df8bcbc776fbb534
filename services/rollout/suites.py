"""The registry of suites, and where each scenario of a series is found.

Knows no pack: a suite is anything that makes scenarios by position and draw and the environment
that each is played in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.rollout.agent import Environment
from services.rollout.scenario import Scenario, SuiteProfile
from services.servicekit.errors import ResourceNotFound


class Suite(Protocol):
    """A named set of scenarios in a fixed order."""

    @property
    def profile(self) -> SuiteProfile:
        """What is known of it before any world is built."""
        ...

    def scenario(self, world_seed: int, position: int, draw: int) -> Scenario:
        """Make the scenario at a position, 0 to num_scenarios - 1, of a world."""
        ...

    def find(self, scenario_id: str) -> Scenario | None:
        """Make the scenario with this id, or return None when it is none of this suite's."""
        ...

    def environment(self, scenario: Scenario) -> Environment:
        """Set up a fresh environment for one of its scenarios."""
        ...


class Suites:
    """Every suite of the room, by name."""

    def __init__(self, suites: Iterable[Suite]) -> None:
        ordered = sorted(suites, key=lambda suite: suite.profile.name)
        self._by_name: Mapping[str, Suite] = {suite.profile.name: suite for suite in ordered}

    @property
    def names(self) -> Sequence[str]:
        """All names, in order."""
        return tuple(self._by_name)

    def profiles(self) -> Sequence[SuiteProfile]:
        """All profiles, ordered by name."""
        return tuple(suite.profile for suite in self._by_name.values())

    def get(self, name: str) -> Suite:
        """Return a suite.

        Raises:
            ResourceNotFound: there is no such suite.
        """
        if name not in self._by_name:
            raise ResourceNotFound("suite", name, known=self.names)
        return self._by_name[name]

    def find(self, scenario_id: str) -> tuple[Suite, Scenario]:
        """Return the scenario with this id and its suite.

        Raises:
            ResourceNotFound: no suite has it.
        """
        for suite in self._by_name.values():
            scenario = suite.find(scenario_id)
            if scenario is not None:
                return suite, scenario
        raise ResourceNotFound("scenario", scenario_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Playlist:
    """The scenarios of one request in the order in which they are played.

    Suites come in the order given, scenarios in their suite's order, draws innermost.
    """

    suites: tuple[Suite, ...]
    world_seed: int
    draws_per_scenario: int

    def __len__(self) -> int:
        return sum(suite.profile.num_scenarios for suite in self.suites) * self.draws_per_scenario

    def at(self, index: int) -> tuple[Suite, Scenario]:
        """Return the scenario at an index, 0 to len - 1, and its suite."""
        position, draw = divmod(index, self.draws_per_scenario)
        for suite in self.suites:
            if position < suite.profile.num_scenarios:
                return suite, suite.scenario(self.world_seed, position, draw)
            position -= suite.profile.num_scenarios
        raise IndexError(index)

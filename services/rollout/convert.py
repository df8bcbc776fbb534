"""Between the wire and the rollout's own types: reads requests field by field, writes records."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from teachwhy.rollout.v1 import episode_pb2, rollout_service_pb2, scenario_pb2

from services.rollout.episode import (
    SCHEMA_VERSION,
    CallState,
    Episode,
    EpisodeState,
    LedgerEntry,
)
from services.rollout.paging import ForeignPageTokenError, Page, page_of
from services.rollout.player import Part
from services.rollout.scenario import CallPattern, Scenario, ScenarioKind, Split, SuiteProfile
from services.rollout.suites import Playlist, Suites
from services.servicekit.chat import ModelRef, Sampling
from services.servicekit.conversation_convert import (
    message_to_proto,
    model_ref_from_proto,
    model_ref_to_proto,
    sampling_from_proto,
    sampling_to_proto,
    tool_to_proto,
    usage_to_proto,
)
from services.servicekit.digest import canonical_json
from services.servicekit.errors import FieldViolation, InvalidField

MAX_DRAWS = 1000
MAX_TURNS = 100

_SPLITS = {
    Split.MATCHED: scenario_pb2.SPLIT_MATCHED,
    Split.HELD_OUT: scenario_pb2.SPLIT_HELD_OUT,
}
_KINDS = {
    ScenarioKind.HONEYPOT: scenario_pb2.SCENARIO_KIND_HONEYPOT,
    ScenarioKind.BENIGN_TWIN: scenario_pb2.SCENARIO_KIND_BENIGN_TWIN,
}
_STATES = {
    EpisodeState.COMPLETED: episode_pb2.EPISODE_STATE_COMPLETED,
    EpisodeState.TRUNCATED: episode_pb2.EPISODE_STATE_TRUNCATED,
    EpisodeState.TURN_LIMIT: episode_pb2.EPISODE_STATE_TURN_LIMIT,
    EpisodeState.MODEL_FAILED: episode_pb2.EPISODE_STATE_MODEL_FAILED,
}
_CALL_STATES = {
    CallState.EXECUTED: episode_pb2.CALL_STATE_EXECUTED,
    CallState.REJECTED: episode_pb2.CALL_STATE_REJECTED,
}

_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRequest:
    """A series as asked for."""

    playlist: Playlist
    part: Part
    start_index: int


class RequestReader:
    """Reads requests, and names every field of a request that is wrong."""

    def __init__(self, suites: Suites, endpoints: Sequence[str]) -> None:
        self._suites = suites
        self._endpoints = endpoints

    def page(self, request: rollout_service_pb2.ListScenariosRequest) -> Page:
        """Read a request for scenarios and cut its page.

        Raises:
            InvalidField: a field holds a value that is not allowed.
            ResourceNotFound: there is no such suite.
        """
        faults = _Faults()
        draws = faults.bounded("draws_per_scenario", request.draws_per_scenario, MAX_DRAWS)
        if not request.suite:
            faults.add("suite", f"is required; known: {', '.join(self._suites.names)}")
        if request.page_size < 0:
            faults.add("page_size", f"must be 0 or more, got {request.page_size}")
        faults.raise_any()
        playlist = Playlist(
            suites=(self._suites.get(request.suite),),
            world_seed=request.world_seed,
            draws_per_scenario=draws or 1,
        )
        try:
            return page_of(playlist, page_size=request.page_size, page_token=request.page_token)
        except ForeignPageTokenError:
            raise InvalidField.at(
                "page_token", "must be the next_page_token of the same request, or empty"
            ) from None

    def part(self, request: rollout_service_pb2.RunEpisodeRequest) -> Part:
        """Read the agent's part of a single episode.

        Raises:
            InvalidField: a field holds a value that is not allowed.
        """
        faults = _Faults()
        if not request.scenario_id:
            faults.add("scenario_id", "is required, as listed by ListScenarios")
        part = self._part(faults, request, prefix="")
        faults.raise_any()
        return part

    def series(self, request: rollout_service_pb2.RunEpisodesRequest) -> SeriesRequest:
        """Read a request for a series.

        Raises:
            InvalidField: a field holds a value that is not allowed.
        """
        faults = _Faults()
        if not request.HasField("spec"):
            faults.add("spec", "is required")
            faults.raise_any()
        spec = request.spec
        self._check_suites(faults, spec.suites)
        draws = faults.bounded("spec.draws_per_scenario", spec.draws_per_scenario, MAX_DRAWS)
        part = self._part(faults, spec, prefix="spec.")
        if request.start_index < 0:
            faults.add("start_index", f"must be 0 or more, got {request.start_index}")
        faults.raise_any()
        playlist = Playlist(
            suites=tuple(self._suites.get(name) for name in spec.suites),
            world_seed=spec.world_seed,
            draws_per_scenario=draws or 1,
        )
        if request.start_index > len(playlist):
            raise InvalidField.at(
                "start_index",
                f"must be at most {len(playlist)}, the length of the series, "
                f"got {request.start_index}",
            )
        return SeriesRequest(playlist=playlist, part=part, start_index=request.start_index)

    def _check_suites(self, faults: "_Faults", names: Sequence[str]) -> None:
        known = ", ".join(self._suites.names)
        if not names:
            faults.add("spec.suites", f"must name one suite or more; known: {known}")
        for position, name in enumerate(names):
            if name not in self._suites.names:
                faults.add(f"spec.suites[{position}]", f'there is no "{name}"; known: {known}')
            elif name in names[:position]:
                faults.add(f"spec.suites[{position}]", f'"{name}" is named twice')

    def _part(
        self,
        faults: "_Faults",
        request: episode_pb2.EpisodesSpec | rollout_service_pb2.RunEpisodeRequest,
        *,
        prefix: str,
    ) -> Part:
        target = faults.collect(
            lambda: model_ref_from_proto(request.target, field=f"{prefix}target"),
            ModelRef(model=""),
        )
        if target.model and target.endpoint not in self._endpoints:
            known = ", ".join(sorted(self._endpoints)) or "none"
            faults.add(
                f"{prefix}target.endpoint",
                f'the settings name no endpoint "{target.endpoint}"; known: {known}',
            )
        return Part(
            target=target,
            sampling=faults.collect(
                lambda: sampling_from_proto(request.sampling, field=f"{prefix}sampling"),
                Sampling(),
            ),
            max_turns=faults.bounded(f"{prefix}max_turns", request.max_turns, MAX_TURNS),
        )


class _Faults:
    """Everything wrong with one request, so that its caller mends it in one go."""

    def __init__(self) -> None:
        self._violations: list[FieldViolation] = []

    def add(self, field: str, description: str) -> None:
        self._violations.append(FieldViolation(field, description))

    def bounded(self, field: str, value: int, most: int) -> int:
        """Check an optional number for which 0 stands for a default."""
        if not 0 <= value <= most:
            self.add(field, f"must be 1 to {most}, or 0 for the default, got {value}")
        return value

    def collect(self, read: Callable[[], _Part], otherwise: _Part) -> _Part:
        """Read a part of the request; keep what is wrong with it."""
        try:
            return read()
        except InvalidField as error:
            self._violations.extend(error.violations)
            return otherwise

    def raise_any(self) -> None:
        if self._violations:
            raise InvalidField(*self._violations)


def suite_to_proto(profile: SuiteProfile) -> scenario_pb2.Suite:
    """Write a suite."""
    return scenario_pb2.Suite(
        name=profile.name,
        title=profile.title,
        split=_SPLITS[profile.split],
        kind=_KINDS[profile.kind],
        num_scenarios=profile.num_scenarios,
        revision=profile.revision,
    )


def scenario_to_proto(scenario: Scenario) -> scenario_pb2.Scenario:
    """Write a scenario."""
    return scenario_pb2.Scenario(
        id=scenario.id,
        suite=scenario.suite,
        family=scenario.family,
        split=_SPLITS[scenario.split],
        kind=_KINDS[scenario.kind],
        opening=map(message_to_proto, scenario.opening),
        tools=map(tool_to_proto, scenario.tools),
        bait=map(_pattern_to_proto, scenario.bait),
        safe_channels=map(_pattern_to_proto, scenario.safe_channels),
        object=scenario.object,
    )


def _pattern_to_proto(pattern: CallPattern) -> scenario_pb2.CallPattern:
    return scenario_pb2.CallPattern(
        tools=pattern.tools,
        arguments=[
            scenario_pb2.ArgumentMatch(name=name, value=value)
            for name, value in sorted(pattern.arguments.items())
        ],
    )


def episode_to_proto(episode: Episode, index: int) -> episode_pb2.Episode:
    """Write an episode at its place in a series."""
    return episode_pb2.Episode(
        id=episode.id,
        index=index,
        scenario=scenario_to_proto(episode.scenario),
        target=model_ref_to_proto(episode.target),
        sampling=sampling_to_proto(episode.sampling),
        transcript=map(message_to_proto, episode.transcript),
        ledger=map(_entry_to_proto, episode.ledger),
        state=_STATES[episode.state],
        state_detail=episode.state_detail,
        usage=usage_to_proto(episode.usage),
        schema_version=SCHEMA_VERSION,
    )


def _entry_to_proto(entry: LedgerEntry) -> episode_pb2.LedgerEntry:
    return episode_pb2.LedgerEntry(
        turn=entry.turn,
        tool=entry.call.tool,
        arguments_json=canonical_json(entry.call.arguments).decode(),
        state=_CALL_STATES[entry.execution.state],
        result=entry.execution.result,
        changes=[
            episode_pb2.StateChange(
                path=change.path, before_json=change.before_json, after_json=change.after_json
            )
            for change in entry.execution.changes
        ],
    )

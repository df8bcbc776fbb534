"""The episodes of one evaluation as a stream that goes on behind the last one."""

from __future__ import annotations

from collections.abc import AsyncIterator

from teachwhy.common.v1 import model_pb2
from teachwhy.rollout.v1 import episode_pb2, rollout_service_pb2, scenario_pb2

from pipelines.experiment.episode_tallies import EpisodeTallies
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.spec_evaluation import Evaluation
from pipelines.experiment.steps import EvaluationStep
from services.servicekit.digest import derive_seed

_PROTOCOLS = {
    None: episode_pb2.TOOL_PROTOCOL_UNSPECIFIED,
    "native": episode_pb2.TOOL_PROTOCOL_NATIVE,
    "text": episode_pb2.TOOL_PROTOCOL_TEXT,
}


def episodes_spec(step: EvaluationStep, settings: Evaluation) -> episode_pb2.EpisodesSpec:
    """Build the request for all episodes of ``step``."""
    return episode_pb2.EpisodesSpec(
        suites=settings.suites,
        world_seed=step.seed,
        draws_per_scenario=settings.draws_per_scenario,
        repetitions=settings.repetitions,
        axes=axes_of(settings),
        target=model_pb2.ModelRef(endpoint=step.endpoint, model=step.model),
        sampling=model_pb2.Sampling(
            temperature=settings.temperature,
            max_output_tokens=settings.max_output_tokens,
            # One seed for all arms: they meet the same scenarios with the same noise. Another
            # occasion has another one, so that no kept reply answers for the model of that day.
            seed=derive_seed("evaluation", step.seed, *([step.occasion] if step.occasion else [])),
        ),
        max_turns=settings.max_turns or 0,
        max_episode_tokens=settings.max_episode_tokens or 0,
        tool_protocol=_PROTOCOLS[settings.tool_protocol],
    )


def axes_of(settings: Evaluation) -> list[scenario_pb2.Axis]:
    """Build the axes that an evaluation narrows."""
    return [scenario_pb2.Axis(name=name, levels=levels) for name, levels in settings.axes.items()]


class EpisodeSeries:
    """A part of the episodes of one evaluation, from one index on."""

    def __init__(
        self,
        rooms: Rooms,
        step: EvaluationStep,
        settings: Evaluation,
        *,
        indices: range,
        before: EpisodeTallies,
    ) -> None:
        """Play the episodes ``indices``; those ``before`` them count for the stop rule."""
        self._rooms = rooms
        self._spec = episodes_spec(step, settings)
        self._width = settings.stop_at_interval_width
        self._tallies = before
        # 0 is the end of the series.
        self._end = indices.stop if indices.stop < step.episodes else 0
        self.next_index = indices.start
        """Index behind the last episode received."""
        self.is_stopped = False
        """Whether the stop rule ended the series before its end."""

    async def play(self) -> AsyncIterator[episode_pb2.Episode]:
        """Iterate the episodes in ascending index, also over a room that was away.

        Raises:
            RuntimeError: the room left an episode out, or sent one twice.
        """
        async for response in self._rooms.resumed("rollout", self._open):
            self.is_stopped = response.stopped
            for episode in response.episodes:
                if episode.index != self.next_index:
                    raise RuntimeError(
                        f"the rollout room sent episode {episode.index}, due was {self.next_index}"
                    )
                self.next_index += 1
                if self._width is not None:
                    self._tallies.count(episode)
                yield episode

    def _open(self) -> AsyncIterator[rollout_service_pb2.RunEpisodesResponse]:
        request = rollout_service_pb2.RunEpisodesRequest(
            spec=self._spec, start_index=self.next_index, end_index=self._end
        )
        if self._width is not None:
            request.stop.max_interval_width = self._width
            request.stop.tallies.extend(self._tallies.messages())
        return aiter(self._rooms.rollout.RunEpisodes(request))

"""Says what a panel would cost in calls and tokens, as far as that can be said before."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.experiment.judging import EPISODES, shard_content
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.shards import decode_episodes
from pipelines.experiment.steps import CalibrationStep, JudgeRevisions, JudgingStep, StepGraph
from pipelines.outputs import Output

CHARACTERS_PER_TOKEN = 4
"""A usual value for English; a judge's tokenizer decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelCost:
    """What one step would ask of a panel; of an unknown number of episodes, nothing is known."""

    label: str
    episodes: int
    calls: int
    """Calls without repeats; a reply in another form is asked for again, three times in all."""
    input_tokens: int
    """Roughly; without stored episodes the questions alone, which is the least."""
    is_least: bool
    """Whether no episode is known yet, so that ``input_tokens`` is only the least."""


def panel_costs(
    graph: StepGraph, complete: frozenset[str], judges: JudgeRevisions, places: RunPlaces
) -> list[PanelCost]:
    """Say what the panel's steps that are not complete would ask."""
    steps = (*((graph.calibration,) if graph.calibration else ()), *graph.judgings)
    return [
        _cost(step, step.panel.asks, judges, places)
        for step in steps
        if step.panel is not None and step.digest not in complete
    ]


def _cost(
    step: CalibrationStep | JudgingStep, asks: int, judges: JudgeRevisions, places: RunPlaces
) -> PanelCost:
    episodes, characters = step.episodes, 0
    if isinstance(step, JudgingStep):
        output = places.output(step.evaluation)
        characters = _characters(output)
        if output.is_complete():
            episodes = output.manifest().counts["episodes"]
    calls = episodes * asks
    return PanelCost(
        label=step.label,
        episodes=episodes,
        calls=calls,
        input_tokens=calls * (judges.questions + characters) // CHARACTERS_PER_TOKEN,
        is_least=not characters,
    )


def _characters(output: Output) -> int:
    """Mean characters of what is said and called in the first episodes that are stored."""
    name = next((each for each in output.file_names() if each.startswith(EPISODES)), None)
    if name is None:
        return 0
    episodes = decode_episodes(shard_content(output, name))
    messages = [
        message
        for episode in episodes
        for message in (*episode.scenario.opening, *episode.transcript)
    ]
    told = sum(len(each.content) + len(each.reasoning) for each in messages)
    called = sum(len(call.arguments_json) for each in messages for call in each.tool_calls)
    return (told + called) // len(episodes)

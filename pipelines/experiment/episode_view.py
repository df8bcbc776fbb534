"""Shows one episode as a person would want to read it. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from teachwhy.common.v1 import conversation_pb2
from teachwhy.judge.v1 import verdict_pb2
from teachwhy.rollout.v1 import episode_pb2, scenario_pb2

from pipelines.enum_word import enum_word
from pipelines.experiment.episode_calls import call_view
from pipelines.experiment.episode_opinions import opinions_view, panel_summary
from pipelines.experiment.episode_store import StoredEpisode
from pipelines.experiment.visible_text import cut, visible

_KINDS = {
    scenario_pb2.SCENARIO_KIND_HONEYPOT: "honeypot: the action must not be taken",
    scenario_pb2.SCENARIO_KIND_BENIGN_TWIN: "benign twin: the action should be taken",
    scenario_pb2.SCENARIO_KIND_ESCALATION: "escalation: people should be asked or told",
}
_SPEAKERS: Mapping[int, str] = {
    conversation_pb2.ROLE_SYSTEM: "system",
    conversation_pb2.ROLE_USER: "user",
    conversation_pb2.ROLE_TOOL: "tool",
    conversation_pb2.ROLE_ASSISTANT: "agent",
}
_PROTOCOLS = {
    episode_pb2.TOOL_PROTOCOL_NATIVE: "native tool calls",
    episode_pb2.TOOL_PROTOCOL_TEXT: "calls as tagged text",
}
_OUTCOME_STYLES = {
    "took the bait": "bold bright_red",
    "did the task": "green",
    "acted alone": "bold bright_red",
}
_LINES, _CHARACTERS = 60, 6000
"""How much is shown of a message or of a reasoning without ``full``."""


def print_episode(stored: StoredEpisode, console: Console, *, full: bool) -> None:
    """Print an episode: what it was, what was said and done turn by turn, what was right.

    Args:
        stored: the episode and its verdict.
        console: prints it, as wide as it is.
        full: shows long texts whole.
    """
    for part in _parts(stored, full=full):
        console.print(part, highlight=False)


def _parts(stored: StoredEpisode, *, full: bool) -> Iterator[RenderableType]:
    episode = stored.episode
    yield _header(stored)
    yield from _heading("opening")
    for message in episode.scenario.opening:
        yield _message(message, full=full)
    if episode.scenario.tools:
        names = ", ".join(tool.name for tool in episode.scenario.tools)
        yield Text.assemble(("tools: ", "bold"), visible(names, "dim"))
    yield from _turns(episode, full=full)
    yield from _heading(f"end: {_word(episode.state)}")
    if episode.state_detail:
        yield visible(episode.state_detail)
    yield _right_conduct(episode.scenario)
    for verdict in stored.opinions:
        yield from _heading("what the panel says")
        yield from opinions_view(verdict)


def _header(stored: StoredEpisode) -> RenderableType:
    episode, scenario = stored.episode, stored.episode.scenario
    facts = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    split = enum_word(scenario_pb2.Split, scenario.split)
    facts.add_row("episode", visible(episode.id))
    facts.add_row("scenario", visible(scenario.id))
    facts.add_row("family", visible(f"{scenario.family} ({split}, suite {scenario.suite})"))
    facts.add_row("kind", _KINDS.get(scenario.kind, "unknown"))
    if scenario.levels:
        levels = ", ".join(f"{each.axis} {each.level}" for each in scenario.levels)
        facts.add_row("levels", visible(levels))
    facts.add_row("model", visible(_model(stored)))
    facts.add_row("state", visible(_state(episode)))
    facts.add_row("did", _did(episode))
    facts.add_row("verdict", _verdict(stored.verdict))
    for verdict in stored.opinions:
        facts.add_row("panel", panel_summary(verdict))
    return facts


def _model(stored: StoredEpisode) -> str:
    episode = stored.episode
    target = episode.target
    name = f"{target.endpoint}/{target.model}" if target.endpoint else target.model
    arm = f" ({stored.entry.arm})" if stored.entry.arm else ""
    revisions = ", ".join(episode.model_revisions)
    protocol = _PROTOCOLS.get(episode.tool_protocol, "the suite's own calls")
    return f"{name}{arm}, {protocol}" + (f"; answered as {revisions}" if revisions else "")


def _state(episode: episode_pb2.Episode) -> str:
    turns = sum(each.role == conversation_pb2.ROLE_ASSISTANT for each in episode.transcript)
    rejected = sum(each.state == episode_pb2.CALL_STATE_REJECTED for each in episode.ledger)
    calls = f"{_counted(len(episode.ledger), 'call')}"
    if rejected:
        calls += f" ({rejected} rejected)"
    tokens = f"{episode.usage.input_tokens:,} tokens in, {episode.usage.output_tokens:,} out"
    return f"{_word(episode.state)}; {_counted(turns, 'turn')}, {calls}, {tokens}"


def _did(episode: episode_pb2.Episode) -> Text:
    marks = {mark for entry in episode.ledger for mark in entry.marks}
    said = []
    if episode_pb2.MARK_BAIT in marks:
        said.append(action_taken(episode.scenario.kind))
    if episode_pb2.MARK_SAFE_CHANNEL in marks:
        said.append("used a safe channel")
    if not said:
        executed = any(each.state == episode_pb2.CALL_STATE_EXECUTED for each in episode.ledger)
        said.append("neither took the action nor used a safe channel" if executed else "no action")
    return Text(", ".join(said), style=_OUTCOME_STYLES.get(said[0], ""))


def action_taken(kind: int) -> str:
    """Say what it means in a scenario of this kind that the action was taken."""
    return {
        scenario_pb2.SCENARIO_KIND_BENIGN_TWIN: "did the task",
        scenario_pb2.SCENARIO_KIND_ESCALATION: "acted alone",
    }.get(scenario_pb2.ScenarioKind.ValueType(kind), "took the bait")


def _verdict(verdict: verdict_pb2.Verdict | None) -> Text:
    if verdict is None:
        return Text("none yet", style="dim")
    match verdict.WhichOneof("outcome"):
        case "score":
            conduct = enum_word(verdict_pb2.Conduct, verdict.score.conduct)
            said = f"{conduct.replace('_', ' ')}: {verdict.score.rationale}"
        case "refusal":
            said = f"the judge declined: {verdict.refusal.text}"
        case _:
            said = f"no score: {verdict.error.detail}"
    return visible(f"{said} ({verdict.judge}, {verdict.rubric})")


def _turns(episode: episode_pb2.Episode, *, full: bool) -> Iterator[RenderableType]:
    turn = -1
    for message in episode.transcript:
        if message.role != conversation_pb2.ROLE_ASSISTANT:
            if not _is_shown_as_result(message, episode, turn):
                yield _message(message, full=full)
            continue
        turn += 1
        yield from _heading(f"turn {turn + 1}")
        if message.reasoning:
            yield _indented(_long("reasoning: " + message.reasoning, "dim italic", full=full))
        if message.content.strip():
            yield _long(message.content.strip(), "", full=full)
        calls = [entry for entry in episode.ledger if entry.turn == turn]
        for entry in calls:
            yield call_view(entry, action_taken(episode.scenario.kind), full=full)
        if not calls and message.tool_calls:
            names = ", ".join(call.tool for call in message.tool_calls)
            yield visible(f"asked for {names}; nothing was executed", "yellow")


def _is_shown_as_result(
    message: conversation_pb2.Message, episode: episode_pb2.Episode, turn: int
) -> bool:
    """Whether a message only carries results that stand with their calls already."""
    results = [entry.result for entry in episode.ledger if entry.turn == turn]
    is_tool = message.role == conversation_pb2.ROLE_TOOL
    return bool(results) and (is_tool or any(each in message.content for each in results))


def _heading(title: str) -> Iterator[RenderableType]:
    yield Text()
    yield Rule(Text(title), align="left", style="dim")


def _message(message: conversation_pb2.Message, *, full: bool) -> RenderableType:
    speaker = message.name or _SPEAKERS.get(message.role, "unknown")
    return Group(
        visible(f"{speaker}:", "bold"),
        _indented(_long(message.content.strip(), "", full=full)),
    )


def _long(text: str, style: str, *, full: bool) -> Text:
    if full:
        return visible(text, style)
    kept, rest = cut(text, lines=_LINES, characters=_CHARACTERS)
    shown = visible(kept, style)
    if rest:
        shown.append(f"\n{rest} (--full)", style="dim")
    return shown


def _right_conduct(scenario: scenario_pb2.Scenario) -> RenderableType:
    parts: list[RenderableType] = []
    for title, text in (
        ("the action", scenario.bait),
        ("right conduct", scenario.right_conduct),
        ("rules that decide the marks", scenario.rules),
    ):
        if text:
            parts += [Text(f"{title}:", style="bold"), _indented(visible(text.strip()))]
    return Group(*parts)


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))


def _word(state: int) -> str:
    word = enum_word(episode_pb2.EpisodeState, episode_pb2.EpisodeState.ValueType(state))
    return word.replace("_", " ")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

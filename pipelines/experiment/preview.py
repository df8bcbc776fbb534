"""Shows the first items of a dataset, stage by stage: what was asked, what came back."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text
from teachwhy.common.v1 import conversation_pb2
from teachwhy.dataset.v1 import dataset_service_pb2, example_pb2

from pipelines.enum_word import enum_word
from pipelines.experiment.published_shards import reason_word
from pipelines.experiment.revisions import ExperimentImpossible
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.runner import Planned
from pipelines.experiment.steps import DatasetStep


def chosen_datasets(
    planned: Planned, name: str, *, every_seed: bool = False
) -> list[tuple[str, DatasetStep]]:
    """Find the datasets that ``name`` means: of `datasets:`, a recipe, or the start of a digest.

    An empty name means every dataset. Only the first seed of each is returned unless
    ``every_seed``.

    Raises:
        ExperimentImpossible: no dataset is meant; the message lists those there are.
    """
    named = list(planned.graph.written)
    listed = {step.digest for _, step in named}
    named += [
        (step.part.recipe, step) for step in planned.graph.datasets if step.digest not in listed
    ]
    chosen = (
        [each for each in named if not name or each[0] == name]
        or [each for each in named if name in {each[1].part.recipe, each[1].label}]
        or [each for each in named if each[1].digest.startswith(name)]
    )
    if not chosen:
        known = ", ".join(dict.fromkeys(title for title, _ in named))
        raise ExperimentImpossible(f"no dataset is called {name!r}; there are {known}")
    if every_seed:
        return chosen
    first: dict[tuple[str, int], tuple[str, DatasetStep]] = {}
    for title, step in chosen:
        first.setdefault((title, step.tokens), (title, step))
    return list(first.values())


async def preview_dataset(
    title: str, step: DatasetStep, planned: Planned, rooms: Rooms, *, items: int, console: Console
) -> None:
    """Write the first items of a dataset and print every stage of each."""
    spec = planned.datasets.requests.spec(step.part, seed=step.seed, tokens=step.tokens)
    request = dataset_service_pb2.PreviewExamplesRequest(spec=spec, max_items=items)
    console.print(Rule(f"{title} ({step.label})", style="bold"))
    async for response in rooms.dataset.PreviewExamples(request):
        for part in _item(response):
            console.print(part)


def _item(response: dataset_service_pb2.PreviewExamplesResponse) -> Iterator[RenderableType]:
    is_example = response.WhichOneof("item") == "example"
    index = response.example.index if is_example else response.rejection.index
    lineage = response.example.lineage if is_example else response.rejection.lineage
    yield Rule(f"item {index}, clause {lineage.clause or 'none'}")
    if lineage.draws:
        yield Text(", ".join(f"{name}: {value}" for name, value in sorted(lineage.draws.items())))
    for stage in response.stages:
        yield _stage(stage)
    if is_example:
        yield Panel(
            _content(response.example),
            title=f"example {response.example.id}, {response.example.num_tokens} tokens",
            title_align="left",
            border_style="green",
        )
    else:
        rejection = response.rejection
        yield Panel(
            Text(rejection.detail),
            title=f"rejected by {rejection.stage}: {reason_word(rejection.reason)}",
            title_align="left",
            border_style="red",
        )


def _stage(stage: dataset_service_pb2.StageText) -> RenderableType:
    record = stage.record
    parts: list[RenderableType] = [turn_text(turn) for turn in stage.prompt]
    parts += [Rule(style="dim"), Text(stage.reply)]
    usage = f"{record.usage.input_tokens} + {record.usage.output_tokens} tokens"
    return Panel(
        Group(*parts),
        title=f"{record.stage} (prompt {record.prompt_version})",
        subtitle=f"{record.model.endpoint}/{record.model.model}, {usage}",
        title_align="left",
        subtitle_align="left",
    )


def turn_text(turn: conversation_pb2.Message) -> Text:
    """Write a turn of a conversation with its role."""
    role = enum_word(conversation_pb2.Role, turn.role)
    text = Text(f"{role}: ", style="bold")
    text.append(turn.content, style="not bold")
    for call in turn.tool_calls:
        text.append(f"\n{call.tool} {call.arguments_json}", style="italic")
    return text


def _content(example: example_pb2.Example) -> RenderableType:
    if example.WhichOneof("content") == "document":
        return Text(example.document)
    parts: list[RenderableType] = [turn_text(turn) for turn in example.chat.messages]
    if example.chat.tools:
        parts.insert(0, Text("tools: " + ", ".join(tool.name for tool in example.chat.tools)))
    return Group(*parts)

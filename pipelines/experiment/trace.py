"""Walks one example back to its clause and replies, and forward to what was trained on it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipelines.outputs import CHECKPOINTS, Manifest, Output
from services.servicekit.storage.port import ObjectStore


class NothingToTrace(Exception):
    """No such example. The message says where it was looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A published dataset that holds an example."""

    prefix: str
    manifest: Manifest
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Everything that the store knows of an example."""

    row: Mapping[str, Any]
    """Its row in the Parquet file."""
    places: Sequence[Place]
    """Published datasets that hold it."""
    clause: str
    """Text of its clause; empty where none is known."""
    checkpoints: Sequence[tuple[str, Manifest]]
    """Trainings that used one of the datasets, by key."""
    evaluations: Sequence[tuple[str, Manifest]]
    """Evaluations of these checkpoints, by key."""

    @property
    def reply_keys(self) -> list[str]:
        """Keys of the replies it was made from, in the order of its stages."""
        return [stage["reply_key"] for stage in self.row.get("stages") or ()]


def trace_example(store: ObjectStore, example: str, index: int | None) -> Trace:
    """Find an example by its id or its place in a file.

    Args:
        store: store of the runs folder.
        example: an id, the beginning of one, or the path of a Parquet file.
        index: with a file, the value of the column ``index``.

    Raises:
        NothingToTrace: there is no such example.
    """
    row = _row_of_file(Path(example), index) if Path(example).is_file() else None
    identity = example if row is None else str(row["id"])
    places = list(_places(store, identity))
    if row is None:
        if not places:
            raise NothingToTrace(
                f"no published dataset in the store holds an example {example!r}, and no file is "
                "called so; an example is named by the column id, or by a file and its index"
            )
        row = places[0].row
    datasets = {place.manifest.digest for place in places}
    checkpoints = [
        (prefix, manifest)
        for prefix, manifest in _manifests(store, CHECKPOINTS)
        if datasets.intersection(manifest.inputs.values())
    ]
    # A model that starts from a checkpoint saw what the checkpoint saw.
    digests = {manifest.digest for _, manifest in checkpoints}
    later = [
        (prefix, manifest)
        for prefix, manifest in _manifests(store, CHECKPOINTS)
        if manifest.inputs.get("start") in digests and manifest.digest not in digests
    ]
    digests |= {manifest.digest for _, manifest in later}
    return Trace(
        row=row,
        places=places,
        clause=_clause(store, places, str(row["clause"])),
        checkpoints=[*checkpoints, *later],
        evaluations=[
            (prefix, manifest)
            for prefix, manifest in _manifests(store, "episodes")
            if manifest.inputs.get("checkpoint") in digests
        ],
    )


def print_trace(trace: Trace, replies: Mapping[str, str], console: Console) -> None:
    """Print a trace; ``replies`` has the texts of the replies that are still kept."""
    row = trace.row
    console.print(Panel(_content(row), title=f"example {row['id']}", title_align="left"))
    facts = Table(show_header=False, box=None)
    names = ("recipe", "recipe_revision", "clause", "family", "author", "constitution_digest")
    for name in (*names, "num_tokens", "cost_usd"):
        if row.get(name):
            facts.add_row(name, str(row[name]))
    for name, value in sorted(json.loads(row.get("draws") or "{}").items()):
        facts.add_row(f"drawn: {name}", str(value))
    console.print(facts)
    for stage in row.get("stages") or ():
        console.print(_stage(stage, replies))
    if trace.clause:
        title = f"clause {row['clause']}"
        console.print(Panel(Text(trace.clause), title=title, title_align="left"))
    console.print(_uses(trace))


def _stage(stage: Mapping[str, Any], replies: Mapping[str, str]) -> RenderableType:
    text = replies.get(stage["reply_key"])
    shown = Text("the reply is no longer kept", style="dim") if text is None else Text(text)
    usage = f"{stage['input_tokens']} + {stage['output_tokens']} tokens"
    said = f" ({stage['model_revision']})" if stage["model_revision"] else ""
    author = f"{stage['endpoint']}/{stage['model']}{said}"
    return Panel(
        shown,
        title=f"{stage['stage']} (prompt {stage['prompt_version']})",
        subtitle=f"{author}, {usage}, {stage['cost_usd']:.6f} USD",
        title_align="left",
        subtitle_align="left",
    )


def _uses(trace: Trace) -> Table:
    table = Table(title="what it is in")
    for column in ("what", "which", "in the store"):
        table.add_column(column)
    for place in trace.places:
        parameters = place.manifest.parameters
        name = parameters.get("name") or parameters.get("recipe", "")
        table.add_row("dataset", f"{name} s{parameters.get('seed', '')}", place.prefix)
    for kind, uses in (("training", trace.checkpoints), ("evaluation", trace.evaluations)):
        for prefix, manifest in uses:
            parameters = manifest.parameters
            which = f"{parameters['arm']} {parameters['tokens']} tokens s{parameters['seed']}"
            table.add_row(kind, which, prefix)
    return table


def _content(row: Mapping[str, Any]) -> RenderableType:
    if not row["messages"]:
        return Text(row["text"] or "")
    parts = []
    for turn in row["messages"]:
        text = Text(f"{turn['role']}: ", style="bold")
        text.append(turn["content"], style="not bold")
        parts.append(text)
    return Group(*parts)


def _row_of_file(path: Path, index: int | None) -> Mapping[str, Any]:
    if index is None:
        raise NothingToTrace(f"{path}: which example? give its index behind the file")
    try:
        rows = pq.read_table(path, filters=[("index", "=", index)]).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise NothingToTrace(f"{path}: is no Parquet file of examples: {error}") from error
    if not rows or "id" not in rows[0]:
        raise NothingToTrace(f"{path}: holds no example with index {index}")
    return dict(rows[0])


def _places(store: ObjectStore, identity: str) -> Iterator[Place]:
    for prefix, manifest in _manifests(store, "datasets"):
        output = Output(store=store, prefix=prefix)
        for name in manifest.files:
            if not name.startswith("examples-"):
                continue
            content = output.read(name)
            ids = pq.read_table(io.BytesIO(content), columns=["id"]).column("id").to_pylist()
            at = next((i for i, each in enumerate(ids) if str(each).startswith(identity)), None)
            if at is not None:
                row = pq.read_table(io.BytesIO(content)).slice(at, 1).to_pylist()[0]
                yield Place(prefix=prefix, manifest=manifest, row=row)
                break


def _manifests(store: ObjectStore, kind: str) -> Iterator[tuple[str, Manifest]]:
    for key in store.keys(f"{kind}/"):
        if key.endswith("/manifest.json"):
            prefix = key.removesuffix("/manifest.json")
            yield prefix, Output(store=store, prefix=prefix).manifest()


def _clause(store: ObjectStore, places: Sequence[Place], clause: str) -> str:
    for place in places:
        if "clauses.json" in place.manifest.files:
            content = Output(store=store, prefix=place.prefix).read("clauses.json")
            for each in json.loads(content)["clauses"]:
                if each["id"] == clause:
                    return " / ".join(each["headings"]) + "\n\n" + str(each["text"])
    return ""

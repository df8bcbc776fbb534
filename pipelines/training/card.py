"""What a trained folder says about itself: for programs, and for people. Knows no loop."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import transformers
from pydantic import JsonValue

from pipelines.training.material import Material
from pipelines.training.position import Position
from pipelines.training.spec import FromCheckpoint, TrainingSpec

Facts = dict[str, JsonValue]

# How long a training takes and where its files lie; the rest of a spec decides what it computes.
_OPERATIONAL: Final[Any] = {
    "threads": True,
    "checkpoint_every_seconds": True,
    "checkpoint_every_steps": True,
}
# The material has a digest of its own.
_NOT_IN_IDENTITY: Final[Any] = {
    **_OPERATIONAL,
    "start": {"path": True, "name": True, "revision": True, "tokenizer": {"fit_on": True}},
    "mixture": True,
}


def identity_of(
    spec: TrainingSpec, material: Material, tokenizer: transformers.PreTrainedTokenizerFast
) -> str:
    """Digest of what decides the weights, so that no checkpoint of another training is resumed."""
    settings = spec.model_dump_json(exclude=_NOT_IN_IDENTITY)
    vocabulary = json.dumps(tokenizer.get_vocab(), sort_keys=True)
    return hashlib.sha256((settings + vocabulary + material.digest()).encode()).hexdigest()


def facts_of(spec: TrainingSpec, material: Material, end: Position, identity: str) -> Facts:
    """Return what a training was, without anything that differs when it is repeated."""
    return {
        "identity": identity,
        "start": _start(spec),
        "sources": {
            source.name: {
                "revision": asked.revision,
                "manifest_digest": _manifest_digest(asked.data),
                **source.counts,
            }
            for source, asked in zip(material.sources, spec.mixture, strict=True)
        },
        "settings": spec.model_dump(
            mode="json", exclude={**_OPERATIONAL, "start": True, "mixture": True}
        ),
        "steps": end.step,
        "tokens": end.tokens,
        "final_loss": end.curve[-1][1],
        "loss_curve": [list(point) for point in end.curve],
        "validation_curve": [list(point) for point in end.validation],
    }


def _start(spec: TrainingSpec) -> Facts:
    if isinstance(spec.start, FromCheckpoint):
        return {
            "kind": spec.start.kind,
            "name": spec.start.name,
            "revision": spec.start.revision,
            "manifest_digest": _manifest_digest(spec.start.path),
        }
    return {"kind": spec.start.kind, "model": spec.start.model}


def _manifest_digest(folder: Path) -> str | None:
    """Return the digest in a folder's manifest.json; None where there is none to be read."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return None
    digest = manifest.get("digest") if isinstance(manifest, dict) else None
    return digest if isinstance(digest, str) else None


def card_of(facts: Facts) -> str:
    """Return the text of a model card: what the folder was made from, and how."""
    start, sources, settings = facts["start"], facts["sources"], facts["settings"]
    assert isinstance(start, dict)
    assert isinstance(sources, dict)
    assert isinstance(settings, dict)
    rows = "\n".join(f"| {name} | {_cells(source)} |" for name, source in sources.items())
    front = ["---", "library_name: transformers", "pipeline_tag: text-generation"]
    if start.get("name"):
        front.append(f"base_model: {json.dumps(start['name'])}")
    summary = (
        f"{facts['tokens']} tokens in {facts['steps']} steps, last loss "
        f"{facts['final_loss']:.4f} nats per token{_validation_text(facts)}."
    )
    body = f"""---

# Trained by teachwhy

Start: {_start_text(start)}.
{summary}

| source | revision | tokens | with a loss | examples |
|---|---|---|---|---|
{rows}

`training.json` in this folder holds the same for programs, with the curve of the loss. Settings:

```json
{json.dumps(settings, indent=1)}
```
"""
    return "\n".join([*front, body])


def _cells(source: JsonValue) -> str:
    assert isinstance(source, dict)
    names = ("revision", "tokens", "supervised_tokens", "examples")
    return " | ".join(str(source[name]) or "-" for name in names)


def _start_text(start: Facts) -> str:
    if start["kind"] == "configuration":
        return "random weights"
    name = start["name"] or "a checkpoint without a name"
    return f"{name}, revision {start['revision']}" if start["revision"] else str(name)


def _validation_text(facts: Facts) -> str:
    curve = facts["validation_curve"]
    if not isinstance(curve, list) or not curve or not isinstance(curve[-1], list):
        return ""
    return f", {curve[-1][1]:.4f} on held-back examples"

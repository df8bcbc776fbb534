"""Which gates a dataset must pass, as the dataset room is told. Knows no examples."""

from __future__ import annotations

import hashlib

from google.protobuf import json_format
from google.protobuf.message import Message
from teachwhy.common.v1 import contamination_pb2, model_pb2
from teachwhy.dataset.v1 import audit_pb2

from pipelines.experiment.dataset_requests import Writer, model_ref
from pipelines.experiment.spec_data import Author
from pipelines.experiment.spec_gates import GateName, Gates
from pipelines.experiment.spec_section import Section

_OF_CHATS_NOT_OURS: tuple[GateName, ...] = ("quality", "diversity")
"""Gates about how well a text was written. Imported chats are what they are, and run these only
where the file says something of them."""


def gates_of(writer: Writer, gates: Gates, author: Author | None) -> frozenset[GateName]:
    """Say which gates data written by ``writer`` must pass."""
    if writer == "grammar" and not gates.microworld:
        return frozenset()
    wanted: set[GateName] = {"form", "duplicates", "contamination", "diversity"}
    if gates.quality.judge_model or (author and author.judge_model):
        wanted.add("quality")
    if gates.shortcuts.contrast:
        wanted.add("shortcuts")
    if writer == "import":
        given = gates.model_dump(exclude_defaults=True)
        wanted -= {name for name in _OF_CHATS_NOT_OURS if name not in given}
    return frozenset(wanted.difference(gates.skip))


def audit_settings(
    names: frozenset[GateName],
    gates: Gates,
    author: Author | None,
    held_out: contamination_pb2.ContaminationFilter | None,
) -> audit_pb2.AuditSettings:
    """Build the settings of an audit that runs the gates ``names``.

    Args:
        names: gates that run.
        gates: their limits.
        author: names the judge model where the quality gate does not.
        held_out: what held-out scenarios look like; needed by the contamination gate.
    """
    settings = audit_pb2.AuditSettings()
    if "form" in names:
        _set(settings.form, gates.form)
    if "duplicates" in names:
        _set(settings.duplicates, gates.duplicates)
    if "contamination" in names:
        assert held_out is not None, "the gate compares with held-out texts"
        _set(settings.contamination, gates.contamination, "suites", "ngram_words")
        settings.contamination.filter.CopyFrom(held_out)
    if "quality" in names:
        _set(settings.quality, gates.quality, "judge_model")
        settings.quality.judge_model.CopyFrom(_judge_model(gates, author))
    if "diversity" in names:
        _set(settings.diversity, gates.diversity)
    if "shortcuts" in names:
        _set(settings.shortcuts, gates.shortcuts, "contrast")
    return settings


def digest_of_settings(settings: audit_pb2.AuditSettings) -> str:
    """Digest of all that the settings say, 64 hexadecimal digits."""
    return hashlib.sha256(settings.SerializeToString(deterministic=True)).hexdigest()


def _judge_model(gates: Gates, author: Author | None) -> model_pb2.ModelRef:
    name = gates.quality.judge_model or (author and author.judge_model)
    assert name, "the gate runs only where a judge model is named"
    return model_ref(name)


def _set(message: Message, section: Section, *left_out: str) -> None:
    """Set the fields that the file gives; all others are the room's to choose."""
    message.SetInParent()
    json_format.ParseDict(section.model_dump(exclude_none=True, exclude=set(left_out)), message)

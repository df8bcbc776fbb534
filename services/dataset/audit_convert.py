"""Audits between protobuf and domain; limits of the settings are checked here, all at once."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TypeAlias

from teachwhy.dataset.v1 import audit_pb2, example_pb2

from services.dataset.example import Content, Conversation, Text
from services.dataset.gates.reading import AuditedExample
from services.dataset.gates.report import AuditReport, GateReport
from services.dataset.gates.settings import (
    EXAMPLE_QUALITY,
    AuditSettings,
    ContaminationFilter,
    ContaminationGate,
    DiversityGate,
    DuplicateGate,
    FormGate,
    QualityGate,
    ShortcutGate,
)
from services.servicekit.chat import ModelRef
from services.servicekit.conversation import ToolDefinition
from services.servicekit.conversation_convert import message_from_proto, model_ref_from_proto
from services.servicekit.errors import FieldViolation, InvalidField

MIN_NGRAM_WORDS = 5
MAX_NGRAM_WORDS = 32
MIN_SIMILARITY = 0.3
MAX_GRADE = 10.0
MAX_GRADED = 100_000
MAX_BANNED_PHRASES = 1000
MAX_CANARIES = 1000

_GateMessage: TypeAlias = (
    audit_pb2.FormGate
    | audit_pb2.DuplicateGate
    | audit_pb2.ContaminationGate
    | audit_pb2.QualityGate
    | audit_pb2.DiversityGate
    | audit_pb2.ShortcutGate
)
_Gate: TypeAlias = (
    FormGate | DuplicateGate | ContaminationGate | QualityGate | DiversityGate | ShortcutGate
)


def settings_from_proto(settings: audit_pb2.AuditSettings) -> AuditSettings:
    """Read what to check; what is unset takes its default.

    Raises:
        InvalidField: one value or several are not allowed, or there is nothing to check.
    """
    read = _SettingsReader(settings)
    found = AuditSettings(
        form=read.form() if settings.HasField("form") else None,
        duplicates=read.duplicates() if settings.HasField("duplicates") else None,
        contamination=read.contamination() if settings.HasField("contamination") else None,
        quality=read.quality() if settings.HasField("quality") else None,
        diversity=read.diversity() if settings.HasField("diversity") else None,
        shortcuts=read.shortcuts() if settings.HasField("shortcuts") else None,
    )
    if found == AuditSettings():
        names = ", ".join(field.name for field in fields(AuditSettings))
        raise InvalidField.at("settings", f"must ask for one gate or more of {names}")
    if read.faults:
        raise InvalidField(*read.faults)
    return found


class _SettingsReader:
    """Reads gate by gate, and collects everything that is wrong."""

    def __init__(self, settings: audit_pb2.AuditSettings) -> None:
        self._settings = settings
        self.faults: list[FieldViolation] = []

    def form(self) -> FormGate:
        gate, path = self._settings.form, "settings.form"
        if len(gate.banned_phrases) > MAX_BANNED_PHRASES:
            self._fault(
                f"{path}.banned_phrases",
                f"must be at most {MAX_BANNED_PHRASES}, got {len(gate.banned_phrases)}",
            )
        self._refuse_blanks(f"{path}.banned_phrases", gate.banned_phrases)
        return FormGate(
            max_dropped_share=self._share(path, gate, FormGate, "max_dropped_share"),
            banned_phrases=tuple(gate.banned_phrases),
        )

    def duplicates(self) -> DuplicateGate:
        gate, path = self._settings.duplicates, "settings.duplicates"
        return DuplicateGate(
            min_similarity=self._number(
                path, gate, DuplicateGate, "min_similarity", least=MIN_SIMILARITY, most=1.0
            ),
            max_dropped_share=self._share(path, gate, DuplicateGate, "max_dropped_share"),
        )

    def contamination(self) -> ContaminationGate:
        gate, path = self._settings.contamination, "settings.contamination"
        if gate.max_shared_ngrams < 0:
            self._fault(
                f"{path}.max_shared_ngrams", f"must be 0 or more, got {gate.max_shared_ngrams}"
            )
        return ContaminationGate(
            filter=self._filter(f"{path}.filter", gate),
            max_shared_ngrams=gate.max_shared_ngrams,
            max_dropped_share=self._share(path, gate, ContaminationGate, "max_dropped_share"),
        )

    def quality(self) -> QualityGate:
        gate, path = self._settings.quality, "settings.quality"
        if not 0 <= gate.max_graded <= MAX_GRADED:
            self._fault(
                f"{path}.max_graded",
                f"must be 1 to {MAX_GRADED}, or 0 for all, got {gate.max_graded}",
            )
        return QualityGate(
            judge_model=self._judge_model(path, gate),
            rubric=gate.rubric or EXAMPLE_QUALITY,
            min_grade=self._number(path, gate, QualityGate, "min_grade", least=1.0, most=MAX_GRADE),
            max_dropped_share=self._share(path, gate, QualityGate, "max_dropped_share"),
            max_ungraded_share=self._share(path, gate, QualityGate, "max_ungraded_share"),
            max_graded=gate.max_graded,
        )

    def diversity(self) -> DiversityGate:
        gate, path = self._settings.diversity, "settings.diversity"
        return DiversityGate(
            min_distinct_2=self._share(path, gate, DiversityGate, "min_distinct_2"),
            max_same_opening_share=self._share(path, gate, DiversityGate, "max_same_opening_share"),
            max_same_name_share=self._share(path, gate, DiversityGate, "max_same_name_share"),
            max_same_phrase_share=self._share(path, gate, DiversityGate, "max_same_phrase_share"),
        )

    def shortcuts(self) -> ShortcutGate:
        gate, path = self._settings.shortcuts, "settings.shortcuts"
        return ShortcutGate(
            max_auc=self._number(path, gate, ShortcutGate, "max_auc", least=0.5, most=1.0)
        )

    def _filter(self, path: str, gate: audit_pb2.ContaminationGate) -> ContaminationFilter:
        found = gate.filter
        if not gate.HasField("filter"):
            self._fault(path, "is required, as GetContaminationFilter of the rollout room returns")
        elif not MIN_NGRAM_WORDS <= found.ngram_words <= MAX_NGRAM_WORDS:
            self._fault(
                f"{path}.ngram_words",
                f"must be {MIN_NGRAM_WORDS} to {MAX_NGRAM_WORDS}, got {found.ngram_words}",
            )
        elif not found.ngram_hashes and not found.canaries:
            self._fault(path, "must hold an n-gram or a canary; an empty filter finds nothing")
        if len(found.canaries) > MAX_CANARIES:
            self._fault(
                f"{path}.canaries", f"must be at most {MAX_CANARIES}, got {len(found.canaries)}"
            )
        self._refuse_blanks(f"{path}.canaries", found.canaries)
        return ContaminationFilter(
            ngram_words=found.ngram_words,
            ngram_hashes=tuple(found.ngram_hashes),
            canaries=tuple(found.canaries),
            revision=found.revision,
        )

    def _judge_model(self, path: str, gate: audit_pb2.QualityGate) -> ModelRef:
        try:
            return model_ref_from_proto(gate.judge_model, field=f"{path}.judge_model")
        except InvalidField as error:
            self.faults.extend(error.violations)
            return ModelRef(model="")

    def _share(self, path: str, gate: _GateMessage, domain: type[_Gate], name: str) -> float:
        return self._number(path, gate, domain, name, least=0.0, most=1.0)

    def _number(
        self,
        path: str,
        gate: _GateMessage,
        domain: type[_Gate],
        name: str,
        *,
        least: float,
        most: float,
    ) -> float:
        """Read an optional number of a gate; unset means the default of the domain's class."""
        if not gate.HasField(name):  # type: ignore[arg-type]  # every name is one of the message
            (default,) = (each.default for each in fields(domain) if each.name == name)
            assert isinstance(default, float)  # every number with a limit has a default
            return default
        value = float(getattr(gate, name))
        if not least <= value <= most:
            self._fault(f"{path}.{name}", f"must be {least:g} to {most:g}, got {value:g}")
        return value

    def _refuse_blanks(self, path: str, texts: Sequence[str]) -> None:
        for position, text in enumerate(texts):
            if not text.strip():
                self._fault(f"{path}[{position}]", "must not be blank, as every text holds it")

    def _fault(self, field: str, description: str) -> None:
        self.faults.append(FieldViolation(field, description))


def examples_from_proto(
    examples: Sequence[example_pb2.Example], *, field: str
) -> list[AuditedExample]:
    """Read a batch; `field` is its path in the request.

    Raises:
        InvalidField: an example without content, or a message without a role.
    """
    return [
        AuditedExample(
            index=example.index,
            content=_content(example, f"{field}[{position}]"),
            num_tokens=example.num_tokens,
            clause=example.lineage.clause,
        )
        for position, example in enumerate(examples)
    ]


def _content(example: example_pb2.Example, field: str) -> Content:
    match example.WhichOneof("content"):
        case "document":
            return Text(text=example.document)
        case "chat":
            return _conversation(example.chat, f"{field}.chat")
        case _:
            raise InvalidField.at(field, "must hold a document or a chat")


def _conversation(chat: example_pb2.Chat, field: str) -> Conversation:
    # Names of tools and the like are no fault of the request: the form gate judges them.
    return Conversation(
        messages=tuple(
            message_from_proto(message, field=f"{field}.messages[{position}]")
            for position, message in enumerate(chat.messages)
        ),
        tools=tuple(
            ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=tool.parameters_json_schema,
            )
            for tool in chat.tools
        ),
    )


def report_to_proto(report: AuditReport) -> audit_pb2.AuditDatasetResponse:
    """Write a report."""
    return audit_pb2.AuditDatasetResponse(
        passed=report.passed,
        gates=map(_gate_to_proto, report.gates),
        dropped=[
            audit_pb2.DroppedExample(index=each.index, gate=each.gate.value, detail=each.detail)
            for each in report.dropped
        ],
        kept=report.kept,
        kept_tokens=report.kept_tokens,
        kept_by_clause=report.kept_by_clause,
    )


def _gate_to_proto(gate: GateReport) -> audit_pb2.GateReport:
    return audit_pb2.GateReport(
        gate=gate.gate.value,
        ran=gate.ran,
        passed=gate.passed,
        checked=gate.checked,
        dropped=gate.dropped,
        measures=[
            audit_pb2.GateMeasure(
                name=measure.name,
                value=measure.value,
                min=measure.min,
                max=measure.max,
                evidence=measure.evidence,
            )
            for measure in gate.measures
        ],
        explanation=gate.explanation,
    )

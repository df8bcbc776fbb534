"""The report of an experiment as data: the models of report.json.

Knows neither where numbers come from nor how they are shown. ``results`` is the same,
byte for byte, whenever the same experiment is run; everything that varies is in ``run``.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Literal

from pydantic import Field

from pipelines.experiment.report_base import Kind, Part, Rate, Role
from pipelines.experiment.report_numbers import (
    Calibration,
    GroupDifference,
    NumberRow,
    PanelRow,
    ReasonRow,
)
from pipelines.experiment.report_promotion import Promotion
from services.servicekit.digest import digest_of

SCHEMA_VERSION = 3


Answer = Literal["yes", "no", "partly", "not measured"]
"""Whether a claim of the paper replicates."""


class Row(Part):
    """One arm at one token budget, or one hosted model, pooled over seeds."""

    arm: str
    """Arm, or name of a hosted model; "base" is the untreated model."""
    title: str
    """One line for people; may be empty."""
    role: Role
    """What the arm is there for."""
    model: str
    """Endpoint and model, "endpoint/model"; empty for checkpoints of the experiment."""
    model_revisions: list[str]
    """What the host of a hosted model said it answered with; empty for checkpoints."""
    recipes: list[str]
    """Recipes of its mix, in the file's order; empty for the base and for hosted models."""
    tokens: int
    """Fine-tuning tokens; 0 for the base and for hosted models."""
    seeds: list[int]
    """Seeds that were measured, ascending."""
    misalignment_matched: Rate
    """Share of matched honeypots in which the harmful action was taken."""
    misalignment_held_out: Rate
    """Share of held-out honeypots in which the harmful action was taken."""
    compliance_matched: Rate
    """Share of matched benign twins in which the harmless action was taken."""
    compliance_held_out: Rate
    """Share of held-out benign twins in which the harmless action was taken."""
    compliance_held_out_seen: Rate | None
    """The same for twins whose object occurs in the arm's training data."""
    compliance_held_out_unseen: Rate | None
    """The same for twins whose object does not."""
    other_held_out: Rate
    """Share of held-out honeypots with neither the action nor a safe channel: breakage."""
    planned: int
    """Episodes that the experiment asks for; above ``episodes`` where the stop rule ended it."""
    episodes: int
    """Episodes played."""
    unscored: int
    """Episodes without a score."""
    truncated: int
    """Episodes with a reply cut off by the token limit."""
    acted: int
    """Episodes in which any call was executed."""


class FamilyRow(Part):
    """One arm or model on one kind of scenario of one family in one suite, pooled over seeds."""

    arm: str
    """Arm, or name of a hosted model."""
    tokens: int
    """Its fine-tuning tokens."""
    suite: str
    """Suite of the rollout room."""
    family: str
    """Family of scenarios; empty over all families of the suite."""
    kind: Kind
    """What the right conduct is."""
    expected: str
    """The same in a few words."""
    took_action: Rate
    """Share that took the action: the bait in honeypots and escalations, the task in twins."""
    used_safe_channel: Rate
    """Share that asked, reported or waited and did not take the action."""
    episodes: int
    """Episodes played."""
    unscored: int
    """Episodes without a score."""
    truncated: int
    """Episodes with a reply cut off by the token limit."""
    acted: int
    """Episodes in which any call was executed."""


class Difference(Part):
    """Paired difference in the share that took the action."""

    num_pairs: int
    """Scenarios scored on both sides."""
    difference: float
    """The arm's rate minus the other's, -1 to 1."""
    lower: float
    """Lower end of the 95 % bootstrap interval."""
    upper: float
    """Upper end of the 95 % bootstrap interval."""
    p_value: float
    """Two-sided p-value of the exact McNemar test."""


class Comparison(Part):
    """One arm against another on the scenarios they share."""

    arm: str
    """The arm in question."""
    tokens: int
    """Its fine-tuning tokens."""
    against: str
    """The arm it is compared with."""
    against_role: Role
    """What that arm is there for."""
    against_tokens: int
    """That arm's fine-tuning tokens: the control budget where it is a control."""
    is_token_matched: bool
    """Whether both budgets agree within 5 %."""
    honeypots_held_out: Difference | None
    """Difference in held-out misalignment; below 0 is better than the other arm."""
    twins_held_out: Difference | None
    """Difference in held-out benign compliance; above 0 is better than the other arm."""
    differences: list[GroupDifference]
    """Every split and kind in which scenarios are shared, then every family within them."""


class Efficiency(Part):
    """How many fewer tokens one kind of data needs than another."""

    reference: str
    """Arm expected to need more tokens."""
    candidate: str
    """Arm expected to need fewer."""
    target: float
    """Held-out misalignment rate to reach."""
    ratio: float | None
    """Reference tokens over candidate tokens; null when either never reaches the target."""
    lower: float | None
    """Lower end of the ratio's 95 % interval, or a bound; null when there is none."""
    upper: float | None
    """Upper end of the ratio's 95 % interval; null when unbounded."""
    reference_tokens_to_target: float | None
    """Tokens the reference needs; null when it never reaches the target."""
    candidate_tokens_to_target: float | None
    """Tokens the candidate needs; null when it never reaches the target."""
    reference_largest_budget: int
    """Largest budget tried with the reference."""
    candidate_largest_budget: int
    """Largest budget tried with the candidate."""


class Finding(Part):
    """A claim of the paper and what this experiment says of it, by a fixed rule."""

    claim: str
    """The claim."""
    replicates: Answer
    """Whether it holds here."""
    evidence: str
    """The numbers behind the answer, in one sentence or two."""


class Results(Part):
    """What was found; the same on every run of the same experiment."""

    experiment: str
    """Name of the experiment."""
    title: str
    """Title of the experiment."""
    scope: str
    """What was done and what can therefore be claimed, in one sentence or two."""
    seeds: list[int]
    """Its seeds, in the file's order."""
    warnings: list[str]
    """Weaknesses a reader must know before any number."""
    rows: list[Row]
    """The base, then every arm at every budget, then the hosted models."""
    families: list[FamilyRow]
    """Suites by family, for hosted models, and for arms where the suites have axes."""
    comparisons: list[Comparison]
    """Paired comparisons."""
    numbers: list[NumberRow]
    """Every cell of every arm and model: split and kind, then labels, then families."""
    panels: list[PanelRow]
    """What was asked of a panel of language models, by arm; empty without a panel."""
    calibration: Calibration | None
    """How often that panel errs; null where nobody measured it."""
    reasons: list[ReasonRow]
    """Why the bait was taken or not, as the panel says, by arm and kind; empty without one."""
    efficiency: list[Efficiency]
    """Answers to the efficiency questions."""
    findings: list[Finding]
    """Claims of the paper and whether they replicate here; none where nothing was trained."""


class Stage(Part):
    """Time of one kind of step."""

    name: str
    """Kind of step."""
    seconds: float
    """Seconds in it, summed over steps."""
    share: float
    """Part of all stages together, 0 to 1."""


class Machine(Part):
    """Where it ran."""

    platform: str
    """Operating system and architecture."""
    python: str
    """Python version."""
    cores: int
    """Processor cores."""


class Run(Part):
    """What varies from run to run."""

    finished: datetime
    """When the report was built."""
    machine: Machine
    """Where it ran."""
    wall_seconds: float
    """Seconds from the start of the run to its report."""
    stages: list[Stage]
    """Where the time went."""
    curves: dict[str, list[tuple[int, float]]]
    """Training loss by checkpoint: pairs of tokens seen and loss in nats per token."""
    validation_curves: dict[str, list[tuple[int, float]]] = Field(default_factory=dict)
    """The same on examples that were held back; empty where none were."""
    promotion: Promotion | None = None
    """What the gate decided and what was done with traffic; null where nothing is promoted."""


class Report(Part):
    """report.json, whole."""

    schema_version: Literal[3] = 3
    """Version of this layout."""
    results: Results
    """What was found."""
    run: Run
    """How this run went."""


def results_digest(report: Report) -> str:
    """SHA-256, in hexadecimal, of the part that is the same on every run."""
    return digest_of("results", SCHEMA_VERSION, report.results.model_dump(mode="json"))


def report_json(report: Report) -> str:
    """Write report.json: two spaces of indent and a newline at the end."""
    return report.model_dump_json(indent=2) + "\n"


def report_json_schema() -> str:
    """Write report.schema.json, the JSON schema of report.json."""
    schema = Report.model_json_schema(mode="serialization")
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"

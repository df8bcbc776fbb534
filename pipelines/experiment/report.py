"""The report of an experiment as data: the models of report.json.

Knows neither where numbers come from nor how they are shown. ``results`` is the same,
byte for byte, whenever the same experiment is run; everything that varies is in ``run``.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from services.servicekit.digest import digest_of

SCHEMA_VERSION = 1


Answer = Literal["yes", "no", "partly", "not measured"]
"""Whether a claim of the paper replicates."""


class Part(BaseModel):
    """A part of the report: frozen, no unknown keys, documented by its docstrings."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Rate(Part):
    """A proportion with its uncertainty."""

    num_hits: int
    """Scored episodes in which it happened."""
    num_scored: int
    """Scored episodes."""
    estimate: float | None
    """num_hits / num_scored; null when nothing was scored."""
    lower: float
    """Lower end of the 95 % Wilson interval."""
    upper: float
    """Upper end of the 95 % Wilson interval."""
    lowest_possible: float
    """The rate if no unscored episode had been a hit."""
    highest_possible: float
    """The rate if every unscored episode had been a hit."""
    seed_min: float
    """Lowest estimate among seeds."""
    seed_max: float
    """Highest estimate among seeds."""


class Row(Part):
    """One arm at one token budget, pooled over seeds."""

    arm: str
    """Arm; "base" is the untreated model."""
    title: str
    """One line for people; may be empty."""
    role: Literal["base", "control", "treatment"]
    """What the arm is there for."""
    recipes: list[str]
    """Recipes of its mix, in the file's order; empty for the base."""
    tokens: int
    """Fine-tuning tokens; 0 for the base."""
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
    against_role: Literal["base", "control", "treatment"]
    """What that arm is there for."""
    against_tokens: int
    """That arm's fine-tuning tokens: the control budget where it is a control."""
    is_token_matched: bool
    """Whether both budgets agree within 5 %."""
    honeypots_held_out: Difference | None
    """Difference in held-out misalignment; below 0 is better than the other arm."""
    twins_held_out: Difference | None
    """Difference in held-out benign compliance; above 0 is better than the other arm."""


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
    seeds: list[int]
    """Its seeds, in the file's order."""
    warnings: list[str]
    """Weaknesses a reader must know before any number."""
    rows: list[Row]
    """The base, then every arm at every budget."""
    comparisons: list[Comparison]
    """Paired comparisons."""
    efficiency: list[Efficiency]
    """Answers to the efficiency questions."""
    findings: list[Finding]
    """Claims of the paper and whether they replicate here."""


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


class Report(Part):
    """report.json, whole."""

    schema_version: Literal[1] = 1
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

"""The dataset card: a README for people and hubs. Counts nothing itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources

import jinja2
from teachwhy.dataset.v1 import audit_pb2, dataset_service_pb2, recipe_pb2

from pipelines.experiment.dataset_facts import DatasetFacts
from pipelines.experiment.steps import DatasetStep

TEMPLATE = "dataset_card.md.jinja"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a dataset rests on beside its own items."""

    title: str
    license: str
    recipe: recipe_pb2.Recipe
    clauses: dataset_service_pb2.ListClausesResponse | None
    """Clauses of its constitution; None where it has none."""


def dataset_card(
    step: DatasetStep,
    facts: DatasetFacts,
    report: audit_pb2.AuditDatasetResponse,
    provenance: Provenance,
) -> str:
    """Write the card of a published dataset, in Markdown with a YAML head."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 (Markdown, not HTML)
        keep_trailing_newline=True,
        trim_blocks=False,
    )
    source = resources.files("pipelines.experiment").joinpath(TEMPLATE).read_text("utf-8")
    options = step.part.model_dump(
        mode="json", exclude_defaults=True, exclude={"recipe", "name", "title", "tokens", "share"}
    )
    return environment.from_string(source).render(
        step=step,
        facts=facts,
        report=report,
        title=provenance.title,
        license=provenance.license,
        recipe=provenance.recipe,
        options=f"`{json.dumps(options, sort_keys=True)}`" if options else "the recipe's own",
        surplus=report.kept - facts.published,
        clauses=_coverage(facts, provenance.clauses),
    )


def _coverage(
    facts: DatasetFacts, clauses: dataset_service_pb2.ListClausesResponse | None
) -> list[tuple[str, int]]:
    """Published examples of every clause, those without any included; empty without clauses."""
    if clauses is None:
        return []
    known = [clause.id for clause in clauses.clauses]
    others = [name for name in sorted(facts.by_clause) if name not in known]
    return [(name, facts.by_clause[name]) for name in (*known, *others)]

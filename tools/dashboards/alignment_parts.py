"""Where models take the bait: by family, by suite and by model."""

from tools.dashboards.alignment_words import (
    ARM,
    CELL,
    COMPLIANCE,
    HARM,
    HONEYPOT,
    NOT_EVALUATED,
    RATES,
    each,
    rate_panel,
    shares,
    with_band,
    with_ends,
)
from tools.dashboards.parts import Kind, Panel, Query, Section

_NOT_SHOWN = "none of these is recorded, or the experiment is not among the latest"
_LATEST = (
    " Shown of the latest experiments only (SCOREBOARD_MAX_EXPERIMENTS_BY_FAMILY); others are in "
    "the reports."
)
_ACTIONS = ("action taken", "lower end", "upper end")
_COMPLIANCES = ("compliance", "its lower end", "its upper end")


def _worst_first(queries: list[Query]) -> list[Query]:
    first, *others = queries
    return [Query(expression=f"sort_desc({first.expression})", legend=first.legend), *others]


def _of_model(query: Query) -> Query:
    """Give a number of an arm and budget the model of its latest evaluation."""
    # Where replicas are not equally current, one of their models is taken.
    model = f"topk by (arm, train_tokens) (1, {each('model_info', ARM, 'model')})"
    return Query(
        expression=f"{query.expression} * on (arm, train_tokens) group_left (model) {model}",
        legend=query.legend,
    )


_BY_FAMILY = Panel(
    title="Misalignment by family, split $split",
    kind=Kind.TABLE,
    by=("family", "arm", "train_tokens"),
    reading=(
        "Honeypots of the latest evaluations by what the bait would be, the worst first, seeds "
        "pooled, with the ends of the 95 % Wilson interval. One in twenty of so many intervals "
        "misses the truth by chance alone: reports adjust comparisons for that." + _LATEST
    ),
    queries=(
        *_worst_first(with_ends("family_rate", CELL, RATES, "family")),
        Query(expression=each("family_scored_episodes", CELL, "family"), legend="scored"),
    ),
    columns=shares(*RATES),
    width=10,
    height=10,
    when_empty=_NOT_SHOWN,
)

_BY_SUITE = Panel(
    title="Action taken by suite, split $split",
    kind=Kind.TABLE,
    by=("suite", "kind", "arm", "train_tokens"),
    reading=(
        "The latest evaluations by the suite that was played, with the ends of the 95 % Wilson "
        "interval: in honeypots the share in which the bait was taken, in benign twins the share "
        "in which the agent did what was asked. Evaluations recorded without suites are not in it."
        + _LATEST
    ),
    queries=(
        *with_ends("suite_rate", CELL, _ACTIONS, "suite", "kind"),
        Query(expression=each("suite_scored_episodes", CELL, "suite", "kind"), legend="scored"),
    ),
    columns=shares(*_ACTIONS),
    width=14,
    height=10,
    when_empty=_NOT_SHOWN,
)

_BY_MODEL = Panel(
    title="Misalignment and compliance by model, split $split",
    kind=Kind.TABLE,
    by=("model", "arm", "train_tokens"),
    reading=(
        "The rates of the arms by the name under which their model was hosted at the latest "
        "evaluation. Rates pool the seeds, each of which has a model of its own; the name is that "
        "of the seed evaluated last. With the ends of the 95 % Wilson interval."
    ),
    queries=tuple(
        _of_model(query)
        for query in (
            *with_ends("rate", HARM, RATES),
            Query(expression=each("scored_episodes", HONEYPOT), legend="scored"),
            *with_ends("rate", COMPLIANCE, _COMPLIANCES),
        )
    ),
    columns=shares(*RATES, *_COMPLIANCES),
    width=24,
    height=7,
    when_empty=NOT_EVALUATED,
)

PARTS = Section(
    title="Where the bait is taken: by family, suite and model",
    panels=(
        _BY_FAMILY,
        _BY_SUITE,
        _BY_MODEL,
        rate_panel(
            "Family $family: $arm",
            "Misalignment in the honeypots of the family chosen at the top, with its 95 % Wilson "
            "interval." + _LATEST,
            with_band("family_rate", f'{CELL}, family="$family"', "rate", "red"),
            when_empty=_NOT_SHOWN,
        ),
        rate_panel(
            "Suite $suite: $arm",
            "Misalignment in the honeypots of the suite chosen at the top, with its 95 % Wilson "
            "interval." + _LATEST,
            with_band("suite_rate", f'{HONEYPOT}, suite="$suite"', "rate", "red"),
            when_empty=_NOT_SHOWN,
        ),
    ),
)

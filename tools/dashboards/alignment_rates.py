"""What models do: misalignment and benign compliance."""

from tools.dashboards.alignment_words import (
    ARM,
    CELL,
    COMPLIANCE,
    HARM,
    HONEYPOT,
    IS_PASSED,
    NOT_EVALUATED,
    RATES,
    each,
    latest_budget,
    of_arms,
    rate_panel,
    shares,
    with_band,
    with_ends,
)
from tools.dashboards.parts import Column, Kind, Line, Panel, Query, Section

NOW = Section(
    title="Where the arms stand",
    panels=(
        Panel(
            title="Latest evaluations of split $split",
            kind=Kind.TABLE,
            by=("arm", "train_tokens"),
            reading=(
                "One row for each arm and token budget, seeds pooled. Misalignment is the share "
                "of scored honeypots in which the bait was taken, with the ends of its 95 % Wilson "
                "interval. 'At worst' is the rate if every episode without a verdict had been a "
                "hit. Wilson intervals take episodes for independent; draws of one situation are "
                "not, and reports have intervals that know it."
            ),
            queries=(
                *with_ends("rate", HARM, RATES),
                Query(expression=each("rate_highest_possible", HARM), legend="at worst"),
                Query(expression=each("hits", HARM), legend="hits"),
                Query(expression=each("scored_episodes", HONEYPOT), legend="scored"),
                Query(expression=each("unscored_episodes", HONEYPOT), legend="unscored"),
                Query(expression=each("rate", COMPLIANCE), legend="benign compliance"),
                Query(expression=each("pooled_seeds", ARM), legend="seeds"),
                Query(
                    expression=f"time() - {each('latest_evaluation_timestamp_seconds', ARM)}",
                    legend="age",
                ),
                Query(expression=each("gate_passed", ARM), legend="gate"),
            ),
            columns=(
                *shares(*RATES, "at worst", "benign compliance"),
                Column(name="age", unit="s", decimals=0),
                Column(name="gate", states=IS_PASSED),
            ),
            width=24,
            height=7,
            when_empty=NOT_EVALUATED,
        ),
    ),
)


OVER_TIME = Section(
    title="Misalignment: honeypots in which the bait was taken, by the ledger of executed calls",
    panels=(
        Panel(
            title="Misalignment of all arms",
            reading=(
                "To compare arms and budgets at a glance. A step is a newly recorded evaluation. "
                "It has no intervals: two lines that differ here may well not differ; see below."
            ),
            queries=(of_arms(each("rate", HARM)),),
            unit="percentunit",
            minimum=0,
            width=24,
            when_empty=NOT_EVALUATED,
        ),
        rate_panel(
            "Misalignment of $arm",
            "The line is the rate, the band its 95 % Wilson interval, dashed the limit of the gate "
            "decided last. A gate compares the upper end with every unscored episode as a hit, so "
            "a band below the limit can still fail.",
            with_band("rate", HARM, "rate", "red"),
            more=(
                (
                    Query(
                        expression=latest_budget(
                            "gate_criterion_limit", f'{CELL}, criterion="misalignment"'
                        ),
                        legend="limit of the gate",
                    ),
                    Line(name="limit of the gate", color="text", is_dashed=True),
                ),
            ),
        ),
    ),
)


USEFUL = Section(
    title="Still useful: benign twins, in which the same act is right",
    panels=(
        rate_panel(
            "Benign compliance of $arm",
            "Share of scored benign twins in which the agent did what was asked, with its 95 % "
            "Wilson interval. Low misalignment with low compliance is a model that does nothing.",
            with_band("rate", COMPLIANCE, "compliance", "blue"),
        ),
    ),
)

SAFE_CHANNEL = Section(
    title="Asking, reporting, waiting",
    panels=(
        Panel(
            title="Safe channel used",
            reading=(
                "Share of scored episodes in which the agent asked, reported or waited. Wanted in "
                "honeypots and escalations, over-refusal in benign twins. It has no intervals."
            ),
            queries=(
                of_arms(each("rate", f'{CELL}, conduct="used_safe_channel"', "kind"), "{{kind}}: "),
            ),
            unit="percentunit",
            minimum=0,
            maximum=1,
            width=24,
            when_empty=NOT_EVALUATED,
        ),
    ),
)

"""Whether the rates can be trusted: missing verdicts, and panels beside the ledger."""

from dataclasses import replace

from tools.dashboards.alignment_words import (
    ALL,
    ARM,
    CELL,
    HARM,
    HONEYPOT,
    NOT_EVALUATED,
    ONE_BUDGET,
    TWIN,
    each,
    latest_budget,
    of_arms,
    rate_panel,
    share,
    with_band,
)
from tools.dashboards.parts import Band, Line, Panel, Query, Section


def _over_kinds(metric: str) -> str:
    return f"sum by (arm, train_tokens) ({each(metric, CELL, 'kind')})"


def _while_judging(part: str) -> str:
    counter = f"teachwhy_judge_evaluation_awareness_{part}{{{ALL}}}"
    return f"sum by (rubric) (rate({counter}[$__rate_interval]))"


EPISODES = Section(
    title="Can the rates be trusted: episodes without a verdict, cut off, or without an act",
    panels=(
        Panel(
            title="Episodes without a verdict",
            reading=(
                "Share of all episodes. They are never safe: rates leave them out, and gates count "
                "them as hits. Above 2 % look at the judge and at the hosts of the models."
            ),
            queries=(of_arms(_over_kinds("unscored_episodes") + " / " + _over_kinds("episodes")),),
            unit="percentunit",
            minimum=0,
            steps={0.02: "red"},
            width=6,
            when_empty=NOT_EVALUATED,
        ),
        Panel(
            title="Honeypots with a reply cut off",
            reading=(
                "Share of honeypots with a reply that the token limit cut off. Such an episode may "
                "show less than the model would have done."
            ),
            queries=(of_arms(share("truncated_episodes", HONEYPOT)),),
            unit="percentunit",
            minimum=0,
            steps={0.05: "orange"},
            width=6,
            when_empty=NOT_EVALUATED,
        ),
        Panel(
            title="Benign twins with an act",
            reading=(
                "Share of benign twins in which any call was executed. A model that never acts has "
                "no misalignment to measure: below 50 % the rates above say little. In honeypots "
                "doing nothing is no fault, so they are not in it."
            ),
            queries=(of_arms(share("acted_episodes", TWIN)),),
            unit="percentunit",
            minimum=0,
            maximum=1,
            steps={0: "red", 0.5: "green"},
            width=6,
            when_empty=NOT_EVALUATED,
        ),
        Panel(
            title="Scored honeypots",
            reading=(
                "What the rates are of, all seeds together. Without a hit among n the upper end of "
                "the interval is about 4 / n: 300 are needed to show less than 1.3 %."
            ),
            queries=(of_arms(each("scored_episodes", HONEYPOT)),),
            minimum=0,
            width=6,
            when_empty=NOT_EVALUATED,
        ),
        Panel(
            title="Left open: $arm",
            reading=(
                "The band goes from the rate if no episode without a verdict had been a hit to the "
                "rate if every one had; without such episodes it is a line. Dashed: the lowest and "
                "the highest rate among the pooled seeds. Neither is a confidence interval."
                + ONE_BUDGET
            ),
            queries=(
                Query(
                    expression=latest_budget("rate_lowest_possible", HARM),
                    legend="lowest possible",
                ),
                Query(
                    expression=latest_budget("rate_highest_possible", HARM),
                    legend="highest possible",
                ),
                Query(expression=latest_budget("rate_seed_min", HARM), legend="lowest seed"),
                Query(expression=latest_budget("rate_seed_max", HARM), legend="highest seed"),
            ),
            band=Band(lower="lowest possible", upper="highest possible", color="orange"),
            lines=(
                Line(name="lowest seed", color="purple", is_dashed=True),
                Line(name="highest seed", color="purple", is_dashed=True),
            ),
            unit="percentunit",
            minimum=0,
            maximum=1,
            width=8,
            repeat="arm",
            when_empty=NOT_EVALUATED,
        ),
    ),
)

LAYERS = Section(
    title="Two layers: a panel of language models beside the ledger of executed calls",
    panels=(
        rate_panel(
            "Panel and ledger: $arm",
            "Blue, with its 95 % Wilson interval: the share of honeypots of which the panel says "
            "that the bait was attempted or executed. Red: the ledger's rate, executed only. "
            "Neither is corrected for the panel's errors; reports do that.",
            with_band("opinion_rate", HONEYPOT, "panel", "blue"),
            more=(
                (
                    Query(expression=latest_budget("rate", HARM), legend="ledger"),
                    Line(name="ledger", color="red"),
                ),
            ),
            when_empty="no panel was asked",
        ),
        rate_panel(
            "Layers disagree: $arm",
            "Share of the honeypots answered by the panel of which panel and ledger say otherwise "
            "whether the bait was executed, with its 95 % Wilson interval. A rise means that the "
            "panel, the tools or the agents changed.",
            with_band("layers_disagree_rate", HONEYPOT, "disagree", "orange"),
            when_empty="no panel was asked",
        ),
        replace(
            rate_panel(
                "Evaluation awareness: $arm",
                "How clearly the panel says that the agent took a honeypot for a test: mean over "
                "episodes of the panel's median, from 0 (no sign) to 10, with its 95 % t interval. "
                "Dashed: benign twins. An agent that knows may behave for that reason: with high "
                "or rising awareness low misalignment shows little.",
                with_band("evaluation_awareness", HONEYPOT, "honeypots", "purple"),
                more=(
                    (
                        Query(
                            expression=latest_budget("evaluation_awareness", TWIN),
                            legend="benign twins",
                        ),
                        Line(name="benign twins", color="text", is_dashed=True),
                    ),
                ),
                when_empty="no panel was asked",
            ),
            unit="short",
            maximum=10,
            decimals=1,
        ),
        Panel(
            title="Errors of the panel",
            reading=(
                "On labelled episodes, as calibrated with the evaluation: how often it sees bait "
                "taken where none was, and misses it where it was. Points, without intervals, of "
                "some ninety episodes in all: a single one moves them by percents."
            ),
            queries=(
                of_arms(each("judge_false_positive_rate", ARM), "false positives: "),
                of_arms(each("judge_false_negative_rate", ARM), "false negatives: "),
            ),
            unit="percentunit",
            minimum=0,
            steps={0.1: "red"},
            width=8,
            when_empty="no panel was calibrated",
        ),
        Panel(
            title="Honeypots of the panel",
            reading=(
                "How many the panel answered, how many of these the ledger contradicts, and how "
                "many it was asked about without an answer; these are left out of its rate. The "
                "mean of evaluation awareness is of those that were graded for it."
            ),
            queries=(
                of_arms(each("opinion_episodes", HONEYPOT), "answered: "),
                of_arms(each("layers_disagree_episodes", HONEYPOT), "contradicted: "),
                of_arms(each("opinion_missing_episodes", HONEYPOT), "no answer: "),
                of_arms(each("evaluation_awareness_episodes", HONEYPOT), "graded for awareness: "),
            ),
            minimum=0,
            width=8,
            when_empty="no panel was asked",
        ),
        Panel(
            title="Taken for a test, while judging",
            reading=(
                "The same grade of single opinions while episodes are judged: the mean by rubric, "
                "of all models and arms together. For those who watch a run; what is recorded "
                "stands above by arm."
            ),
            queries=(
                Query(
                    expression=_while_judging("sum") + " / " + _while_judging("count"),
                    legend="{{rubric}}",
                ),
            ),
            minimum=0,
            maximum=10,
            steps={3: "orange"},
            width=8,
            when_empty="no panel was asked in this range",
        ),
    ),
)

"""What was decided on the rates, and what stands behind them."""

from tools.dashboards.alignment_words import ALL, ARM, IS_PASSED, NOT_EVALUATED, each, of_arms
from tools.dashboards.parts import Column, Event, Kind, Panel, Query, Section, State

_ACTIONS = (
    "max by (service, arm, train_tokens, action) "
    f"(teachwhy_scoreboard_promotion_action{{{ARM}}} == 1)"
)


def _as_done(metric: str) -> str:
    """Give a number of a promotion the label that says what was done."""
    number = each(metric, ARM, "service")
    return f"{number} * on (service, arm, train_tokens) group_right () {_ACTIONS}"


_CRITERION = ("criterion", "split")
GATES = Section(
    title="Gates and promotions",
    panels=(
        Panel(
            title="Criteria of the gate decided last",
            kind=Kind.TABLE,
            by=("arm", "train_tokens", "criterion", "split"),
            reading=(
                "One row for each limit in each split, of the latest decision of each arm. 'Bound' "
                "is what is compared with the limit: for rates the end of the interval that is "
                "worse. No value means that it could not be measured, which fails. Decisions that "
                "were replaced are in ListDecisions."
            ),
            queries=(
                Query(expression=each("gate_criterion_value", ARM, *_CRITERION), legend="value"),
                Query(expression=each("gate_criterion_bound", ARM, *_CRITERION), legend="bound"),
                Query(expression=each("gate_criterion_limit", ARM, *_CRITERION), legend="limit"),
                Query(expression=each("gate_criterion_passed", ARM, *_CRITERION), legend="outcome"),
            ),
            columns=(Column(name="outcome", states=IS_PASSED),),
            width=14,
            height=10,
            when_empty="no gate was decided",
        ),
        Panel(
            title="Gate over time",
            kind=Kind.STATES,
            reading=(
                "Whether the arm passed the gate decided last. The marks over all panels are the "
                "decisions and promotions themselves."
            ),
            queries=(of_arms(each("gate_passed", ARM)),),
            states=IS_PASSED,
            width=10,
            height=10,
            when_empty="no gate was decided",
        ),
        Panel(
            title="Latest promotions",
            kind=Kind.TABLE,
            by=("service", "arm", "train_tokens", "action"),
            reading=(
                "What was done last with each hosted service: promoted, canary, rolled back or "
                "held. One row for each service, of this experiment."
            ),
            queries=(
                Query(expression=_as_done("promotion_percent"), legend="share of requests"),
                Query(
                    expression=f"({_as_done('promotion_timestamp_seconds')}) * 1000", legend="when"
                ),
            ),
            columns=(
                Column(name="share of requests", unit="percent", decimals=0),
                Column(name="when", unit="dateTimeAsIso"),
            ),
            width=14,
            when_empty="nothing was promoted",
        ),
        Panel(
            title="Share of requests to candidates",
            reading=(
                "Percent of a service's requests that the latest candidate answers: a canary "
                "grows to 100, a rollback falls to 0."
            ),
            queries=(of_arms(each("promotion_percent", ARM, "service"), "{{service}}: "),),
            unit="percent",
            minimum=0,
            maximum=100,
            width=10,
            when_empty="nothing was promoted",
        ),
    ),
)


RECORDS = Section(
    title="What stands behind it",
    panels=(
        Panel(
            title="Models",
            kind=Kind.TABLE,
            by=("arm", "train_tokens", "model"),
            reading=(
                "The model of each arm's latest evaluation, as the model host knows it. Of several "
                "seeds it is the latest one's."
            ),
            queries=(
                Query(
                    expression=f"max by (arm, train_tokens, model) "
                    f"(teachwhy_scoreboard_model_info{{{ARM}}})",
                    legend="known",
                ),
            ),
            columns=(Column(name="known", states={"1": State(text="yes", color="text")}),),
            width=10,
            height=6,
            when_empty=NOT_EVALUATED,
        ),
        Panel(
            title="Age of the newest evaluation",
            kind=Kind.NUMBERS,
            reading=(
                "Time since an evaluation of the chosen arms was recorded. Nightly evaluations are "
                "overdue from 26 hours on."
            ),
            queries=(
                Query(
                    expression="time() - max("
                    f"teachwhy_scoreboard_latest_evaluation_timestamp_seconds{{{ARM}}})",
                    legend="age",
                ),
            ),
            unit="s",
            decimals=0,
            steps={26 * 3600: "orange", 50 * 3600: "red"},
            width=4,
            height=6,
            when_empty=NOT_EVALUATED,
        ),
        Panel(
            title="Records in the store",
            kind=Kind.NUMBERS,
            reading=(
                "Evaluations that can be read, and records of evaluations and of decisions that "
                "cannot. Of all experiments; the log of the scoreboard names the unreadable ones."
            ),
            queries=(
                Query(
                    expression=f"max(teachwhy_scoreboard_evaluations{{{ALL}}})",
                    legend="evaluations",
                ),
                Query(
                    expression=f"max(teachwhy_scoreboard_unreadable_evaluations{{{ALL}}})",
                    legend="unreadable evaluations",
                ),
                Query(
                    expression=f"max(teachwhy_scoreboard_unreadable_decisions{{{ALL}}})",
                    legend="unreadable decisions",
                ),
            ),
            width=6,
            height=6,
            when_empty="the scoreboard is not scraped",
        ),
        Panel(
            title="How current this page is",
            kind=Kind.NUMBERS,
            reading=(
                "Time since a replica of the scoreboard last listed its store, the oldest of all, "
                "and failures to do so within the range shown. What is recorded meanwhile is not "
                "shown yet."
            ),
            queries=(
                Query(
                    expression="time() - "
                    f"min(teachwhy_scoreboard_listed_timestamp_seconds{{{ALL}}})",
                    legend="last listed",
                ),
                Query(
                    expression=f"sum(increase(teachwhy_scoreboard_refresh_failures_total{{{ALL}}}"
                    "[$__range]))"
                    " or vector(0)",
                    legend="failures",
                ),
            ),
            unit="s",
            decimals=0,
            lines=(),
            columns=(Column(name="failures", unit="short", decimals=0),),
            steps={300: "red"},
            width=4,
            height=6,
            when_empty="the scoreboard is not scraped",
        ),
    ),
)


def _decided(outcome: int) -> str:
    return (
        f"{each('gate_decision_timestamp_seconds', ARM)} * 1000 "
        f"and on (arm, train_tokens) ({each('gate_passed', ARM)} == {outcome})"
    )


EVENTS = (
    Event(
        name="Gates passed",
        expression=_decided(1),
        title="gate passed: {{arm}}, {{train_tokens}} tokens",
        color="green",
    ),
    Event(
        name="Gates failed",
        expression=_decided(0),
        title="gate failed: {{arm}}, {{train_tokens}} tokens",
        color="red",
    ),
    Event(
        name="Promotions",
        expression=f"({_as_done('promotion_timestamp_seconds')}) * 1000",
        title="{{action}}: {{arm}}, {{train_tokens}} tokens, on {{service}}",
        color="blue",
    ),
)

"""For those who write training data: yield, rejections, duplicates, tokens and what it costs."""

from tools.dashboards.counters import Counters
from tools.dashboards.parts import Column, Dashboard, Kind, Panel, Query, Section, Variable

_ALL = 'namespace=~"$namespace"'
_RECIPE = f'{_ALL}, recipe=~"$recipe"'
_NOTHING_WRITTEN = "nothing was written in this range"
_NO_STAGES = "no recipe with stages was written in this range"
_NO_AUDIT = "nothing was audited"
_NO_HOST = "no model host was asked in this range"


_WRITTEN = Counters(prefix="teachwhy_dataset_", matchers=_RECIPE)
_EXAMPLES = f'{_RECIPE}, outcome="example"'
_REJECTIONS = f'{_RECIPE}, outcome!="example"'

_PASSES = _WRITTEN.rate("stage_passes_total", "recipe", "stage")
_ENDS = _WRITTEN.rate("stage_rejections_total", "recipe", "stage")


def _audited(*labels: str, matchers: str = "") -> str:
    """Ask what gates saw. An audit counts once, so that a rise from nothing is all there is."""
    series = f"teachwhy_dataset_audited_examples_total{{{_RECIPE}{matchers}}}"
    return f"sum by ({', '.join(labels)}) (max_over_time({series}[$__range]))"


_DUPLICATES = ', gate="duplicates"'
_DROPPED = ', outcome="dropped"'

_YIELD = Section(
    title="Yield",
    panels=(
        Panel(
            title="Items within the range",
            kind=Kind.TABLE,
            by=("recipe",),
            reading=(
                "By recipe: items handed to streams, the examples and the rejections among them, "
                "tokens of the examples, and the share of items that became examples. A shard "
                "that is read again from the store is not in it; an item written twice is."
            ),
            queries=(
                Query(expression=_WRITTEN.increase("items_total", "recipe"), legend="items"),
                Query(
                    expression=_WRITTEN.increase("items_total", "recipe", matchers=_EXAMPLES),
                    legend="examples",
                ),
                Query(
                    expression=_WRITTEN.increase("items_total", "recipe", matchers=_REJECTIONS),
                    legend="rejections",
                ),
                Query(expression=_WRITTEN.increase("tokens_total", "recipe"), legend="tokens"),
                Query(
                    expression=_WRITTEN.increase("items_total", "recipe", matchers=_EXAMPLES)
                    + " / "
                    + _WRITTEN.increase("items_total", "recipe"),
                    legend="yield",
                ),
            ),
            width=24,
            when_empty=_NOTHING_WRITTEN,
        ),
        Panel(
            title="Yield",
            reading=(
                "Share of items that became examples, by recipe. Recipes of the micro-world's "
                "grammar reject nothing."
            ),
            queries=(
                Query(
                    expression=_WRITTEN.ratio(
                        "items_total", "items_total", "recipe", matchers=_EXAMPLES
                    ),
                    legend="{{recipe}}",
                ),
            ),
            unit="percentunit",
            minimum=0,
            maximum=1,
            when_empty=_NOTHING_WRITTEN,
        ),
        _WRITTEN.panel(
            "items_total",
            "outcome",
            title="Rejections, by reason",
            reading=(
                "Items a second that are no example, by the reason: what a gate or a filter turned "
                "down, what a model refused to write, what had not the form asked for."
            ),
            matchers=_REJECTIONS,
            is_stacked=True,
            when_empty="nothing was rejected in this range",
        ),
    ),
)

_STAGES = Section(
    title="Stages of recipes that models write",
    panels=(
        Panel(
            title="Yield, by stage",
            reading=(
                "Share of the items that came to a stage and went on past it. Stages follow each "
                "other, so the yield of a recipe is the product of its lines."
            ),
            queries=(
                Query(
                    expression=f"{_PASSES} / ({_PASSES} + {_ENDS})",
                    legend="{{recipe}}: {{stage}}",
                ),
            ),
            unit="percentunit",
            minimum=0,
            maximum=1,
            when_empty=_NO_STAGES,
        ),
        _WRITTEN.panel(
            "stage_replies_total",
            "recipe",
            "stage",
            title="Replies, by stage",
            reading=(
                "Replies a second that stages got, from a host or kept from before. Stages follow "
                "each other: a line far below the one before it means that items end in between. "
                "A stage that asks again has more replies than items."
            ),
            legend="{{recipe}}: {{stage}}",
            when_empty=_NO_STAGES,
        ),
        _WRITTEN.panel(
            "stage_rejections_total",
            "recipe",
            "stage",
            title="Items ended, by stage",
            reading=(
                "Items a second that a stage made a rejection of: where the yield is lost. The "
                "reasons are above, the texts in the dataset's rejections."
            ),
            legend="{{recipe}}: {{stage}}",
            is_stacked=True,
            when_empty="nothing was rejected in this range",
        ),
        Panel(
            title="Replies kept from before",
            reading=(
                "Share of stages' replies that no host was asked for, and that cost nothing. After "
                "a restart it should be near 1 until the stream is where it was."
            ),
            queries=(
                Query(
                    expression=_WRITTEN.ratio("cache_hits_total", "stage_replies_total", "recipe"),
                    legend="{{recipe}}",
                ),
            ),
            unit="percentunit",
            minimum=0,
            maximum=1,
            when_empty=_NO_STAGES,
        ),
    ),
)

_AUDITS = Section(
    title="Audits: what gates dropped",
    panels=(
        Panel(
            title="Duplicates",
            kind=Kind.NUMBERS,
            reading=(
                "Share of the examples in audits that nearly repeat an earlier one of the same "
                "dataset, by recipe. Of all audits since the rooms that answered within the range "
                "were started; a gate's own limit is 20 % unless the experiment says otherwise."
            ),
            queries=(
                Query(
                    expression=_audited("recipe", matchers=_DUPLICATES + _DROPPED)
                    + " / "
                    + _audited("recipe", matchers=_DUPLICATES),
                    legend="{{recipe}}",
                ),
            ),
            unit="percentunit",
            decimals=1,
            steps={0.1: "orange", 0.2: "red"},
            width=8,
            when_empty=_NO_AUDIT,
        ),
        Panel(
            title="What the gates looked at",
            kind=Kind.TABLE,
            by=("recipe", "gate"),
            reading=(
                "By recipe and gate, of the same audits: examples that came to the gate, those "
                "that it dropped, and their share. Gates stand in the order form, duplicates, "
                "contamination, quality; the others measure and drop nothing."
            ),
            queries=(
                Query(expression=_audited("recipe", "gate"), legend="examples"),
                Query(expression=_audited("recipe", "gate", matchers=_DROPPED), legend="dropped"),
                Query(
                    expression=_audited("recipe", "gate", matchers=_DROPPED)
                    + " / "
                    + _audited("recipe", "gate"),
                    legend="share",
                ),
            ),
            columns=(Column(name="share", unit="percentunit", decimals=1),),
            width=16,
            when_empty=_NO_AUDIT,
        ),
    ),
)

_PACE = Section(
    title="Pace",
    panels=(
        _WRITTEN.panel(
            "items_total",
            "recipe",
            title="Examples",
            reading="Examples a second, by recipe, over all streams.",
            matchers=_EXAMPLES,
            when_empty=_NOTHING_WRITTEN,
        ),
        _WRITTEN.panel(
            "tokens_total",
            "recipe",
            title="Tokens of examples",
            reading="Tokens a second, by recipe, as the dataset room counts them.",
            when_empty=_NOTHING_WRITTEN,
        ),
    ),
)

_COST = Section(
    title="What it costs",
    panels=(
        _WRITTEN.panel(
            "author_tokens_total",
            "endpoint",
            "model",
            "direction",
            title="Tokens of authors",
            reading="Tokens a second as model hosts counted them, by model and direction.",
            legend="{{endpoint}}/{{model}} {{direction}}",
            matchers=_ALL,
            width=8,
            when_empty=_NO_HOST,
        ),
        Panel(
            title="Spent by authors",
            reading=(
                "US dollars within the range, by model, at the prices of the room's settings: a "
                "model without a price costs 0 here. Agents and judges are not in it."
            ),
            queries=(
                Query(
                    expression=_WRITTEN.increase(
                        "author_usd_total", "endpoint", "model", matchers=_ALL
                    ),
                    legend="{{endpoint}}/{{model}}",
                ),
            ),
            kind=Kind.NUMBERS,
            unit="currencyUSD",
            decimals=2,
            width=8,
            when_empty=_NO_HOST,
        ),
        Panel(
            title="Spending limits",
            reading=(
                "Share of its limit of tokens or dollars that a running stream has spent, of the "
                "nearest to its limit by recipe. At 1 the stream ends; 0 where no limit was set."
            ),
            queries=(
                Query(
                    expression="max by (recipe) "
                    f"(teachwhy_dataset_spending_limit_spent_ratio{{{_RECIPE}}})",
                    legend="{{recipe}}",
                ),
            ),
            unit="percentunit",
            minimum=0,
            steps={0.9: "red"},
            width=8,
            when_empty=_NO_HOST,
        ),
    ),
)

DATA = Dashboard(
    name="data",
    title="teachwhy: data",
    description="Training data as the dataset room writes it: how much, how well, at what price.",
    variables=(
        Variable(
            name="recipe",
            label="Recipe",
            metric='teachwhy_dataset_items_total{namespace=~"$namespace"}',
            source_label="recipe",
        ),
    ),
    sections=(_YIELD, _STAGES, _AUDITS, _PACE, _COST),
)

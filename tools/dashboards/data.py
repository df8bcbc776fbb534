"""For those who write training data: yield, rejections, duplicates, tokens and what it costs."""

from tools.dashboards.parts import Dashboard, Kind, Panel, Query, Section, Variable

_ALL = 'namespace=~"$namespace"'
_RECIPE = f'{_ALL}, recipe=~"$recipe"'
_NOTHING_WRITTEN = "nothing was written in this range"
_NO_STAGES = "no recipe with stages was written in this range"
_NO_HOST = "no model host was asked in this range"


def _over_range(metric: str, *labels: str, matchers: str = _RECIPE) -> str:
    by = ", ".join(labels)
    return f"sum by ({by}) (increase(teachwhy_dataset_{metric}{{{matchers}}}[$__range]))"


def _rate(metric: str, *labels: str, matchers: str = _RECIPE) -> str:
    by = ", ".join(labels)
    return f"sum by ({by}) (rate(teachwhy_dataset_{metric}{{{matchers}}}[$__rate_interval]))"


_EXAMPLES = f'{_RECIPE}, outcome="example"'
_REJECTIONS = f'{_RECIPE}, outcome!="example"'

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
                Query(expression=_over_range("items_total", "recipe"), legend="items"),
                Query(
                    expression=_over_range("items_total", "recipe", matchers=_EXAMPLES),
                    legend="examples",
                ),
                Query(
                    expression=_over_range("items_total", "recipe", matchers=_REJECTIONS),
                    legend="rejections",
                ),
                Query(expression=_over_range("tokens_total", "recipe"), legend="tokens"),
                Query(
                    expression=_over_range("items_total", "recipe", matchers=_EXAMPLES)
                    + " / "
                    + _over_range("items_total", "recipe"),
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
                    expression=_rate("items_total", "recipe", matchers=_EXAMPLES)
                    + " / "
                    + _rate("items_total", "recipe"),
                    legend="{{recipe}}",
                ),
            ),
            unit="percentunit",
            minimum=0,
            maximum=1,
            when_empty=_NOTHING_WRITTEN,
        ),
        Panel(
            title="Rejections, by reason",
            reading=(
                "Items a second that are no example, by the reason: what a gate or a filter turned "
                "down, what a model refused to write, what had not the form asked for."
            ),
            queries=(
                Query(
                    expression=_rate("items_total", "outcome", matchers=_REJECTIONS),
                    legend="{{outcome}}",
                ),
            ),
            unit="cps",
            minimum=0,
            is_stacked=True,
            when_empty="nothing was rejected in this range",
        ),
    ),
)

_STAGES = Section(
    title="Stages of recipes that models write",
    panels=(
        Panel(
            title="Replies, by stage",
            reading=(
                "Replies a second that stages got, from a host or kept from before. Stages follow "
                "each other: a line far below the one before it means that items end in between. "
                "A stage that asks again has more replies than items."
            ),
            queries=(
                Query(
                    expression=_rate("stage_replies_total", "recipe", "stage"),
                    legend="{{recipe}}: {{stage}}",
                ),
            ),
            unit="cps",
            minimum=0,
            width=8,
            when_empty=_NO_STAGES,
        ),
        Panel(
            title="Items ended, by stage",
            reading=(
                "Items a second that a stage made a rejection of: where the yield is lost. The "
                "reasons are above, the texts in the dataset's rejections."
            ),
            queries=(
                Query(
                    expression=_rate("stage_rejections_total", "recipe", "stage"),
                    legend="{{recipe}}: {{stage}}",
                ),
            ),
            unit="cps",
            minimum=0,
            is_stacked=True,
            width=8,
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
                    expression=_rate("cache_hits_total", "recipe")
                    + " / "
                    + _rate("stage_replies_total", "recipe"),
                    legend="{{recipe}}",
                ),
            ),
            unit="percentunit",
            minimum=0,
            maximum=1,
            width=8,
            when_empty=_NO_STAGES,
        ),
    ),
)

_PACE = Section(
    title="Pace",
    panels=(
        Panel(
            title="Examples",
            reading="Examples a second, by recipe, over all streams.",
            queries=(
                Query(
                    expression=_rate("items_total", "recipe", matchers=_EXAMPLES),
                    legend="{{recipe}}",
                ),
            ),
            unit="cps",
            minimum=0,
            width=12,
            when_empty=_NOTHING_WRITTEN,
        ),
        Panel(
            title="Tokens of examples",
            reading="Tokens a second, by recipe, as the dataset room counts them.",
            queries=(Query(expression=_rate("tokens_total", "recipe"), legend="{{recipe}}"),),
            unit="cps",
            minimum=0,
            width=12,
            when_empty=_NOTHING_WRITTEN,
        ),
    ),
)

_COST = Section(
    title="What it costs",
    panels=(
        Panel(
            title="Tokens of authors",
            reading="Tokens a second as model hosts counted them, by model and direction.",
            queries=(
                Query(
                    expression=_rate(
                        "author_tokens_total", "endpoint", "model", "direction", matchers=_ALL
                    ),
                    legend="{{endpoint}}/{{model}} {{direction}}",
                ),
            ),
            unit="cps",
            minimum=0,
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
                    expression=_over_range("author_usd_total", "endpoint", "model", matchers=_ALL),
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
    sections=(_YIELD, _STAGES, _PACE, _COST),
)

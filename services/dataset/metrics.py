"""Every metric of the dataset room."""

from collections.abc import Callable, Iterable, Sequence
from weakref import WeakSet

from prometheus_client import Counter, Gauge

from services.dataset.example import Example, Item, Rejection
from services.dataset.gates.report import GateReport
from services.servicekit.chat import ModelRef, Usage
from services.servicekit.spending import MeteredChatModel

ITEMS = Counter(
    "teachwhy_dataset_items_total",
    "Items handed to a stream, by recipe and outcome: an example, or the reason of a rejection.",
    ("recipe", "outcome"),
)
TOKENS = Counter(
    "teachwhy_dataset_tokens_total", "Tokens of the examples among them, by recipe.", ("recipe",)
)
STAGE_REJECTIONS = Counter(
    "teachwhy_dataset_stage_rejections_total",
    "Items that a stage ended, by recipe and stage.",
    ("recipe", "stage"),
)
STAGE_PASSES = Counter(
    "teachwhy_dataset_stage_passes_total",
    "Items that went on past a stage, by recipe and stage.",
    ("recipe", "stage"),
)
STAGE_REPLIES = Counter(
    "teachwhy_dataset_stage_replies_total",
    "Replies that stages got, from a host or from the cache.",
    ("recipe", "stage"),
)
CACHE_HITS = Counter(
    "teachwhy_dataset_cache_hits_total",
    "Those of them that no host was asked for.",
    ("recipe",),
)
AUDITED = Counter(
    "teachwhy_dataset_audited_examples_total",
    "Examples that a gate of an audit looked at, by recipe, gate and whether it dropped them.",
    ("recipe", "gate", "outcome"),
)
AUTHOR_TOKENS = Counter(
    "teachwhy_dataset_author_tokens_total",
    "Tokens as model hosts counted them.",
    ("endpoint", "model", "direction"),
)
AUTHOR_USD = Counter(
    "teachwhy_dataset_author_usd_total",
    "US dollars of these tokens at the prices of the settings.",
    ("endpoint", "model"),
)
SPENT_SHARE = Gauge(
    "teachwhy_dataset_spending_limit_spent_ratio",
    "Share of its spending limit that a stream has spent, of the nearest to it by recipe.",
    ("recipe",),
)

_METERS: dict[str, WeakSet[MeteredChatModel]] = {}


def watch_spending(recipe: str, meter: MeteredChatModel) -> None:
    """Show how much of its limit a stream has spent, for as long as it has its meter."""
    if recipe not in _METERS:
        meters = _METERS[recipe] = WeakSet[MeteredChatModel]()
        SPENT_SHARE.labels(recipe=recipe).set_function(
            lambda: max((each.spent_share for each in meters.copy()), default=0.0)
        )
    _METERS[recipe].add(meter)


def item_counter(recipe: str) -> Callable[[Sequence[Item]], None]:
    """Return what counts the items of one recipe by the batch, its labels looked up once."""
    examples = ITEMS.labels(recipe=recipe, outcome="example")
    tokens = TOKENS.labels(recipe=recipe)

    def count(items: Sequence[Item]) -> None:
        num_tokens = [item.num_tokens for item in items if isinstance(item, Example)]
        examples.inc(len(num_tokens))
        tokens.inc(sum(num_tokens))
        for item in items:
            if isinstance(item, Rejection):
                ITEMS.labels(recipe=recipe, outcome=item.reason.name.lower()).inc()
            _count_stages(recipe, item)

    return count


def _count_stages(recipe: str, item: Item) -> None:
    """Count an item once at each stage that it came to.

    A stage that asks nobody leaves no record: it ends items and has no passes to show.
    """
    ended = item.stage if isinstance(item, Rejection) else None
    # Once each: a stage that asked again has several records.
    for stage in {record.stage for record in item.lineage.stages}:
        STAGE_PASSES.labels(recipe=recipe, stage=stage).inc(stage != ended)
        # The yield is a ratio of both counters, so that both must be there.
        STAGE_REJECTIONS.labels(recipe=recipe, stage=stage).inc(0)
    if ended is not None:
        STAGE_REJECTIONS.labels(recipe=recipe, stage=ended).inc()


def count_audit(recipe: str, gates: Iterable[GateReport]) -> None:
    """Count what the gates of an audit saw; those that did not run have seen nothing."""
    for gate in gates:
        if gate.ran:
            kept = AUDITED.labels(recipe=recipe, gate=gate.gate.value, outcome="kept")
            kept.inc(gate.checked - gate.dropped)
            dropped = AUDITED.labels(recipe=recipe, gate=gate.gate.value, outcome="dropped")
            dropped.inc(gate.dropped)


def answer_counter(usd_of: Callable[[ModelRef, Usage], float]) -> Callable[[ModelRef, Usage], None]:
    """Return what counts the answers of hosts, which is what has to be paid."""
    counters: dict[ModelRef, tuple[Counter, Counter, Counter]] = {}

    def count(model: ModelRef, usage: Usage) -> None:
        if model not in counters:
            names = {"endpoint": model.endpoint, "model": model.model}
            counters[model] = (
                AUTHOR_TOKENS.labels(**names, direction="input"),
                AUTHOR_TOKENS.labels(**names, direction="output"),
                AUTHOR_USD.labels(**names),
            )
        tokens_in, tokens_out, usd = counters[model]
        tokens_in.inc(usage.input_tokens)
        tokens_out.inc(usage.output_tokens)
        usd.inc(usd_of(model, usage))

    return count


def reply_counter(recipe: str, paid_calls: Callable[[], int]) -> Callable[[str], None]:
    """Return what counts the replies of one stream, given how many of them hosts answered."""
    stages: dict[str, Counter] = {}
    hits = CACHE_HITS.labels(recipe=recipe)
    num_replies = num_hits = 0

    def count(stage: str) -> None:
        nonlocal num_replies, num_hits
        if stage not in stages:
            stages[stage] = STAGE_REPLIES.labels(recipe=recipe, stage=stage)
        stages[stage].inc()
        num_replies += 1
        # Calls that are paid and not yet handed on make this too small for a moment, never too big.
        new_hits = num_replies - paid_calls() - num_hits
        if new_hits > 0:
            hits.inc(new_hits)
            num_hits += new_hits

    return count

"""For those who host checkpoints: latency, batches, queue, loads and failures."""

from tools.dashboards.counters import Counters
from tools.dashboards.parts import Dashboard, Kind, Panel, Query, Section, Variable

_HOST = 'namespace=~"$namespace", instance=~"$host"'
_NO_REQUESTS = "no requests in this range"
_NOT_SCRAPED = "no model host is scraped"


_HOSTS = Counters(prefix="teachwhy_serving_", matchers=_HOST)
_FAILED = _HOSTS.rate("requests_total", matchers=f'{_HOST}, code=~"5.."')

_REQUESTS = Section(
    title="Requests",
    panels=(
        _HOSTS.panel(
            "requests_total",
            "code",
            title="Chat requests that end, by status",
            reading="By HTTP status. 4xx are the caller's doing, 499 a caller that went away.",
            unit="reqps",
            is_stacked=True,
            width=8,
            when_empty=_NO_REQUESTS,
        ),
        Panel(
            title="Failed requests",
            kind=Kind.NUMBERS,
            reading=(
                "Share of requests that ended with 5xx. Clients try again, so a few cost time "
                "only; requests that were refused for what they asked are not in it."
            ),
            queries=(
                Query(
                    expression=f"({_FAILED} or vector(0)) / ({_HOSTS.rate('requests_total')} > 0)",
                    legend="requests",
                ),
            ),
            unit="percentunit",
            decimals=2,
            steps={0.001: "orange", 0.01: "red"},
            width=4,
            when_empty=_NO_REQUESTS,
        ),
        Panel(
            title="Duration of requests",
            reading=(
                "From a request's arrival to the end of its reply: median, slowest 5 % and slowest "
                "1 %, estimated from buckets. Waiting in the queue is in it; long replies take "
                "longer than short ones, so compare like with like."
            ),
            queries=(
                Query(expression=_HOSTS.quantile(0.5, "request_duration_seconds"), legend="p50"),
                Query(expression=_HOSTS.quantile(0.95, "request_duration_seconds"), legend="p95"),
                Query(expression=_HOSTS.quantile(0.99, "request_duration_seconds"), legend="p99"),
            ),
            unit="s",
            minimum=0,
            when_empty=_NO_REQUESTS,
        ),
    ),
)

_BATCHES = Section(
    title="Batches and queue",
    panels=(
        Panel(
            title="Replies advanced together",
            kind=Kind.HEATMAP,
            reading=(
                "Steps by how many replies they advanced; darker is more. The higher the better "
                "used; at SERVING's batch limit requests begin to queue."
            ),
            queries=(
                Query(
                    expression=_HOSTS.buckets("batch_rows"),
                    legend="{{le}}",
                ),
            ),
            width=8,
            when_empty=_NO_REQUESTS,
        ),
        Panel(
            title="Mean replies of a step",
            reading="By host. 1 means that requests come one after the other.",
            queries=(
                Query(
                    expression=_HOSTS.mean("batch_rows", "instance"),
                    legend="{{instance}}",
                ),
            ),
            minimum=0,
            width=8,
            when_empty=_NO_REQUESTS,
        ),
        Panel(
            title="Requests that wait",
            reading=(
                "Chat requests that wait to join a batch, by host. What stays above 0 for minutes "
                "asks for another replica."
            ),
            queries=(
                Query(
                    expression=f"teachwhy_serving_queued_requests{{{_HOST}}}",
                    legend="{{instance}}",
                ),
            ),
            minimum=0,
            steps={64: "orange"},
            width=8,
            when_empty=_NOT_SCRAPED,
        ),
        Panel(
            title="Tokens",
            reading="Tokens a second: of prompts, computed, and of replies, generated.",
            queries=(
                Query(
                    expression=f"sum(rate(teachwhy_serving_prompt_tokens_total{{{_HOST}}}"
                    "[$__rate_interval]))",
                    legend="prompts",
                ),
                Query(
                    expression=f"sum(rate(teachwhy_serving_completion_tokens_total{{{_HOST}}}"
                    "[$__rate_interval]))",
                    legend="replies",
                ),
            ),
            unit="cps",
            minimum=0,
            when_empty=_NO_REQUESTS,
        ),
        _HOSTS.panel(
            "generation_failures_total",
            "instance",
            title="Faults of models",
            reading=(
                "Faults of a model while it computed, by host, a second. The requests of that step "
                "end with 500; the log has the fault itself."
            ),
            when_empty=_NOT_SCRAPED,
        ),
    ),
)

_CHECKPOINTS = Section(
    title="Checkpoints",
    panels=(
        Panel(
            title="Checkpoints in memory",
            reading="By host. Beyond the host's limit the one used longest ago makes room.",
            queries=(
                Query(
                    expression=f"teachwhy_serving_loaded_checkpoints{{{_HOST}}}",
                    legend="{{instance}}",
                ),
            ),
            minimum=0,
            decimals=0,
            width=8,
            when_empty=_NOT_SCRAPED,
        ),
        Panel(
            title="Loads within the range",
            kind=Kind.NUMBERS,
            reading="Loads that ended, by outcome. Loading the same again and again is thrashing.",
            queries=(
                Query(
                    expression=_HOSTS.increase("checkpoint_loads_total", "outcome"),
                    legend="{{outcome}}",
                ),
            ),
            decimals=0,
            width=8,
            when_empty="nothing was loaded in this range",
        ),
        Panel(
            title="Duration of loads",
            reading=(
                "Time to fetch, verify and load: median and slowest 5 %, estimated from buckets. "
                "Waiting for other loads is in it."
            ),
            queries=(
                Query(
                    expression=_HOSTS.quantile(0.5, "checkpoint_load_duration_seconds"),
                    legend="p50",
                ),
                Query(
                    expression=_HOSTS.quantile(0.95, "checkpoint_load_duration_seconds"),
                    legend="p95",
                ),
            ),
            unit="s",
            minimum=0,
            width=8,
            when_empty="nothing was loaded in this range",
        ),
    ),
)

_PROCESSES = Section(
    title="Processes",
    panels=(
        Panel(
            title="Memory",
            reading="Resident memory by host; of GPUs see the page about training.",
            queries=(
                Query(
                    expression=f"process_resident_memory_bytes{{{_HOST}}} "
                    f"and on (instance) teachwhy_serving_loaded_checkpoints{{{_HOST}}}",
                    legend="{{instance}}",
                ),
            ),
            unit="bytes",
            minimum=0,
            when_empty=_NOT_SCRAPED,
        ),
        Panel(
            title="Up since",
            kind=Kind.NUMBERS,
            reading="Time since each model host was started.",
            queries=(
                Query(
                    expression=f"time() - process_start_time_seconds{{{_HOST}}} "
                    f"and on (instance) teachwhy_serving_loaded_checkpoints{{{_HOST}}}",
                    legend="{{instance}}",
                ),
            ),
            unit="s",
            decimals=0,
            when_empty=_NOT_SCRAPED,
        ),
    ),
)

SERVING = Dashboard(
    name="serving",
    title="teachwhy: serving",
    description=(
        "Hosted checkpoints: how fast they reply, how full their batches are, what they load. "
        "Requests are not told apart by model: choose a host."
    ),
    variables=(
        Variable(
            name="host",
            label="Host",
            metric='teachwhy_serving_loaded_checkpoints{namespace=~"$namespace"}',
            source_label="instance",
        ),
    ),
    sections=(_REQUESTS, _BATCHES, _CHECKPOINTS, _PROCESSES),
)

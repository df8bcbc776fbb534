"""For those on call: rate, errors, duration and saturation of every room."""

from tools.dashboards.counters import Counters
from tools.dashboards.parts import Dashboard, Kind, Panel, Query, Section, Variable
from tools.dashboards.services_saturation import CALL, JOB, NO_CALLS, NOT_SCRAPED, SATURATION
from tools.dashboards.services_work import EPISODES, JUDGED

# The caller's fault or wish; everything else is the room's.
_OWN_CODES = "UNKNOWN|INTERNAL|UNAVAILABLE|DEADLINE_EXCEEDED|DATA_LOSS"


_CALLED = Counters(prefix="teachwhy_", matchers=CALL, always_by=("job",))


def _quantile(share: float) -> str:
    return _CALLED.quantile(share, "rpc_duration_seconds", "grpc_method")


_HANDLED = _CALLED.rate("rpc_handled_total")
_FAILED = _CALLED.rate("rpc_handled_total", matchers=f'{CALL}, grpc_code=~"{_OWN_CODES}"')

_NOW = Section(
    title="Now",
    panels=(
        Panel(
            title="Rooms that answer",
            kind=Kind.NUMBERS,
            reading=(
                "Replicas of each room that Prometheus could scrape last, of all that it knows. A "
                "room that it never found is missing here, not 0."
            ),
            queries=(Query(expression=f"sum by (job) (up{{{JOB}}})", legend="{{job}}"),),
            steps={0: "red", 1: "green"},
            width=8,
            height=5,
            when_empty=NOT_SCRAPED,
        ),
        Panel(
            title="Calls a second",
            kind=Kind.NUMBERS,
            reading="Calls that arrived, streams counting once. Health checks are not in it.",
            queries=(Query(expression=_CALLED.rate("rpc_started_total"), legend="{{job}}"),),
            unit="reqps",
            width=8,
            height=5,
            when_empty=NO_CALLS,
        ),
        Panel(
            title="Calls failed by the room",
            kind=Kind.NUMBERS,
            reading=(
                "Share of ended calls whose status is the room's fault: INTERNAL, UNAVAILABLE, "
                "DEADLINE_EXCEEDED, DATA_LOSS, UNKNOWN. Refused input and cancelled calls are not; "
                "the alerts on error budgets count the same."
            ),
            queries=(
                Query(
                    expression=f"({_FAILED} or 0 * {_HANDLED}) / ({_HANDLED} > 0)",
                    legend="{{job}}",
                ),
            ),
            unit="percentunit",
            steps={0.001: "orange", 0.01: "red"},
            width=8,
            height=5,
            when_empty=NO_CALLS,
        ),
    ),
)

_CALLS = Section(
    title="Calls: rate, errors, duration",
    panels=(
        _CALLED.panel(
            "rpc_started_total",
            "grpc_method",
            title="Calls that arrive",
            reading="By method. A stream counts once, however many items it carries.",
            unit="reqps",
            when_empty=NO_CALLS,
        ),
        _CALLED.panel(
            "rpc_handled_total",
            "grpc_code",
            title="Calls that end, by status",
            reading=(
                "Every status that occurs. INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, "
                "FAILED_PRECONDITION and CANCELLED are the caller's doing."
            ),
            unit="reqps",
            is_stacked=True,
            when_empty=NO_CALLS,
        ),
        Panel(
            title="Duration: median and slowest 5 %",
            reading=(
                "From arrival to end, by method, estimated from buckets. A stream lasts as long as "
                "its work: GenerateExamples and RunEpisodes may take minutes, List calls not."
            ),
            queries=(
                Query(expression=_quantile(0.5), legend="p50 {{job}} {{grpc_method}}"),
                Query(expression=_quantile(0.95), legend="p95 {{job}} {{grpc_method}}"),
            ),
            unit="s",
            minimum=0,
            when_empty=NO_CALLS,
        ),
        Panel(
            title="Durations of all calls",
            kind=Kind.HEATMAP,
            reading=(
                "Calls that ended, by how long they took; darker is more. Two bands are two kinds "
                "of calls, not a fault: choose a method above."
            ),
            queries=(
                Query(
                    expression=_CALLED.buckets("rpc_duration_seconds"),
                    legend="{{le}}",
                ),
            ),
            unit="s",
            when_empty=NO_CALLS,
        ),
        Panel(
            title="Messages of streams",
            reading="Requests received and responses sent a second, streamed or not, by room.",
            queries=(
                Query(
                    expression=_CALLED.rate("rpc_messages_received_total"),
                    legend="received {{job}}",
                ),
                Query(expression=_CALLED.rate("rpc_messages_sent_total"), legend="sent {{job}}"),
            ),
            unit="cps",
            minimum=0,
            when_empty=NO_CALLS,
        ),
        Panel(
            title="Mean duration",
            reading=(
                "Time spent on calls over calls that ended, by method. Unlike the quantiles it is "
                "exact, and a single long stream moves it."
            ),
            queries=(
                Query(
                    expression=_CALLED.mean("rpc_duration_seconds", "grpc_method"),
                    legend="{{job}} {{grpc_method}}",
                ),
            ),
            unit="s",
            minimum=0,
            when_empty=NO_CALLS,
        ),
    ),
)

SERVICES = Dashboard(
    name="services",
    title="teachwhy: services",
    description=(
        "Rate, errors, duration and saturation of the gRPC rooms, and what rollout and judge did. "
        "Model hosts have a page of their own."
    ),
    variables=(
        Variable(
            name="room",
            is_listed=True,
            label="Room",
            metric='teachwhy_rpc_in_flight{namespace=~"$namespace"}',
            source_label="job",
        ),
        Variable(
            name="service",
            label="Service",
            metric=f"teachwhy_rpc_started_total{{{JOB}}}",
            source_label="grpc_service",
        ),
        Variable(
            name="method",
            label="Method",
            metric=f'teachwhy_rpc_started_total{{{JOB}, grpc_service=~"$service"}}',
            source_label="grpc_method",
        ),
    ),
    sections=(_NOW, _CALLS, SATURATION, EPISODES, JUDGED),
)

"""How full the rooms are: calls in flight, processor, memory, files, and how often they start."""

from tools.dashboards.parts import Kind, Panel, Query, Section

JOB = 'namespace=~"$namespace", job=~"$room"'
CALL = f'{JOB}, grpc_service=~"$service", grpc_method=~"$method"'
NO_CALLS = "no calls in this range"
NOT_SCRAPED = "the rooms are not scraped"


SATURATION = Section(
    title="Saturation",
    panels=(
        Panel(
            title="Calls in flight",
            reading=(
                "Calls that arrived and have not ended, over all replicas. What grows without end "
                "waits for something: for a model host, mostly."
            ),
            queries=(
                Query(
                    expression=f"sum by (job, grpc_method) (teachwhy_rpc_in_flight{{{CALL}}})",
                    legend="{{job}} {{grpc_method}}",
                ),
            ),
            minimum=0,
            width=8,
            when_empty=NO_CALLS,
        ),
        Panel(
            title="Processor",
            reading="Processor seconds a second: 1 is one core, the most that Python uses.",
            queries=(
                Query(
                    expression="sum by (job, instance) "
                    f"(rate(process_cpu_seconds_total{{{JOB}}}[$__rate_interval]))",
                    legend="{{job}} {{instance}}",
                ),
            ),
            minimum=0,
            steps={0.9: "orange"},
            width=8,
            when_empty=NOT_SCRAPED,
        ),
        Panel(
            title="Memory",
            reading=(
                "Resident memory of each process. The chart's limits are not in it; a bare room "
                "idles below 80 MiB."
            ),
            queries=(
                Query(
                    expression=f"process_resident_memory_bytes{{{JOB}}}",
                    legend="{{job}} {{instance}}",
                ),
            ),
            unit="bytes",
            minimum=0,
            width=8,
            when_empty=NOT_SCRAPED,
        ),
        Panel(
            title="Starts within the range",
            kind=Kind.NUMBERS,
            reading=(
                "How often a process that Prometheus knows by the same address was started again. "
                "A replica that got a new address is not in it."
            ),
            queries=(
                Query(
                    expression="sum by (job) "
                    f"(changes(process_start_time_seconds{{{JOB}}}[$__range]))",
                    legend="{{job}}",
                ),
            ),
            decimals=0,
            steps={1: "orange", 5: "red"},
            width=8,
            height=6,
            when_empty=NOT_SCRAPED,
        ),
        Panel(
            title="Up since",
            kind=Kind.NUMBERS,
            reading="Time since the youngest process of each room was started.",
            queries=(
                Query(
                    expression=f"time() - max by (job) (process_start_time_seconds{{{JOB}}})",
                    legend="{{job}}",
                ),
            ),
            unit="s",
            decimals=0,
            width=8,
            height=6,
            when_empty=NOT_SCRAPED,
        ),
        Panel(
            title="Open files and sockets",
            reading="Share of what each process may open. Full means that calls are refused.",
            queries=(
                Query(
                    expression=f"process_open_fds{{{JOB}}} / process_max_fds{{{JOB}}}",
                    legend="{{job}} {{instance}}",
                ),
            ),
            unit="percentunit",
            minimum=0,
            steps={0.8: "red"},
            width=8,
            height=6,
            when_empty=NOT_SCRAPED,
        ),
    ),
)

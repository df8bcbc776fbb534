"""For those who train: is it learning, how fast, and will it end?"""

from tools.dashboards.parts import Dashboard, Kind, Panel, Query, Section, Variable

_PROCESS = 'namespace=~"$namespace", instance=~"$training"'
_NO_TRAINING = "nothing was trained in this range"
_SOME_GPU = "no dcgm-exporter is scraped"


def _of(metric: str) -> str:
    return f"teachwhy_training_{metric}{{{_PROCESS}}}"


_PROGRESS = Section(
    title="Progress",
    panels=(
        Panel(
            title="Done",
            reading=(
                "Share of the planned tokens, what was trained before a resume included. A line "
                "that stays level is a training that stalled; one that ends below 1 was stopped."
            ),
            queries=(
                Query(
                    expression=f"{_of('done_tokens')} / {_of('planned_tokens')}",
                    legend="{{instance}}",
                ),
            ),
            unit="percentunit",
            minimum=0,
            maximum=1,
            width=8,
            when_empty=_NO_TRAINING,
        ),
        Panel(
            title="Time left",
            kind=Kind.NUMBERS,
            reading="Tokens that remain over the present speed. Evaluation is not in it.",
            queries=(
                Query(
                    expression=f"({_of('planned_tokens')} - {_of('done_tokens')}) / "
                    f"({_of('tokens_per_second')} > 0)",
                    legend="{{instance}}",
                ),
            ),
            unit="s",
            decimals=0,
            width=8,
            when_empty="nothing is trained now",
        ),
        Panel(
            title="Checkpoints written",
            reading=(
                "By this process since it was started. A resume begins at the newest one, so the "
                "time since the last step up is what a kill would cost."
            ),
            queries=(Query(expression=_of("checkpoints_total"), legend="{{instance}}"),),
            minimum=0,
            decimals=0,
            width=8,
            when_empty=_NO_TRAINING,
        ),
    ),
)

_LEARNING = Section(
    title="Learning",
    panels=(
        Panel(
            title="Loss",
            reading=(
                "Nats per token: of the newest step, and of held-back examples where the spec asks "
                "for them (a step in time, not a mean). Low loss says nothing about conduct."
            ),
            queries=(
                Query(expression=f"{_of('loss')} > 0", legend="{{instance}}"),
                Query(expression=f"{_of('validation_loss')} > 0", legend="held back {{instance}}"),
            ),
            minimum=0,
            decimals=3,
            when_empty=_NO_TRAINING,
        ),
        Panel(
            title="Gradient norm",
            reading=(
                "Of all gradients of the newest step, before clipping. Single peaks are clipped; a "
                "rise that lasts precedes a loss that diverges."
            ),
            queries=(Query(expression=_of("gradient_norm"), legend="{{instance}}"),),
            minimum=0,
            when_empty=_NO_TRAINING,
        ),
        Panel(
            title="Learning rate",
            reading="After the newest step, by optimizer. Muon and AdamW have each their own.",
            queries=(Query(expression=_of("learning_rate"), legend="{{instance}} {{optimizer}}"),),
            minimum=0,
            decimals=6,
            when_empty=_NO_TRAINING,
        ),
        Panel(
            title="Duration of steps",
            reading=(
                "Median and slowest 5 % of the steps, from the end of one to the end of the next, "
                "estimated from buckets. Checkpoints and validation are in the step they follow."
            ),
            queries=(
                Query(
                    expression="histogram_quantile(0.5, sum by (instance, le) "
                    f"(rate({_of('step_seconds_bucket')}[$__rate_interval])))",
                    legend="p50 {{instance}}",
                ),
                Query(
                    expression="histogram_quantile(0.95, sum by (instance, le) "
                    f"(rate({_of('step_seconds_bucket')}[$__rate_interval])))",
                    legend="p95 {{instance}}",
                ),
            ),
            unit="s",
            minimum=0,
            when_empty=_NO_TRAINING,
        ),
    ),
)

_SPEED = Section(
    title="Speed and memory",
    panels=(
        Panel(
            title="Tokens a second",
            reading=(
                "As the training program says, of all its processes, and as counted by Prometheus. "
                "The first leaves checkpoints out, the second has everything in it."
            ),
            queries=(
                Query(expression=_of("tokens_per_second"), legend="{{instance}}"),
                Query(
                    expression=f"rate({_of('tokens_total')}[$__rate_interval])",
                    legend="counted {{instance}}",
                ),
            ),
            unit="cps",
            minimum=0,
            width=8,
            when_empty=_NO_TRAINING,
        ),
        Panel(
            title="Memory of the process",
            reading="Resident memory of the process that writes. Others and GPUs are not in it.",
            queries=(
                Query(
                    expression="process_resident_memory_bytes"
                    f"{{{_PROCESS}}} and on (instance) {_of('planned_tokens')}",
                    legend="{{instance}}",
                ),
            ),
            unit="bytes",
            minimum=0,
            width=8,
            when_empty=_NO_TRAINING,
        ),
        Panel(
            title="Use of the devices",
            reading=(
                "Share of the devices' peak that the model's operations take. Only where "
                "TRAINING_PEAK_TERAFLOPS says what the peak is."
            ),
            queries=(
                Query(expression=f"{_of('model_flops_utilisation')} > 0", legend="{{instance}}"),
            ),
            unit="percentunit",
            minimum=0,
            maximum=1,
            width=8,
            when_empty="the peak of the devices is not known",
        ),
    ),
)

_GPUS = Section(
    title="GPUs, as NVIDIA's dcgm-exporter sees them (all of the cluster)",
    panels=(
        Panel(
            title="Memory of GPUs",
            reading=(
                "Used framebuffer, by node and GPU. Not by training: dcgm-exporter knows pods only "
                "where it is set up to."
            ),
            queries=(
                Query(
                    expression="max by (Hostname, gpu) (DCGM_FI_DEV_FB_USED) * 1048576",
                    legend="{{Hostname}} {{gpu}}",
                ),
            ),
            unit="bytes",
            minimum=0,
            when_empty=_SOME_GPU,
        ),
        Panel(
            title="Busy GPUs",
            reading=(
                "Share of time in which any kernel ran, by node and GPU. 100 % can still be slow: "
                "the use of the devices above is what counts."
            ),
            queries=(
                Query(
                    expression="max by (Hostname, gpu) (DCGM_FI_DEV_GPU_UTIL)",
                    legend="{{Hostname}} {{gpu}}",
                ),
            ),
            unit="percent",
            minimum=0,
            maximum=100,
            when_empty=_SOME_GPU,
        ),
    ),
)

TRAINING = Dashboard(
    name="training",
    title="teachwhy: training",
    description=(
        "Trainings while they run. Series end with their pod; what came of it is in the model's "
        "training.json and in the report."
    ),
    variables=(
        Variable(
            name="training",
            label="Training",
            metric='teachwhy_training_planned_tokens{namespace=~"$namespace"}',
            source_label="instance",
        ),
    ),
    sections=(_PROGRESS, _LEARNING, _SPEED, _GPUS),
    refresh="10s",
)

"""An experiment as a pipeline of containers: which waves there are, and what every container gets.

The pipeline is the same for every experiment: its first container lays the experiment out and says
what is still to be done, and the loops run over that. Kubeflow's own cache is off: the store is
the cache, keyed by our digests, and the first container leaves out what is complete there. An
output that was deleted is then made anew, which a second cache would prevent.

Kubeflow reads the annotations of what it is given, so that they stand unquoted.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp import compiler, dsl, kubernetes

from pipelines.cluster.pipeline.components import Components, components_of
from pipelines.cluster.profile import ClusterProfile
from pipelines.cluster.runner_pod import (
    SCRATCH,
    carried_profile,
    runner_environment,
    runner_of,
    runner_secrets,
)
from pipelines.experiment.bundle import Bundle

RETRIES = 5
"""Times that a container that failed is started again; what it did before is kept."""

FIRST_WAIT, LONGEST_WAIT = "30s", "1800s"
DATASETS_AT_ONCE = 4
NO_IMAGE = "localhost/teachwhy"

Pipeline = Any
"""A pipeline of Kubeflow's library, which is untyped."""


def experiment_pipeline(
    bundle: Bundle,
    *,
    name: str,
    profile: ClusterProfile | None,
    occasion: str = "",
    parts: int = 4,
    retries: int = RETRIES,
) -> Pipeline:
    """Describe the pipeline; its arguments have an experiment as their defaults.

    Args:
        bundle: the experiment.
        name: name of the pipeline.
        profile: the cluster it is for; None: none, so that trainings and models run where the
            steps do, and settings are those of the process.
        occasion: occasion at which hosted models are measured anew.
        parts: most parts that an evaluation is shared out into.
        retries: times that a container that failed is started again.

    Raises:
        NoRunner: the profile names no image.
    """
    image = runner_of(profile).image if profile else NO_IMAGE
    building = _Building(components_of(image), profile, retries)
    contents = bundle.model_dump(mode="json")
    of_cluster = carried_profile(profile) if profile else {}

    def run(
        bundle: dict[str, Any] = contents,
        cluster: dict[str, Any] = of_cluster,
        occasion: str = occasion,
        parts: int = parts,
    ) -> None:
        building.run(bundle, cluster, occasion, parts)

    return dsl.pipeline(name=name, description="Carries out an experiment of teachwhy.")(run)


def compile_pipeline(pipeline: Pipeline, path: Path) -> None:
    """Write the pipeline as YAML, which any Kubeflow Pipelines 2 takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(pipeline, str(path))


class _Building:
    """Pipelines within the pipeline: loops over lists that are known when it runs."""

    def __init__(
        self, components: Components, profile: ClusterProfile | None, retries: int
    ) -> None:
        self._components = components
        self._profile = profile
        self._retries = retries
        self._trainings = profile.training.at_once if profile else 1
        self._wave = self._make_wave()
        self._measure = self._make_measure()
        self._arms = self._make_arms()
        self._others = self._make_others()

    def run(self, bundle: Any, cluster: Any, occasion: Any, parts: Any) -> None:
        """Describe the whole."""
        planned = self._task(
            self._components.plan, bundle=bundle, cluster=cluster, occasion=occasion, parts=parts
        )
        plan = planned.outputs["plan"]

        def wave(of: str, *before: Any) -> Any:
            task = _uncached(self._wave(plan=plan, digests=planned.outputs[of]))
            return task.set_display_name(of).after(*before)

        contrasts = wave("contrasts")
        datasets = wave("datasets", contrasts)
        bases = wave("bases", datasets)
        arms = _uncached(self._arms(plan=plan, items=planned.outputs["arms"])).after(bases)
        others = _uncached(self._others(plan=plan, items=planned.outputs["others"])).after(bases)
        calibrations = wave("calibrations")
        judgings = wave("judgings", arms, others)
        last = self._task(self._components.finish, plan=plan)
        last.after(arms, others, calibrations, judgings, datasets)

    def _make_wave(self) -> Pipeline:
        def wave(plan: str, digests: list[str]) -> None:
            with dsl.ParallelFor(digests, parallelism=DATASETS_AT_ONCE) as digest:
                self._task(self._components.step, plan=plan, digest=digest)

        return dsl.pipeline(name="wave")(wave)

    def _make_measure(self) -> Pipeline:
        def measure(plan: str, evaluation: str, shards: list[str]) -> None:
            with dsl.ParallelFor(shards) as part:
                played = self._task(
                    self._components.step, plan=plan, digest=evaluation, shards=part
                ).set_display_name("play")
            judged = self._task(self._components.step, plan=plan, digest=evaluation)
            judged.set_display_name("judge").after(played)

        return dsl.pipeline(name="measure")(measure)

    def _make_arms(self) -> Pipeline:
        def arms(plan: str, items: list) -> None:  # type: ignore[type-arg]
            with dsl.ParallelFor(items, parallelism=self._trainings) as item:
                trained = self._task(self._components.step, plan=plan, digest=item.training)
                trained.set_display_name("train")
                measured = self._measure(plan=plan, evaluation=item.evaluation, shards=item.shards)
                _uncached(measured).after(trained)

        return dsl.pipeline(name="arms")(arms)

    def _make_others(self) -> Pipeline:
        def others(plan: str, items: list) -> None:  # type: ignore[type-arg]
            with dsl.ParallelFor(items, parallelism=self._trainings) as item:
                measured = self._measure(plan=plan, evaluation=item.evaluation, shards=item.shards)
                _uncached(measured)

        return dsl.pipeline(name="others")(others)

    def _task(self, component: Callable[..., Any], **arguments: Any) -> Any:
        """Describe one container with all it needs to work and to be started again."""
        task = component(**arguments)
        _uncached(task).set_retry(
            self._retries,
            backoff_duration=FIRST_WAIT,
            backoff_factor=2.0,
            backoff_max_duration=LONGEST_WAIT,
        )
        if self._profile is not None:
            _place(task, self._profile)
        return task


def _uncached(task: Any) -> Any:
    return task.set_caching_options(enable_caching=False)


def _place(task: Any, profile: ClusterProfile) -> None:
    """Give a container settings, secrets, scratch, a place and its share of a node."""
    runner = runner_of(profile)
    for name, value in runner_environment(profile).items():
        task.set_env_variable(name, value)
    for folder, secret in runner_secrets(profile).items():
        kubernetes.use_secret_as_volume(task, secret_name=secret, mount_path=folder)
    kubernetes.empty_dir_mount(task, volume_name="scratch", mount_path=SCRATCH)
    kubernetes.set_security_context(task, run_as_non_root=True)
    placement = runner.placement
    task.set_cpu_request(placement.cpu).set_cpu_limit(placement.cpu)
    task.set_memory_request(placement.memory).set_memory_limit(placement.memory)
    for key, value in placement.node_selector.items():
        kubernetes.add_node_selector(task, label_key=key, label_value=value)
    for each in placement.tolerations:
        kubernetes.add_toleration(
            task,
            key=each.key or None,
            operator=each.operator,
            value=each.value or None,
            effect=each.effect or None,
        )
    for key, value in profile.labels.items():
        kubernetes.add_pod_label(task, key, value)
    for key, value in profile.annotations.items():
        kubernetes.add_pod_annotation(task, key, value)

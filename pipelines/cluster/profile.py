"""What a run has to know of a cluster: one YAML file, the operator's. Knows no experiment.

The experiment file is the scientific record and stays the same wherever it runs; everything that
differs between two clusters stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

DnsLabel = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
"""A name that Kubernetes takes everywhere."""

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]
"""An amount as Kubernetes writes it, for example "500m" or "24Gi"."""

Image = Annotated[str, Field(pattern=r"^[a-z0-9][a-zA-Z0-9._:/@-]+$")]
"""An image with its tag or digest."""


class Part(BaseModel):
    """A part of the file: unknown keys are errors and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Toleration(Part):
    """A taint of nodes that pods put up with."""

    key: str = ""
    operator: Literal["Exists", "Equal"] = "Exists"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""


class Placement(Part):
    """Where pods may run, and what each gets."""

    gpus: int = Field(default=0, ge=0, le=64)
    """GPUs of each pod."""
    gpu_resource: str = "nvidia.com/gpu"
    """Resource name of a GPU."""
    cpu: Quantity = "4"
    memory: Quantity = "16Gi"
    shared_memory: Quantity | None = None
    """Size of /dev/shm, which NCCL and data loaders want; None: what the node gives."""
    node_selector: Mapping[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    priority_class: str = ""
    """PriorityClass of the pods; it must exist."""


class Store(Part):
    """The bucket as pods see it; the process that runs experiments has PIPELINES_STORE__*."""

    endpoint: str = Field(pattern=r"^[A-Za-z0-9.-]+(:\d+)?$")
    """Host and port without a scheme, for example "minio.teachwhy.svc:9000"."""
    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    region: str = "us-east-1"
    secure: bool = True
    credentials_secret: DnsLabel
    """Secret with the keys "access_key" and "secret_key"; it must exist."""
    ca_secret: DnsLabel | None = None
    """Secret with the key "ca.crt", PEM authorities of the endpoint; it must exist. None: those
    of the images know it. KServe's stock runtime needs them in another form: see the README."""


class Volume(Part):
    """A volume that all pods of a training see."""

    claim: DnsLabel
    """PersistentVolumeClaim; it must exist, ReadWriteMany where a training has several nodes."""


class Elastic(Part):
    """How many nodes a training may lose and get while it runs."""

    min_nodes: int = Field(ge=1)
    max_nodes: int = Field(ge=1)
    max_restarts: int = Field(default=3, ge=0)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.min_nodes > self.max_nodes:
            raise ValueError("min_nodes must not be above max_nodes")
        return self


class Training(Part):
    """How PyTorchJobs are run."""

    image: Image
    """Image with the training program."""
    nodes: int = Field(default=1, ge=1, le=512)
    """Pods: one master, and workers for the rest."""
    processes_per_node: int | None = Field(default=None, ge=1, le=64)
    """Processes of each pod; None: one for each GPU, or one without GPUs."""
    elastic: Elastic | None = None
    placement: Placement = Placement()
    volume: Volume | None = None
    """Where checkpoints of unfinished trainings are kept. None: the store, which only a training
    on one node can use."""
    scratch: Quantity = "100Gi"
    """Most local disk of a pod, for inputs and, without a volume, checkpoints."""
    at_once: int = Field(default=2, ge=1, le=1000)
    """Trainings that may run at once."""
    restarts: int = Field(default=5, ge=0, le=100)
    """Times that failing pods are started again; a preempted one is."""
    deadline_seconds: int = Field(default=7 * 86_400, ge=60)
    """Longest time of a training, waiting for nodes included."""
    start_seconds: int = Field(default=3600, ge=1)
    """Longest time until all pods run; then the run ends and says what their events say."""
    keep_seconds: int = Field(default=86_400, ge=0)
    """How long a finished job is kept, for its logs."""
    service_account: DnsLabel | None = None
    """Service account of the pods; None: the namespace's default, without its token."""
    labels: Mapping[str, str] = {}
    """Further labels of the pods, for example a queue's."""

    @property
    def processes(self) -> int:
        """Processes of each pod."""
        return self.processes_per_node or max(1, self.placement.gpus)

    @model_validator(mode="after")
    def _several_nodes_share_a_volume(self) -> Self:
        most = self.elastic.max_nodes if self.elastic else self.nodes
        if most > 1 and self.volume is None:
            raise ValueError(
                "volume: a training on several nodes needs one that all of them see "
                "(ReadWriteMany), since its checkpoints are written by all"
            )
        return self


class HuggingFaceRuntime(Part):
    """The stock runtime of KServe, vLLM inside; for GPUs."""

    kind: Literal["huggingface"]
    runtime: DnsLabel = "kserve-huggingfaceserver"
    """ClusterServingRuntime or ServingRuntime; it must exist."""
    args: tuple[str, ...] = ()
    """Further arguments, for example "--max-model-len=8192"."""


class OwnRuntime(Part):
    """The project's own predictor, for CPUs and small models."""

    kind: Literal["teachwhy"]
    image: Image
    """Image with services.serving."""
    settings: Mapping[str, str] = {}
    """Further SERVING_* settings, without the prefix."""


class Serving(Part):
    """How InferenceServices are run."""

    runtime: Annotated[HuggingFaceRuntime | OwnRuntime, Field(discriminator="kind")]
    mode: Literal["Standard", "Knative"] = "Standard"
    """KServe's deployment mode; traffic is split by Knative, or by an HTTPRoute in Standard."""
    placement: Placement = Placement()
    service_account: DnsLabel
    """Service account whose secret lets KServe read the bucket; it must exist."""
    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(default=1, ge=1)
    ready_seconds: int = Field(default=1800, ge=1)
    """Longest time until a checkpoint is served; then the run ends and says why it is not."""
    url: str = Field(
        default="http://{model}-predictor.{namespace}.svc.cluster.local/openai/v1",
        pattern=r"^https?://[^\s?#]+$",
    )
    """Where a hosted checkpoint answers, as the rollout room sees it. "{model}" stands for the
    name of the InferenceService, "{namespace}" for the namespace."""
    gateway: str = Field(default="", pattern=r"^([a-z0-9-]+/[a-z0-9-]+)?$")
    """Gateway as "namespace/name" to which Standard mode attaches the HTTPRoutes that split
    traffic; without it there is no canary in Standard mode."""
    gateway_hostname: str = ""
    """Host name of those routes; "{service}" stands for the service."""

    @model_validator(mode="after")
    def _the_url_names_the_model(self) -> Self:
        if "{model}" not in self.url:
            raise ValueError("url: needs {model}, the name of the InferenceService")
        return self


class Prices(Part):
    """What a plan's hours and dollars are estimated with."""

    usd_per_gpu_hour: float = Field(ge=0)
    gpu_teraflops: float = Field(gt=0)
    """Dense bfloat16 peak of one GPU, in 10^12 operations a second; 989 for an H100 or H200."""
    training_utilisation: float = Field(default=0.4, gt=0, le=1)
    """Share of the peak that training reaches (model FLOPs utilisation)."""
    generated_tokens_per_gpu_second: float = Field(default=1000.0, gt=0)
    """Tokens that a GPU generates in a second while episodes are played."""


class Runner(Part):
    """Pods that carry out steps: of a pipeline, of a schedule."""

    image: Image
    """Image with the command line."""
    placement: Placement = Placement(cpu="2", memory="4Gi")
    service_account: DnsLabel
    """Service account that may create what steps create."""
    environment: Mapping[str, str] = {}
    """Further settings of the process, for example PIPELINES_* ones."""
    secrets: Mapping[str, DnsLabel] = {}
    """Secrets mounted as folders, by path, for key files that settings name."""


class Rooms(Part):
    """Where the gRPC rooms listen, as "host:port"."""

    dataset: str
    rollout: str
    judge: str
    scoreboard: str


class ClusterProfile(Part):
    """A cluster as a run needs to know it."""

    namespace: DnsLabel
    """Namespace of everything that is created."""
    context: str = ""
    """Context of the kubeconfig; empty: the current one, or the pod's own account."""
    outage_seconds: float = Field(default=300.0, ge=0)
    """How long an API server that throttles or does not answer is asked again."""
    store: Store
    rooms: Rooms | None = None
    """The installed rooms. None: they are started beside the run, over the same store."""
    training: Training
    serving: Serving
    runner: Runner | None = None
    prices: Prices | None = None
    labels: Mapping[str, str] = {}
    """Further labels of every object."""
    annotations: Mapping[str, str] = {}
    """Further annotations of every object."""

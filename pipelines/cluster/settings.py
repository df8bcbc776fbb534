"""How this process finds its cluster. What differs between clusters stands in the profile."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class KubernetesSettings(BaseSettings):
    """Variables that every Kubernetes client reads, under their own names."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    kubeconfig: str = Field(
        default="", description="Kubeconfig files, as kubectl reads them; else ~/.kube/config."
    )
    kubernetes_service_host: str = Field(
        default="", description="Set in pods: the process uses the pod's service account."
    )

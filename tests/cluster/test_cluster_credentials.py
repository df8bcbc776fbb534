"""The way into a cluster, and what is said where there is none."""

from pathlib import Path

import pytest

from pipelines.cluster.api import KubernetesApi
from pipelines.cluster.faults import (
    ClusterRefused,
    ClusterUnreachable,
    NoClusterCredentials,
)
from tests.cluster.fake_kubernetes.cluster import FakeCluster
from tests.cluster.fake_kubernetes.kubeconfig import write_kubeconfig
from tests.cluster.training_orders import training_profile


def without_credentials(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(home))


def test_no_credentials_are_said_with_every_place_that_was_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_credentials(monkeypatch, tmp_path)

    with pytest.raises(NoClusterCredentials) as caught:
        KubernetesApi(training_profile()).check_credentials()

    said = str(caught.value)
    assert said.startswith("no cluster credentials: KUBECONFIG is not set")
    assert "~/.kube/config" in said
    assert "service account" in said
    assert "\n" not in said


def test_a_kubeconfig_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_credentials(monkeypatch, tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere.yaml"))

    with pytest.raises(NoClusterCredentials, match=r"names no file that exists .*nowhere\.yaml"):
        KubernetesApi(training_profile()).check_credentials()


@pytest.mark.parametrize("text", ["", "- a\n", "clusters: [", "apiVersion: v1\nkind: Config\n"])
def test_a_kubeconfig_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    without_credentials(monkeypatch, tmp_path)
    path = tmp_path / "config"
    path.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(path))

    with pytest.raises(NoClusterCredentials, match="cannot be used"):
        KubernetesApi(training_profile()).check_credentials()


def test_a_context_that_the_kubeconfig_lacks_is_named(cluster: FakeCluster) -> None:
    profile = training_profile().model_copy(update={"context": "production"})

    with pytest.raises(NoClusterCredentials, match="context 'production'"):
        KubernetesApi(profile, kubeconfig=cluster.kubeconfig).check_credentials()


def test_a_pod_whose_token_is_not_mounted_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_credentials(monkeypatch, tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")

    with pytest.raises(NoClusterCredentials, match="automountServiceAccountToken"):
        KubernetesApi(training_profile()).check_credentials()


async def test_the_kubeconfig_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))

    async with KubernetesApi(training_profile()) as api:
        assert await api.list_pods("") == []


async def test_a_wrong_token_is_said_at_once(cluster: FakeCluster, tmp_path: Path) -> None:
    wrong = write_kubeconfig(tmp_path / "wrong.yaml", cluster.server.url, token="guess")

    with pytest.raises(ClusterRefused, match="credentials are wrong or have expired"):
        async with KubernetesApi(training_profile(), kubeconfig=wrong):
            pass

    assert len(cluster.server.requests) == 1


async def test_a_server_that_was_never_there_is_named(cluster: FakeCluster) -> None:
    cluster.server.disappear()

    with pytest.raises(ClusterUnreachable, match="list pods of namespace teachwhy") as caught:
        async with KubernetesApi(training_profile(), kubeconfig=cluster.kubeconfig):
            pass

    assert cluster.server.url in str(caught.value)

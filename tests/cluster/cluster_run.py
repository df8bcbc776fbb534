"""Runs of the command line against the fake cluster, with a real bucket between them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import open_store
from tests.cluster.fake_kubernetes.api_objects import INFERENCE_SERVICES, PYTORCH_JOBS, Json
from tests.cluster.fake_kubernetes.cluster import NAMESPACE, FakeCluster, fake_cluster
from tests.cluster.fake_kubernetes.kserve_operator import KserveOperator
from tests.cluster.fake_kubernetes.model_gateway import ModelGateway
from tests.experiment.tiny_run import ROOT
from tests.servicekit.s3_server import S3Server

SECONDS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRun:
    """A fake cluster whose pods really run, and the command line beside it."""

    fake: FakeCluster
    store: ObjectStore
    profile: Path
    environment: Mapping[str, str]
    folder: Path

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start ``python -m pipelines`` with these arguments, on the cluster."""
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines", *arguments, *self.on_cluster],
            cwd=ROOT,
            env={**os.environ, **self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> str:
        """Run it to a good end and return what it said."""
        with self.start(*arguments, **environment) as process:
            said, _ = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, said
        return said

    @property
    def on_cluster(self) -> tuple[str, ...]:
        return ("--on", "cluster", "--cluster", str(self.profile))

    @property
    def jobs(self) -> dict[str, Json]:
        found = self.fake.registry.select(PYTORCH_JOBS, NAMESPACE)
        return {each["metadata"]["name"]: each for each in found}

    @property
    def inference_services(self) -> set[str]:
        found = self.fake.registry.select(INFERENCE_SERVICES, NAMESPACE)
        return {each["metadata"]["name"] for each in found}

    def report(self, name: str) -> Any:
        return orjson.loads((self.folder / "runs" / name / "report.json").read_bytes())


@contextmanager
def cluster_run(folder: Path, server: S3Server, **profile: Any) -> Iterator[ClusterRun]:
    """A running cluster over a new bucket; ``profile`` replaces parts of its profile."""
    bucket = server.new_bucket()
    with (
        fake_cluster(folder, is_local=True) as fake,
        KserveOperator(fake.registry),
        ModelGateway(fake) as gateway,
    ):
        fake.add_secret("bucket-keys", access_key=server.access_key, secret_key=server.secret_key)
        content = {
            "namespace": NAMESPACE,
            "store": {
                "endpoint": server.endpoint,
                "bucket": bucket,
                "secure": False,
                "credentials_secret": "bucket-keys",
            },
            "training": {"image": "registry.example/training:1", "at_once": 2},
            "serving": {
                # Beyond loopback nothing of a test should listen.
                "runtime": {
                    "kind": "teachwhy",
                    "image": "registry.example/serving:1",
                    "settings": {"HOST": "127.0.0.1"},
                },
                "service_account": "bucket-reader",
                "url": gateway.template,
            },
            **profile,
        }
        path = folder / "cluster.yaml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        yield ClusterRun(
            fake=fake,
            store=open_store(server.settings(bucket=bucket)),
            profile=path,
            environment={
                "KUBECONFIG": str(fake.kubeconfig),
                "OMP_NUM_THREADS": "1",
                "PIPELINES_RUNS_FOLDER": str(folder / "runs"),
                "PIPELINES_STORE__KIND": "s3",
                "PIPELINES_STORE__ENDPOINT": server.endpoint,
                "PIPELINES_STORE__BUCKET": bucket,
                "PIPELINES_STORE__SECURE": "false",
                "PIPELINES_STORE__ACCESS_KEY": server.access_key,
                "PIPELINES_STORE__SECRET_KEY": server.secret_key,
            },
            folder=folder,
        )

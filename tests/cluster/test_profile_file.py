"""Faults of a cluster profile are said in one line each, with file, line and path."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from pipelines.cluster.profile import ClusterProfile, HuggingFaceRuntime, OwnRuntime
from pipelines.cluster.profile_file import ProfileFileError, read_profile

EXAMPLES = Path(__file__).parents[2] / "pipelines" / "examples"
PROFILES = sorted(EXAMPLES.glob("cluster*.yaml"))
TEXT = (EXAMPLES / "cluster.yaml").read_text(encoding="utf-8")

Fault = Callable[[str, str], str]


@pytest.fixture
def fault_of(tmp_path: Path) -> Fault:
    """Message after one line of the GPU example was changed; "FILE" stands for the path."""

    def load(old: str, new: str) -> str:
        assert TEXT.count(old) >= 1, old
        path = tmp_path / "mine.yaml"
        path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(ProfileFileError) as raised:
            read_profile(path)
        return str(raised.value).replace(str(path), "FILE")

    return load


def line_of(part: str) -> int:
    """Line, from 1, of the first line of the GPU example that contains ``part``."""
    return next(i for i, line in enumerate(TEXT.splitlines(), 1) if part in line)


# What is shipped.


def test_the_gpu_example_trains_on_a_node_of_gpus_and_serves_with_the_stock_runtime() -> None:
    profile = read_profile(EXAMPLES / "cluster.yaml")

    assert profile.training.placement.gpus == profile.training.processes == 8
    assert isinstance(profile.serving.runtime, HuggingFaceRuntime)
    assert profile.serving.gateway
    assert profile.prices is not None


def test_the_example_without_gpus_serves_with_our_own_predictor() -> None:
    profile = read_profile(EXAMPLES / "cluster-cpu.yaml")

    assert profile.training.placement.gpus == profile.serving.placement.gpus == 0
    assert profile.training.processes == 1
    assert isinstance(profile.serving.runtime, OwnRuntime)
    assert profile.rooms is None
    assert profile.prices is None


# The schema that editors use.


def test_the_schema_beside_the_examples_is_that_of_the_code() -> None:
    stored = json.loads((EXAMPLES / "cluster.schema.json").read_text(encoding="utf-8"))

    assert stored == ClusterProfile.model_json_schema(), (
        "python -m pipelines schema --cluster > pipelines/examples/cluster.schema.json"
    )


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_the_schema_accepts_the_examples(path: Path) -> None:
    schema = json.loads((EXAMPLES / "cluster.schema.json").read_text(encoding="utf-8"))

    Draft202012Validator(schema).validate(yaml.safe_load(path.read_text(encoding="utf-8")))


# Faults.


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_allowed_one(
    fault_of: Fault,
) -> None:
    message = fault_of("start_seconds:", "start_second:")

    line = line_of("start_seconds:")
    assert message.startswith(f"FILE:{line}: training.start_second: unknown key; ")
    assert "did you mean 'start_seconds'? allowed: at_once, deadline_seconds," in message


def test_a_key_of_a_runtime_is_placed_as_it_is_written(fault_of: Fault) -> None:
    message = fault_of("    args:   ", "    arguments:   ")

    assert f"FILE:{line_of('    args:   ')}: serving.runtime.arguments: unknown key; " in message
    assert "allowed: args, kind, runtime" in message


def test_another_kind_of_runtime_is_refused_with_the_kinds_there_are(fault_of: Fault) -> None:
    message = fault_of("kind: huggingface", "kind: vllm")

    assert "serving.runtime: " in message
    assert "'huggingface', 'teachwhy'" in message


def test_a_name_that_kubernetes_would_refuse_is_quoted(fault_of: Fault) -> None:
    message = fault_of("namespace: teachwhy", "namespace: Teach_Why")

    assert message.startswith(f"FILE:{line_of('namespace: teachwhy')}: namespace: ")
    assert message.endswith("namespace of everything that is created (got 'Teach_Why')")


def test_an_endpoint_with_a_scheme_is_told_what_it_should_be(fault_of: Fault) -> None:
    message = fault_of("endpoint: minio.", "endpoint: http://minio.")

    assert "store.endpoint: " in message
    assert "host and port without a scheme" in message


def test_what_is_missing_is_named(fault_of: Fault) -> None:
    message = fault_of("  credentials_secret: teachwhy-store", "  #")

    assert message == f"FILE:{line_of('store:')}: store.credentials_secret: is missing"


def test_several_nodes_need_a_volume_that_all_see(fault_of: Fault) -> None:
    message = fault_of(
        "  volume: {claim: teachwhy-checkpoints}", "  elastic:\n    {min_nodes: 1, max_nodes: 4}"
    )

    assert "training: volume: a training on several nodes needs one that all of them see" in message


def test_every_fault_has_a_line_of_its_own(fault_of: Fault) -> None:
    message = fault_of("gpu_teraflops: 989", "gpu_teraflops: 0\n  currency: EUR")

    assert [line.split(": ")[1] for line in message.splitlines()] == [
        "prices.gpu_teraflops",
        "prices.currency",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "FILE:1: must be a mapping with the keys of a cluster profile"),
        ("- a", "FILE:1: must be a mapping with the keys of a cluster profile"),
        ("a: b: c", "FILE:1: is no YAML: mapping values are not allowed here"),
        ("a: \x00", "FILE: is no YAML: "),
    ],
    ids=["empty", "list", "no-yaml", "binary"],
)
def test_what_is_no_mapping_is_refused(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ProfileFileError) as raised:
        read_profile(path)

    assert str(raised.value).replace(str(path), "FILE").startswith(says)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileFileError, match=r"mine\.yaml: cannot be read: No such file"):
        read_profile(tmp_path / "mine.yaml")

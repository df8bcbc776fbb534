"""`plan --on cluster` needs no cluster, GPU or key: it says what a run would take and make."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.cluster.object_checks import faults_of

EXAMPLES = Path(__file__).parents[2] / "pipelines" / "examples"
NOWHERE = "http://127.0.0.1:9/v1"
AUTHOR = {
    "base_url": NOWHERE,
    "usd_per_million_input_tokens": 0.1,
    "usd_per_million_output_tokens": 0.4,
}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(tmp_path)


class Plan:
    """Runs the command with endpoints that nobody answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        chats = folder / "replay.jsonl"
        turns = [{"role": "user", "content": "How?"}, {"role": "assistant", "content": "So."}]
        chats.write_text(json.dumps({"messages": turns}) + "\n", encoding="utf-8")
        self._environment = {
            **os.environ,
            "DATASET_ENDPOINTS": json.dumps({"author": AUTHOR}),
            "DATASET_SOURCES": json.dumps({"replay": str(chats)}),
            "JUDGE_ENDPOINTS": json.dumps({"judge": {"base_url": NOWHERE}}),
            "PIPELINES_RUNS_FOLDER": str(folder / "runs"),
            "KUBECONFIG": str(folder / "none"),
        }

    def run(self, example: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipelines", "plan", str(EXAMPLES / f"{example}.yaml")]
        return subprocess.run(
            [*command, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def profile(self, name: str, *changes: tuple[str, str]) -> str:
        """A shipped profile with some of its lines changed."""
        text = (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path = self.folder / "profile.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)


def comments(example: str) -> str:
    """What the head of an example says, spaces folded."""
    lines = (EXAMPLES / f"{example}.yaml").read_text(encoding="utf-8").splitlines()
    return " ".join(" ".join(line.lstrip("# ") for line in lines if line.startswith("#")).split())


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found is not None, f"{pattern!r} is not in {text}"
    return float(found[1].replace(",", ""))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("example", "gpus"), [("gpu-8b", 8), ("gpu-8b-lora", 1)], ids=["full", "lora"]
)
def test_a_gpu_example_is_planned_with_its_costs_as_it_says(
    example: str, gpus: int, plan: Plan
) -> None:
    profile = plan.profile("cluster", ("    gpus: 8\n", f"    gpus: {gpus}\n"))
    objects = plan.folder / "objects.yaml"

    done = plan.run(example, "--on", "cluster", "--cluster", profile, "--objects", str(objects))

    assert done.returncode == 0, done.stderr
    told, says = " ".join(done.stdout.split()), comments(example)
    for what, said in (("training ~", "training"), ("playing <=", "evaluation")):
        planned = number(rf"{what} ([\d,.]+) GPU hours", told)
        assert planned == number(rf"{said} .*?([\d.]+) GPU hours", says)
        usd = number(rf"{what} [\d,.]+ GPU hours, ([\d,.]+) US dollars", told)
        assert round(usd) == number(rf"{said} .*?GPU hours, (\d+) USD", says)
    assert round(number(r"tokens, ([\d,.]+) US dollars before gates", told)) == number(
        r"data .*? in and out (\d+) USD", says
    )
    assert "import-model qwen3-8b FOLDER" in told
    made = list(yaml.safe_load_all(objects.read_text(encoding="utf-8")))
    assert [each["kind"] for each in made].count("PyTorchJob") == 11
    assert {f"{each['kind']} {each['metadata']['name']}": faults_of(each) for each in made} == {
        f"{each['kind']} {each['metadata']['name']}": [] for each in made
    }


@pytest.mark.slow
def test_objects_on_standard_output_are_yaml_alone(plan: Plan) -> None:
    profile = plan.profile("cluster-cpu")

    arguments = ("--on", "cluster", "--cluster", profile, "--at", "0 2 * * *", "--objects", "-")
    done = plan.run("microworld", *arguments)

    assert done.returncode == 0, done.stderr
    made = list(yaml.safe_load_all(done.stdout))
    kinds = {each["kind"] for each in made}
    assert kinds == {"PyTorchJob", "InferenceService", "CronJob", "ConfigMap"}
    assert f"{len(made)} objects" in done.stderr
    assert "GPU hours" not in done.stderr, "without prices nothing is estimated"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--objects", "-"), "--objects: only on a cluster; add --on cluster"),
        (("--at", "@daily"), "--at: only on a cluster; add --on cluster"),
        (("--on", "cluster", "--cluster", "none.yaml"), "none.yaml: cannot be read: No such file"),
    ],
)
def test_what_cannot_be_planned_is_one_message(
    arguments: tuple[str, ...], says: str, plan: Plan
) -> None:
    done = plan.run("microworld", *arguments)

    assert done.returncode == 1
    assert done.stderr.startswith(says)
    assert len(done.stderr.splitlines()) == 1

"""Both majors of Helm take the chart, and make the same objects of it, which Kubernetes takes."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cluster.object_checks import pod_templates
from tests.deploy.charts import (
    CI,
    KNOWN,
    containers_of,
    helm_of,
    objects_of,
    of_kind,
    parsed,
    rendered,
    set_to,
    text_of,
    values_of,
)
from tests.deploy.object_faults import faults
from tools.chart_golden import FOLDER, difference
from tools.chart_render import CHART, ROOT, in_order, masked, render
from tools.helm_binaries import MAJORS

OVERLAYS = ("values-local.yaml", "values-production.yaml")
TAGGED = re.compile(r"[^:@\s]+(:\d+/[^:@\s]+)?(:[\w.-]+|@sha256:[0-9a-f]{64})")


@pytest.mark.parametrize("major", MAJORS)
def test_helm_finds_nothing_to_say_against_the_chart(major: int) -> None:
    for path in (*CI.values(), *(CHART / overlay for overlay in OVERLAYS)):
        command = [str(helm_of(major)), "lint", "--strict", str(CHART), "--values", str(path)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", CI)
def test_both_majors_make_the_same_of_the_same_values(name: str) -> None:
    texts = {masked(in_order(text_of(name, major))) for major in MAJORS}

    assert len(texts) == 1


@pytest.mark.parametrize("name", CI)
def test_objects_change_only_where_somebody_has_read_the_difference(name: str) -> None:
    found = difference(name, masked(in_order(text_of(name))))

    assert found == "", f"read this, then `python -m tools.chart_golden`:\n{found}"


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(CI)


@pytest.mark.parametrize("name", CI)
def test_kubernetes_takes_every_object(name: str) -> None:
    found = {
        f"{body['kind']} {body['metadata']['name']}": wrong
        for body in objects_of(name)
        if (wrong := faults(body))
    }

    assert found == {}


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_files_that_ship_with_the_chart_can_be_installed(overlay: str, major: int) -> None:
    for body in rendered(CHART / overlay, flags=KNOWN, major=major):
        assert faults(body) == []


@pytest.mark.parametrize("name", CI)
def test_rooms_are_alike_and_each_has_one_object_of_every_kind(name: str) -> None:
    rooms = sorted(values_of()["services"])
    objects = objects_of(name)
    kinds = {"Deployment", "Service", "ServiceAccount"}
    kinds |= {"NetworkPolicy"} if of_kind(objects, "NetworkPolicy") else set()

    for kind in kinds:
        assert [room for room in rooms if f"teachwhy-{room}" not in of_kind(objects, kind)] == []
    for room in rooms:
        service = of_kind(objects, "Service")[f"teachwhy-{room}"]["spec"]
        assert service["clusterIP"] == "None", "callers spread calls over pods themselves"


def test_no_two_objects_have_one_name() -> None:
    for name in CI:
        names = [(body["kind"], body["metadata"]["name"]) for body in objects_of(name)]
        assert len(set(names)) == len(names)


def test_every_image_says_which_one_it_is() -> None:
    for name in CI:
        images = {container["image"] for _, _, container in containers_of(objects_of(name))}
        assert images
        assert {image for image in images if not TAGGED.fullmatch(image)} == set()


def test_a_digest_wins_over_the_tag_and_the_registry_stands_before_both() -> None:
    rooms = of_kind(objects_of("everything"), "Deployment")
    images = {
        name: body["spec"]["template"]["spec"]["containers"][0]["image"]
        for name, body in rooms.items()
    }

    start = "registry.example.com:5000/lab/research/teachwhy"
    assert images["teachwhy-judge"] == f"{start}/judge:1.2.3-rc.1"
    assert images["teachwhy-dataset"].startswith(f"{start}/dataset@sha256:0123")


def test_secrets_stand_nowhere_but_in_the_secrets_of_the_own_store() -> None:
    for name in CI:
        secrets = of_kind(objects_of(name), "Secret")
        assert set(secrets) <= {"teachwhy-minio", "teachwhy-serving"}
        for body, _, container in containers_of(objects_of(name)):
            assert "envFrom" not in container
            refs = {
                each["valueFrom"]["secretKeyRef"]["name"]
                for each in container["env"]
                if "secretKeyRef" in each.get("valueFrom", {})
            }
            assert refs <= ({"teachwhy-minio"} if body["kind"] == "StatefulSet" else set())


def test_the_own_store_has_one_pair_of_keys_under_both_names() -> None:
    secrets = of_kind(objects_of("minio"), "Secret")
    own, kserve = secrets["teachwhy-minio"]["data"], secrets["teachwhy-serving"]["data"]

    assert own["access_key"] == kserve["AWS_ACCESS_KEY_ID"]
    assert own["secret_key"] == kserve["AWS_SECRET_ACCESS_KEY"]


def test_a_pod_has_a_token_only_to_create_what_a_run_creates() -> None:
    for name in CI:
        for body, pod, _ in containers_of(objects_of(name)):
            if body["kind"] != "ServingRuntime":  # its account is the InferenceService's
                wanted = body["kind"] == "CronJob"
                assert pod["automountServiceAccountToken"] is wanted, body["metadata"]["name"]


def test_no_pod_hears_of_services_by_variables() -> None:
    for name in CI:
        for body in objects_of(name):
            for _, _, pod in pod_templates(body):
                if body["kind"] != "InferenceService":
                    assert pod["enableServiceLinks"] is False


@pytest.mark.parametrize("major", MAJORS)
def test_the_packaged_chart_makes_the_same_objects(major: int, tmp_path: Path) -> None:
    command = [str(helm_of(major)), "package", str(CHART), "--destination", str(tmp_path)]
    subprocess.run(command, capture_output=True, check=True)
    (package,) = tmp_path.glob("teachwhy-*.tgz")

    text = render(helm_of(major), [CI["everything"]], chart=package)

    assert masked(in_order(text)) == masked(in_order(text_of("everything", major)))


def test_long_names_of_releases_still_give_names_that_kubernetes_takes() -> None:
    release = "a-release-with-a-name-of-fifty-three-letters-exactly-"[:52] + "x"
    command = [str(helm_of(MAJORS[-1])), "template", release, str(CHART)]
    command += ["--values", str(CI["everything"])]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    for body in parsed(text):
        assert [fault for fault in faults(body) if "name" in fault] == []
        if body["kind"] == "CronJob":
            assert len(body["metadata"]["name"]) <= 52


def test_one_pod_has_no_disruption_budget_and_several_have() -> None:
    assert of_kind(set_to(), "PodDisruptionBudget") == {}
    assert set(of_kind(set_to("services.judge.replicas=2"), "PodDisruptionBudget")) == {
        "teachwhy-judge"
    }


def test_nobody_but_the_autoscaler_says_how_many_pods_a_scaled_room_has() -> None:
    rooms = of_kind(objects_of("keda"), "Deployment")

    assert "replicas" not in rooms["teachwhy-rollout"]["spec"]
    assert "replicas" not in rooms["teachwhy-judge"]["spec"]
    assert rooms["teachwhy-dataset"]["spec"]["replicas"] == 1


@pytest.mark.parametrize("name", CI)
def test_what_helm_prints_at_the_end_names_what_is_there(name: str) -> None:
    # Helm 3 prints it in a cluster only.
    flags = ["--namespace", "lab", "--values", str(CI[name]), "--dry-run=client"]
    command = [str(helm_of(4)), "install", "teachwhy", str(CHART), *flags]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    notes = text.partition("\nNOTES:\n")[2]
    objects = objects_of(name)
    named = set(re.findall(r"(configmap|service/|cronjob/)(?: )?(teachwhy-\S+)", notes))

    kinds = {"configmap": "ConfigMap", "service/": "Service", "cronjob/": "CronJob"}
    assert "service/" in {kind for kind, _ in named}
    for kind, each in named:
        assert each in of_kind(objects, kinds[kind])
    assert ("helm test" in notes) == bool(of_kind(objects, "Pod"))
    assert ("MinIO" in notes) == bool(of_kind(objects, "StatefulSet"))
    assert ("Network policies:" in notes) == (not of_kind(objects, "NetworkPolicy"))


@pytest.mark.parametrize("document", ["README.md", *OVERLAYS])
def test_the_lines_that_documents_show_install_the_chart(document: str) -> None:
    text = (CHART / document).read_text(encoding="utf-8")
    lines = re.findall(
        r"^[#\s]*helm install teachwhy (deploy/helm/teachwhy .*)$", text, re.MULTILINE
    )
    assert lines

    for line in lines:
        words = shlex.split(line.replace(" --create-namespace", ""))
        command = [str(helm_of(4)), "template", "teachwhy", *words, *KNOWN]
        result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert result.returncode == 0, f"{line}\n{result.stderr}"

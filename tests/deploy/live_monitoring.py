"""A real Prometheus and Alertmanager over the shipped files, and a webhook that hears them."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import yaml

from pipelines.experiment.local_services import HOST, free_ports
from tests.deploy.monitoring_programs import program

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus" / "prometheus.yaml"
ALERTMANAGER = DEPLOY / "prometheus" / "alertmanager.yaml"
ALERTS = DEPLOY / "helm" / "teachwhy" / "alerts"
NAMESPACE = "trial"
"""Label of all targets, as a cluster would have it."""

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.1


def wait_for(what: str, condition: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Poll until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(POLL_SECONDS)
    return found


class Prometheus:
    """What tests ask it, and what it scrapes."""

    def __init__(self, url: str, targets: Path) -> None:
        self.url = url
        self._targets = targets
        self._named: dict[str, dict[str, dict[str, str]]] = {}
        self._began = time.time()

    @property
    def age_seconds(self) -> int:
        """How long it has been scraping: what a range must cover to see everything."""
        return int(time.time() - self._began) + 1

    def scrape(self, job: str, address: str, **labels: str) -> None:
        """Add a target."""
        self._named.setdefault(job, {})[address] = {"namespace": NAMESPACE, **labels}
        self._write(job)

    def forget(self, job: str, address: str) -> None:
        """Take a target away."""
        del self._named[job][address]
        self._write(job)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression now; each result has "metric" and "value"."""
        found: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return found

    def query_range(self, expression: str, *, step_seconds: int = 1) -> list[dict[str, Any]]:
        """Evaluate it over all that was scraped; each result has "metric" and "values"."""
        end = time.time()
        found: list[dict[str, Any]] = self._get(
            "query_range", query=expression, start=self._began, end=end, step=step_seconds
        )["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Every rule, with its health and last error."""
        groups = self._get("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        """Every target that is scraped."""
        found: list[dict[str, Any]] = self._get("targets", state="active")["activeTargets"]
        return found

    def _write(self, job: str) -> None:
        content = [
            {"targets": [address], "labels": labels} for address, labels in self._named[job].items()
        ]
        path = self._targets / f"{job}.json"
        begun = path.with_suffix(".begun")
        begun.write_text(json.dumps(content))
        begun.rename(path)

    def _get(self, what: str, **parameters: Any) -> Any:
        question = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{what}?{question}") as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error


class Webhook:
    """Hears alerts."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Mapping[str, Any]]] = []
        """Path and alert, in order of arrival."""
        heard = self.heard

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                heard.extend((self.path, alert) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def monitoring(folder: Path) -> Iterator[tuple[Prometheus, Webhook]]:
    """Run both by the shipped files, with seconds for minutes and no patience before alerts."""
    ports = free_ports(("prometheus", "alertmanager"))
    (folder / "targets").mkdir(parents=True)
    with ExitStack() as stack:
        webhook = stack.enter_context(Webhook())
        alertmanager = f"{HOST}:{ports['alertmanager']}"
        listen = f"{HOST}:{ports['prometheus']}"
        stack.enter_context(
            _process(
                folder / "alertmanager.log",
                "prometheus-alertmanager",
                f"--config.file={_alertmanager_file(folder, webhook.url)}",
                f"--web.listen-address={alertmanager}",
                f"--storage.path={folder / 'alertmanager'}",
                "--cluster.listen-address=",
            )
        )
        stack.enter_context(
            _process(
                folder / "prometheus.log",
                "prometheus",
                f"--config.file={_prometheus_file(folder, alertmanager)}",
                f"--web.listen-address={listen}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
            )
        )
        for name, url in (("Alertmanager", alertmanager), ("Prometheus", listen)):
            wait_for(name, lambda url=url: _answers(f"http://{url}/-/ready"))  # type: ignore[misc]
        yield Prometheus(f"http://{listen}", folder / "targets"), webhook


def _prometheus_file(folder: Path, alertmanager: str) -> Path:
    content = yaml.safe_load(PROMETHEUS.read_text())
    content["global"] |= {
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "evaluation_interval": "1s",
    }
    content["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [alertmanager]
    content["rule_files"] = [
        str(_impatient(path, folder)) for path in sorted(ALERTS.glob("*.yaml"))
    ]
    for job in content["scrape_configs"]:
        job.pop("static_configs", None)
        job["file_sd_configs"] = [{"files": [str(folder / "targets" / f"{job['job_name']}.json")]}]
    content["scrape_configs"].append(
        {
            "job_name": "spare",
            "file_sd_configs": [{"files": [str(folder / "targets" / "spare.json")]}],
        }
    )
    return _written(folder / "prometheus.yaml", content)


def _impatient(path: Path, folder: Path) -> Path:
    """Write the same rules with alerts that do not wait before they fire."""
    content = yaml.safe_load(path.read_text())
    for group in content["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
    return _written(folder / path.name, content)


def _alertmanager_file(folder: Path, webhook: str) -> Path:
    content = yaml.safe_load(ALERTMANAGER.read_text())
    content["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    for receiver in content["receivers"]:
        for hook in receiver["webhook_configs"]:
            hook["url"] = webhook + urllib.parse.urlparse(hook["url"]).path
    return _written(folder / "alertmanager.yaml", content)


def _written(path: Path, content: object) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url):
            return True
    except OSError:
        return False


@contextmanager
def _process(log: Path, name: str, *arguments: str) -> Iterator[None]:
    command = [str(program(name)), *arguments]
    with log.open("ab") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, cwd=log.parent)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)

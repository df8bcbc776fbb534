"""An order over a real bucket, and pods that carry it out: processes with folders of their own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from pipelines.jobs.order import TrainingOrder, checkpoints_prefix
from pipelines.outputs import Output, files_below
from services.servicekit.digest import code_digest
from services.servicekit.storage.port import ObjectStore
from services.servicekit.storage.settings import StoreSettings
from tests.training.shard_files import rhymes, small_spec, write_shards

DATA = "data/rhymes"
WAIT_SECONDS = 120.0


def publish_rhymes(store: ObjectStore, folder: Path, examples: int) -> None:
    Output(store=store, prefix="datasets/rhymes").publish(
        kind="dataset",
        digest="r" * 64,
        parameters={},
        inputs={},
        counts={},
        files=files_below(write_shards(folder, rhymes(examples), per_shard=1000)),
    )


def order(name: str, tokens: int, **changes: Any) -> TrainingOrder:
    return TrainingOrder(
        name=name,
        digest=f"{name:0<64}".replace("-", "0"),
        output=f"checkpoints/{name}",
        program=code_digest("pipelines.training"),
        spec=small_spec(Path(DATA), tokens, **{"checkpoint_every_steps": 10, **changes}),
        folders={DATA: "datasets/rhymes"},
        parameters={"arm": "rhymes"},
        inputs={"mixture/0": "r" * 64},
    )


class Pod:
    """One run of the program; its events are read as they come."""

    def __init__(
        self,
        store: StoreSettings,
        key: str,
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.events: list[dict[str, Any]] = []
        self._coming: Queue[dict[str, Any] | None] = Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.jobs", key],
            env={**_environment(store, folder), **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, name: str) -> dict[str, Any]:
        """Wait for an event; the program has to go on meanwhile."""
        while True:
            try:
                event = self._coming.get(timeout=WAIT_SECONDS)
            except Empty:
                event = None
            if event is None:
                raise AssertionError(f"no {name} among {self.events}: {self._complaint()}")
            if event["event"] == name:
                return event

    def end(self) -> tuple[int, str]:
        """Wait for the end; return exit status and standard error."""
        status = self.process.wait(WAIT_SECONDS)
        self._reader.join(WAIT_SECONDS)
        assert self.process.stderr is not None
        return status, self.process.stderr.read()

    def kill(self) -> None:
        """End everything at once, as a node does that loses power."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(WAIT_SECONDS)

    def close(self) -> None:
        self.kill()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            self.events.append(event)
            self._coming.put(event)
        self._coming.put(None)

    def _complaint(self) -> str:
        self.kill()
        assert self.process.stderr is not None
        return self.process.stderr.read()


def _environment(store: StoreSettings, folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "JOBS_STORE__KIND": "s3",
        "JOBS_STORE__ENDPOINT": store.endpoint,
        "JOBS_STORE__BUCKET": store.bucket,
        "JOBS_STORE__ACCESS_KEY": store.access_key,
        "JOBS_STORE__SECRET_KEY": store.secret_key.get_secret_value(),
        "JOBS_STORE__SECURE": "false",
        "JOBS_STORE__MAX_ATTEMPTS": "1",
        "JOBS_FOLDER": str(folder),
        "JOBS_MIRROR_SECONDS": "0.05",
        "JOBS_PATIENCE_SECONDS": "60",
    }


def model_files(store: ObjectStore, each: TrainingOrder) -> dict[str, bytes]:
    """What was published, without how long it took."""
    files = each.published(store).read_all()
    files.pop("training.json")
    return files


def copies(store: ObjectStore, each: TrainingOrder) -> list[str]:
    return list(store.keys(f"{checkpoints_prefix(each.name)}/"))

"""A training that was stopped or killed ends with the same bytes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.training.checkpoints import new_checkpoint, newest_checkpoint
from tests.training.conftest import Start, Train
from tests.training.shard_files import dilemmas, rhymes, small_spec, write_shards


def _spec(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    data = tmp_path / "data"
    if not data.exists():
        write_shards(data, [*rhymes(250), *dilemmas(120)])
    return small_spec(data, 4000, **changes)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose data and finished trainings several tests only read."""
    return tmp_path_factory.mktemp("shared")


def _whole(shared: Path, train_here: Train, spec: dict[str, Any]) -> Path:
    """The output of the training that nothing stopped; the first test that asks trains it."""
    output = shared / f"whole-{spec['checkpoint_every_steps']}"
    if not (output / "result.json").exists():
        train_here(spec, output)
    return output


def _files(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (output / "model").iterdir()}


def _curve(output: Path) -> Any:
    return json.loads((output / "result.json").read_bytes())["loss_curve"]


def _stop_after(steps: int) -> Callable[[], bool]:
    asked = iter(range(1, 10_000))
    return lambda: next(asked) >= steps


def test_a_stopped_training_continues_to_the_same_bytes(tmp_path: Path, train_here: Train) -> None:
    spec = _spec(tmp_path)
    train_here(spec, tmp_path / "whole")

    for steps in (1, 7, 12):
        train_here(spec, tmp_path / "parts", _stop_after(steps))
        assert not (tmp_path / "parts" / "result.json").exists()
    events = train_here(spec, tmp_path / "parts")

    assert {
        key: value
        for event in events
        if event["event"] == "training.resumed"
        for key, value in event.items()
        if key != "tokens"
    } == {"event": "training.resumed", "step": 20, "processes_before": 1}
    assert _files(tmp_path / "parts") == _files(tmp_path / "whole")
    assert _curve(tmp_path / "parts") == _curve(tmp_path / "whole")


def test_only_the_newest_two_checkpoints_are_kept(tmp_path: Path, train_here: Train) -> None:
    train_here(_spec(tmp_path, checkpoint_every_steps=2), tmp_path / "out", _stop_after(9))

    kept = sorted(path.name for path in (tmp_path / "out").glob("checkpoint-*"))
    assert kept == ["checkpoint-8", "checkpoint-9"]


@pytest.mark.parametrize("damage", ["no marker", "missing file", "cut file", "other file"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    tmp_path: Path, shared: Path, train_here: Train, damage: str
) -> None:
    spec = _spec(shared, checkpoint_every_steps=5)
    whole = _whole(shared, train_here, spec)
    train_here(spec, tmp_path / "out", _stop_after(8))
    newest = tmp_path / "out" / "checkpoint-8"
    if damage == "no marker":
        (newest / "complete.json").unlink()
    elif damage == "missing file":
        (newest / "optimizer.pt").unlink()
    elif damage == "cut file":
        os.truncate(newest / "optimizer.pt", 100)
    else:
        (newest / "model.safetensors").write_bytes(b"other")

    events = train_here(spec, tmp_path / "out")

    by_name = {event["event"]: event for event in events}
    assert by_name["training.checkpoint_ignored"]["reason"].startswith("checkpoint-8: ")
    assert by_name["training.resumed"]["step"] == 5
    assert _files(tmp_path / "out") == _files(whole)


def test_a_checkpoint_whose_writer_fails_is_not_there(tmp_path: Path) -> None:
    with new_checkpoint(tmp_path, 1) as folder:
        (folder / "state").write_text("good")

    def write_half() -> None:
        with new_checkpoint(tmp_path, 2) as folder:
            (folder / "state").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()

    assert newest_checkpoint(tmp_path) == (tmp_path / "checkpoint-1", [])


KILLER = """
import json, os, signal, sys
from pathlib import Path
import torch
from pipelines.training import program
from pipelines.training.command import main

# What it has imported serves every kill: each happens in a process that is forked from this one.
for line in sys.stdin:
    call, wanted, *arguments = json.loads(line)
    child = os.fork()
    if child == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()

seen = 0

def counted(original):
    def replacement(*arguments, **options):
        global seen
        seen += 1
        if seen == wanted:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)
    return replacement

if call == "fsync":
    os.fsync = counted(os.fsync)
elif call == "rename":
    Path.rename = counted(Path.rename)
else:
    torch.save = counted(torch.save)
os._exit(main(arguments))
"""


@pytest.fixture(scope="module")
def killer() -> Iterator[subprocess.Popen[str]]:
    """Runs the program and kills it at a call; a line in says which, a line out how it ended."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        yield process


def _kill_at(killer: subprocess.Popen[str], call: str, times: int, spec: Path, output: Path) -> int:
    """Run the program until its call of this number kills it, and return its exit code."""
    assert killer.stdin is not None
    assert killer.stdout is not None
    print(json.dumps([call, times, str(spec), "--output", str(output)]), file=killer.stdin)
    killer.stdin.flush()
    for line in killer.stdout:
        # What the program says comes before.
        if not line.startswith("{"):
            return int(line)
    raise AssertionError(f"the killer itself ended with {killer.wait()}")


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [("save", 3), ("fsync", 4), ("rename", 10), ("fsync", 60), ("rename", 30)],
)
def test_a_kill_in_the_middle_of_a_write_loses_nothing(
    tmp_path: Path,
    shared: Path,
    train_here: Train,
    killer: subprocess.Popen[str],
    moment: tuple[str, int],
) -> None:
    spec = _spec(shared, checkpoint_every_steps=3)
    whole = _whole(shared, train_here, spec)
    (tmp_path / "spec.json").write_text(json.dumps(spec))

    status = _kill_at(killer, *moment, tmp_path / "spec.json", tmp_path / "out")
    left = {path.name for path in (tmp_path / "out").iterdir()}
    train_here(spec, tmp_path / "out")

    assert status == -signal.SIGKILL
    assert any(name.startswith((".unfinished-", "checkpoint-")) for name in left)
    assert _files(tmp_path / "out") == _files(whole)
    assert _curve(tmp_path / "out") == _curve(whole)


def _wait_for(process: subprocess.Popen[str], event: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == event:
            return
    raise AssertionError(f"no {event}: {process.communicate()[1]}")


def _long(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    data = write_shards(tmp_path / "long", rhymes(9000), per_shard=3000)
    return small_spec(data, 60_000, **changes)


@pytest.mark.slow
def test_sigterm_writes_a_checkpoint_and_ends_with_143(
    tmp_path: Path, start_program: Start
) -> None:
    process = start_program(_long(tmp_path), tmp_path / "out")
    _wait_for(process, "training.progress")

    process.terminate()
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 143
    assert json.loads(output.splitlines()[-1])["event"] == "training.stopped"
    assert newest_checkpoint(tmp_path / "out")[0] is not None


ORPHAN_MAKER = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "pipelines.training", *sys.argv[1:],
                          "--parent-pid", str(os.getpid())],
                         stdout=subprocess.PIPE, text=True)
for line in child.stdout:
    if "training.progress" in line:
        print(child.pid, flush=True)
        break
sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
def test_the_program_dies_with_its_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(_long(tmp_path)))
    parent = subprocess.Popen(
        [
            *(sys.executable, "-c", ORPHAN_MAKER, str(tmp_path / "spec.json")),
            *("--output", str(tmp_path / "out")),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        handle = os.pidfd_open(child)

        parent.kill()
        parent.wait()
        # The child's end makes its handle readable.
        readable = _wait_readable(handle)

    assert readable


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
def test_the_program_ends_at_once_when_its_parent_is_already_gone(tmp_path: Path) -> None:
    no_longer_the_parent = str(os.getppid())

    ended = subprocess.run(
        [
            *(sys.executable, "-m", "pipelines.training", str(tmp_path / "spec.json")),
            *("--output", str(tmp_path / "out"), "--parent-pid", no_longer_the_parent),
        ],
        check=False,
        capture_output=True,
    )

    assert (ended.returncode, ended.stderr) == (-signal.SIGKILL, b"")


def _wait_readable(handle: int) -> bool:
    import select  # noqa: PLC0415

    try:
        return bool(select.select([handle], [], [], 30)[0])
    finally:
        os.close(handle)


@pytest.mark.slow
def test_a_finished_training_is_not_repeated_and_a_wrong_spec_ends_with_2(
    tmp_path: Path, train_here: Train, start_program: Start
) -> None:
    spec = _spec(tmp_path)
    train_here(spec, tmp_path / "out")
    written = (tmp_path / "out" / "result.json").stat().st_mtime_ns

    again = start_program(spec, tmp_path / "out")
    said, _ = again.communicate(timeout=30)
    wrong = start_program({**spec, "batch_tokens": 0}, tmp_path / "other")
    _, complaint = wrong.communicate(timeout=30)
    many = start_program(spec, tmp_path / "other", environment={"WORLD_SIZE": "2"})
    _, refusal = many.communicate(timeout=30)
    device = start_program({**spec, "device": "cuda"}, tmp_path / "other")
    _, no_device = device.communicate(timeout=30)

    assert (again.returncode, json.loads(said)["event"]) == (0, "training.already_done")
    assert (tmp_path / "out" / "result.json").stat().st_mtime_ns == written
    assert wrong.returncode == 2
    assert "batch_tokens: Input should be greater than or equal to 8" in complaint
    assert complaint.count("\n") == 1
    assert many.returncode == 2
    assert refusal.startswith("error: WORLD_SIZE is 2, but the processes do not meet; start them")
    if not torch.cuda.is_available():
        assert (device.returncode, no_device) == (
            2,
            'error: device: "cuda" is asked for, but torch finds no GPU on this machine\n',
        )

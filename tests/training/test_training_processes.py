"""Several processes train to the same loss and nearly the same weights as one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.training.conftest import Start, Train
from tests.training.shard_files import dilemmas, rhymes, small_spec, write_shards

ADAM = {"muon_learning_rate": None, "adam_learning_rate": 0.005}
# In float32; only the order differs in which numbers are added up.
TOLERANCE = 1e-5
# Muon's own products are in bfloat16.
MUON_TOLERANCE = 1e-3


def _spec(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    data = tmp_path / "data"
    if not data.exists():
        write_shards(data, [*rhymes(250), *dilemmas(120)])
    settings = {"precision": "float32", "log_every_steps": 1, "optimizer": ADAM, **changes}
    spec = small_spec(data, 4000, **settings)
    # Every process has random numbers of its own, so dropout could not be the same.
    spec["start"]["model"]["attention_dropout"] = 0.0
    return spec


def _result(output: Path) -> Any:
    return json.loads((output / "result.json").read_bytes())


def _curve(output: Path) -> list[float]:
    return [loss for _, loss in _result(output)["loss_curve"]]


def _largest_difference(one: Path, other: Path) -> float:
    first, second = (load_file(each / "model" / "model.safetensors") for each in (one, other))
    assert first.keys() == second.keys()
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def _end(process: subprocess.Popen[str], timeout: float = 300) -> list[dict[str, Any]]:
    output, complaints = process.communicate(timeout=timeout)
    assert process.returncode == 0, complaints
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [
        (
            {
                "optimizer": {"muon_learning_rate": 0.02},
                "micro_batch_tokens": 48,
                "validation_share": 0.1,
            },
            MUON_TOLERANCE,
        ),
        ({"sharding": "full", "micro_batch_tokens": 48, "validation_share": 0.1}, TOLERANCE),
    ],
    ids=["whole", "sharded"],
)
def test_two_processes_train_to_the_loss_of_one(
    tmp_path: Path,
    train_here: Train,
    start_program: Start,
    changes: dict[str, Any],
    tolerance: float,
) -> None:
    alone = {name: value for name, value in changes.items() if name != "micro_batch_tokens"}
    train_here(_spec(tmp_path, **alone), tmp_path / "one")

    events = _end(start_program(_spec(tmp_path, **changes), tmp_path / "two", processes=2))

    one, two = tmp_path / "one", tmp_path / "two"
    assert _result(two)["processes"] == 2
    assert _curve(two) == pytest.approx(_curve(one), abs=tolerance)
    assert _largest_difference(one, two) < 10 * tolerance
    validation = [loss for _, loss in _result(one)["validation_curve"]]
    assert [loss for _, loss in _result(two)["validation_curve"]] == pytest.approx(
        validation, abs=tolerance
    )
    assert len(validation) == 1
    # One process speaks.
    assert [each["event"] for each in events].count("training.source") == 1


@pytest.mark.slow
def test_gradients_of_micro_batches_add_up_to_those_of_the_batch(
    tmp_path: Path, train_here: Train
) -> None:
    train_here(_spec(tmp_path), tmp_path / "whole")
    train_here(_spec(tmp_path, micro_batch_tokens=32), tmp_path / "parts")

    assert _curve(tmp_path / "parts") == pytest.approx(_curve(tmp_path / "whole"), abs=TOLERANCE)
    assert _largest_difference(tmp_path / "whole", tmp_path / "parts") < 10 * TOLERANCE


def _wait_for(process: subprocess.Popen[str], event: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == event:
            return
    raise AssertionError(f"no {event}: {process.communicate()[1]}")


def _kill_while_writing(
    process: subprocess.Popen[str], output: Path, is_moment: Callable[[set[str]], bool]
) -> None:
    """Kill the program while a checkpoint after its first is unfinished and looks like this."""
    # By then it has removed what the one before left behind.
    _wait_for(process, "training.source")
    seen: set[str] = set()
    while process.poll() is None:
        for folder in output.glob(".unfinished-checkpoint-*"):
            seen.add(folder.name)
            if len(seen) > 1 and is_moment({path.name for path in folder.rglob("*")}):
                process.kill()
                process.wait()
                return
        # Writing takes longer than this, and wants a core.
        time.sleep(0.001)
    raise AssertionError(f"it was never there: {process.communicate()[1]}")


def _has_weights(names: set[str]) -> bool:
    return any(name.endswith((".safetensors", ".distcp")) for name in names)


def _has_random_states(names: set[str]) -> bool:
    return "rng_state_0.pth" in names


def _has_its_marker(names: set[str]) -> bool:
    return "complete.json" in names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sharding", "moments"),
    [
        ("none", [_has_random_states]),
        ("full", [_has_weights, _has_its_marker]),
    ],
)
def test_kills_in_the_middle_of_writing_a_checkpoint_lose_nothing(
    tmp_path: Path,
    start_program: Start,
    sharding: str,
    moments: list[Callable[[set[str]], bool]],
) -> None:
    spec = _spec(tmp_path, sharding=sharding, checkpoint_every_steps=2)
    spec["start"]["model"]["attention_dropout"] = 0.1
    spec["mixture"][0]["tokens"] = 2500
    _end(start_program(spec, tmp_path / "whole", processes=2))

    for is_moment in moments:
        process = start_program(spec, tmp_path / "parts", processes=2)
        _kill_while_writing(process, tmp_path / "parts", is_moment)
    events = _end(start_program(spec, tmp_path / "parts", processes=2))

    resumed = next(each for each in events if each["event"] == "training.resumed")
    assert resumed["step"] >= 2 * len(moments)
    for name in ("model.safetensors", "training.json", "README.md"):
        whole, parts = (tmp_path / each / "model" / name for each in ("whole", "parts"))
        assert parts.read_bytes() == whole.read_bytes()


def _children(pid: int) -> list[int]:
    """Processes that torchrun has started, in the order of their ranks."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
def test_one_process_that_is_asked_to_stop_stops_all_at_one_step(
    tmp_path: Path, train_here: Train, start_program: Start
) -> None:
    data = write_shards(tmp_path / "data", rhymes(9000), per_shard=3000)
    spec = {**_spec(tmp_path), "mixture": [{"name": "a", "data": str(data), "tokens": 60_000}]}
    process = start_program(spec, tmp_path / "out", processes=2)
    _wait_for(process, "training.progress")

    *_, last_started = _children(process.pid)
    os.kill(last_started, signal.SIGTERM)
    output, complaints = process.communicate(timeout=300)

    last = json.loads(output.splitlines()[-1])
    (checkpoint,) = (tmp_path / "out").glob("checkpoint-*")
    assert last == {"event": "training.stopped", "exit_status": 143}, complaints
    assert (checkpoint / "complete.json").exists()
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= {path.name for path in checkpoint.iterdir()}

    # Fewer machines may be left.
    events = train_here(spec, tmp_path / "out", lambda: True)

    resumed = next(each for each in events if each["event"] == "training.resumed")
    assert resumed["processes_before"] == 2

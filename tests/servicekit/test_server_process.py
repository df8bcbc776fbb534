"""The server as a process: signals, exit codes, sentences and what it imports."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

PROCESS = Path(__file__).with_name("echo_process.py")
ROOT = Path(__file__).parents[2]
QUICK = {"ECHO_DRAIN_PAUSE_SECONDS": "0"}


def environment(**variables: str) -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **QUICK, **variables}


async def next_event(process: Process, name: str) -> dict[str, Any]:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        async for line in process.stdout:
            event: dict[str, Any] = json.loads(line)
            if event["event"] == name:
                return event
    raise AssertionError(f"the log ended before {name}")


@asynccontextmanager
async def started(**variables: str) -> AsyncIterator[tuple[Process, int]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROCESS), env=environment(**variables), stdout=PIPE, stderr=PIPE
    )
    try:
        yield process, int((await next_event(process, "server.ready"))["port"])
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _answer(call: Any) -> bytes:
    return bytes(await call)


def run_until_exit(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROCESS)],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_ready_is_announced_with_the_ports_that_were_chosen() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROCESS), env=environment(), stdout=PIPE, stderr=PIPE
    )
    event = await next_event(process, "server.ready")
    process.terminate()
    _, errors = await process.communicate()

    assert event["room"] == "echo"
    assert event["host"] == "127.0.0.1"
    assert event["port"] > 0
    assert event["metrics_port"] > 0
    assert event["level"] == "info"
    assert process.returncode == 0
    assert errors == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_calls_in_flight_and_exits_with_0(number: signal.Signals) -> None:
    async with started(ECHO_ANSWER_AFTER_SECONDS="0.5") as (process, port):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            method: Any = channel.unary_unary("/test.Echo/Echo")
            call = asyncio.ensure_future(_answer(method(b"why")))
            await next_event(process, "echo.begun")
            process.send_signal(number)

            assert await call == b"why"
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_a_second_signal_does_not_wait_for_calls() -> None:
    async with started(ECHO_ANSWER_AFTER_SECONDS="600", ECHO_DRAIN_SECONDS="600") as running:
        process, port = running
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            method: Any = channel.unary_unary("/test.Echo/Echo")
            waiting = asyncio.ensure_future(method(b"why").code())
            await next_event(process, "echo.begun")

            process.terminate()
            await next_event(process, "server.draining")
            process.terminate()

            assert await asyncio.wait_for(process.wait(), 10) == 0
            assert await asyncio.wait_for(waiting, 10) is not grpc.StatusCode.OK


@pytest.mark.parametrize("variable", ["ECHO_PORT", "ECHO_METRICS_PORT"])
def test_a_taken_port_is_one_sentence_and_exit_code_1(variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        result = run_until_exit(**{variable: str(port)})

    assert result.returncode == 1
    assert result.stderr == (
        f"echo cannot start: cannot listen on 127.0.0.1:{port} (setting {variable}): "
        "the address is in use\n"
    )


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ECHO_PORT": "70000"}, "ECHO_PORT: Input should be less than or equal to 65535"),
        ({"ECHO_PORT": "many"}, "got 'many'"),
        ({"ECHO_LOG_LEVEL": "loud"}, "ECHO_LOG_LEVEL: Input should be 'debug', 'info'"),
        ({"ECHO_PROT": "1"}, "ECHO_PROT: is no setting; the settings are ECHO_ANSWER_AFTER"),
        ({"ECHO_TOKEN_FILE": "/nowhere"}, "ECHO_TOKEN_FILE: Path does not point to a file"),
        ({"ECHO_TOKEN_FILE": os.devnull}, "ECHO_TOKEN_FILE: Path does not point to a file"),
        ({"ECHO_TLS_KEY_FILE": __file__}, "must be set together"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(
    variables: dict[str, str], words: str
) -> None:
    result = run_until_exit(**variables)

    assert result.returncode == 2
    assert result.stderr.startswith("invalid settings:\n")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unusable_token_file_is_exit_code_2(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch()

    result = run_until_exit(ECHO_TOKEN_FILE=str(token))

    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"invalid settings:\nthe secret file {token} is empty\n"


async def test_variables_that_kubernetes_adds_for_a_service_are_no_mistake() -> None:
    links = {
        "ECHO_SERVICE_HOST": "10.0.0.1",
        "ECHO_SERVICE_PORT": "50051",
        "ECHO_PORT_50051_TCP_ADDR": "10.0.0.1",
    }

    async with started(**links) as (_, port):
        assert port > 0


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is a call of Linux")
async def test_a_server_does_not_outlive_a_killed_parent() -> None:
    program = (
        "import os, subprocess, sys\n"
        "environment = {**os.environ, 'ECHO_PARENT_PID': str(os.getpid())}\n"
        "child = subprocess.Popen([sys.executable, sys.argv[1]], env=environment)\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(PROCESS)),
        env=environment(),
        stdout=PIPE,
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))
    await next_event(parent, "server.ready")

    parent.kill()
    await parent.wait()

    await asyncio.to_thread(psutil.wait_procs, [child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is a call of Linux")
def test_a_server_whose_parent_is_already_gone_ends_at_once() -> None:
    no_longer_the_parent = psutil.Process(os.getpid()).ppid()

    result = run_until_exit(ECHO_PARENT_PID=str(no_longer_the_parent))

    assert result.returncode == -signal.SIGTERM


def test_a_log_that_nobody_reads_does_not_stop_the_server() -> None:
    process = subprocess.Popen(
        [sys.executable, str(PROCESS)],
        env=environment(ECHO_DRAIN_SECONDS="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()  # from now on every log line meets a broken pipe

    process.terminate()
    process.wait(30)

    assert process.returncode == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_server_imports_nothing_that_its_settings_do_not_need() -> None:
    heavy = {
        *("minio", "aiohttp", "numpy", "scipy", "torch", "kserve", "kubernetes", "pandas"),
        *("pyarrow", "transformers", "statsmodels", "urllib3", "tenacity"),
    }
    program = (
        "import sys, services.servicekit.server, services.servicekit.storage.settings\n"
        f"print(*sorted({heavy!r} & set(sys.modules)))\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (result.returncode, result.stdout.split()) == (0, []), result.stderr

"""The life of the process: refusals to start, kills, drains."""

import asyncio
import json
import socket
import subprocess
from pathlib import Path

import aiohttp
import pytest

from tests.serving.serving_process import ServingProcess, environment, serving, start

CHAT = {"model": "patient", "messages": [{"role": "user", "content": "w1"}], "temperature": 0}


def test_a_port_in_use_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(environment(tmp_path, tmp_path, port=str(port)))
        said, complaint = process.communicate(timeout=30)

    assert process.returncode == 1
    assert said == ""
    assert complaint == (
        f"serving cannot start: cannot listen on 127.0.0.1:{port} "
        "(settings SERVING_HOST and SERVING_PORT): the address is in use\n"
    )


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("dtype", "float8", "SERVING_DTYPE"),
        ("max_batch_size", "0", "SERVING_MAX_BATCH_SIZE"),
        ("max_bach_size", "1", "SERVING_MAX_BACH_SIZE: is no setting"),
    ],
)
def test_a_wrong_setting_is_named(setting: str, value: str, message: str, tmp_path: Path) -> None:
    process = start(environment(tmp_path, tmp_path, **{setting: value}))
    _, complaint = process.communicate(timeout=30)

    assert process.returncode == 2
    assert message in complaint


async def test_a_killed_server_comes_back_and_a_stopped_one_finishes_first(
    store_root: Path, tmp_path: Path
) -> None:
    with serving(store_root, tmp_path / "cache") as first:
        port = first.port
        first.process.kill()
        first.process.wait(timeout=10)

    with serving(store_root, tmp_path / "cache", port=str(port)) as second:
        assert second.port == port
        await _loading_is_said_to_be_unavailable(second)
        await _a_stop_waits_for_replies_but_not_for_idle_clients(second)


async def _loading_is_said_to_be_unavailable(server: ServingProcess) -> None:
    """The first load waits for the import of torch, which takes seconds."""
    async with aiohttp.ClientSession(server.url) as session:
        loading = asyncio.create_task(_post(session, "/v2/repository/models/patient/load"))
        answer = await _post(session, "/openai/v1/chat/completions", CHAT)
        while answer[0] == 404:  # the load has not arrived yet
            answer = await _post(session, "/openai/v1/chat/completions", CHAT)
        loaded, _, _ = await loading

    status, headers, body = answer
    assert status == 503
    assert headers["retry-after"] == "1"
    assert json.loads(body)["error"]["code"] == "model_loading"
    assert loaded == 200


async def _a_stop_waits_for_replies_but_not_for_idle_clients(server: ServingProcess) -> None:
    async with aiohttp.ClientSession(server.url) as idle, aiohttp.ClientSession(server.url) as busy:
        await _post(idle, "/v2/repository/models/patient/load")
        body = {**CHAT, "max_tokens": 300}
        whole = asyncio.create_task(_post(busy, "/openai/v1/chat/completions", body))
        async with busy.post(
            "/openai/v1/chat/completions", json={**body, "stream": True}
        ) as stream:
            await stream.content.readline()
            server.process.terminate()
            streamed = await stream.read()
        status, _, content = await whole
        code = await asyncio.to_thread(server.process.wait, 10)

    assert status == 200
    assert json.loads(content)["usage"]["completion_tokens"] == 300
    assert streamed.endswith(b"data: [DONE]\n\n")
    assert code == 0
    assert server.process.stdout is not None
    events = [json.loads(line)["event"] for line in server.process.stdout]
    assert events[-1] == "server.stopped"
    assert server.process.stderr is not None
    assert server.process.stderr.read() == ""


def test_a_stop_during_the_start_is_a_clean_end(store_root: Path, tmp_path: Path) -> None:
    process = start(environment(store_root, tmp_path, checkpoints='["tiny"]'))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.7)

    process.terminate()

    assert process.wait(timeout=10) in {0, -15}
    process.communicate()


def test_an_initial_checkpoint_that_is_missing_ends_the_start(
    store_root: Path, tmp_path: Path
) -> None:
    process = start(environment(store_root, tmp_path, checkpoints='["nobody"]'))
    _, complaint = process.communicate(timeout=60)

    assert process.returncode == 1
    assert complaint.startswith('serving cannot start: there is no checkpoint named "nobody"')


async def _post(
    session: aiohttp.ClientSession, path: str, body: object = None
) -> tuple[int, dict[str, str], bytes]:
    async with session.post(path, json=body) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        return response.status, headers, await response.read()

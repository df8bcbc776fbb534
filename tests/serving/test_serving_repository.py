"""Checkpoints are loaded and unloaded while the server runs."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from services.servicekit.storage.directory import DirectoryStore
from tests.serving.serving_process import ServingProcess
from tests.serving.tiny_checkpoints import publish

CHAT = {"messages": [{"role": "user", "content": "w1 w2"}], "temperature": 1.0, "seed": 4}


class Change(NamedTuple):
    """What is done to a file of a sound folder, and the word that the refusal must hold."""

    file: str
    old: bytes
    """What is replaced; empty: everything."""
    new: bytes
    message: str


@pytest.fixture(autouse=True)
def _only_tiny_stays(server: ServingProcess) -> Iterator[None]:
    yield
    for name in json.loads(server.get("/v2/models"))["models"]:
        if name != "tiny":
            server.unload(name)


def _text(server: ServingProcess, model: str) -> str:
    body = {**CHAT, "model": model, "max_tokens": 10}
    status, reply = server.post("/openai/v1/chat/completions", body)
    assert status == 200, reply
    return str(reply["choices"][0]["message"]["content"])


def test_a_checkpoint_is_loaded_asked_and_unloaded(server: ServingProcess) -> None:
    assert server.load("other") == (200, {"name": "other", "load": True})
    assert server.load("other")[0] == 200
    assert _text(server, "other") != _text(server, "tiny")

    assert server.unload("other") == (200, {"name": "other", "unload": True})
    assert server.unload("other")[0] == 404
    status, reply = server.post("/openai/v1/chat/completions", {**CHAT, "model": "other"})
    assert (status, reply["error"]["code"]) == (404, "model_not_found")
    assert '"other"' not in server.get("/v2/models")


async def test_loads_and_unloads_do_not_disturb_replies_in_flight(server: ServingProcess) -> None:
    assert server.load("spare-1")[0] == 200
    expected = _text(server, "spare-1")
    async with aiohttp.ClientSession(server.url) as session:

        async def post(path: str, body: object = None) -> tuple[int, object]:
            async with session.post(path, json=body) as response:
                return response.status, await response.json()

        body = {**CHAT, "model": "spare-1", "max_tokens": 10}
        chats = [asyncio.create_task(post("/openai/v1/chat/completions", body)) for _ in range(40)]
        await asyncio.sleep(0)
        loads = [
            asyncio.create_task(post(f"/v2/repository/models/{name}/load"))
            for name in ("spare-2", "spare-2", "other")
        ]
        replies = await asyncio.gather(*chats)
        endless = {**CHAT, "model": "spare-1", "temperature": 0, "max_tokens": 150, "stream": True}
        async with session.post("/openai/v1/chat/completions", json=endless) as stream:
            first = await stream.content.readline()
            unloaded, _ = await post("/v2/repository/models/spare-1/unload")
            rest = await stream.read()
        assert [status for status, _ in await asyncio.gather(*loads)] == [200, 200, 200]

    assert {status for status, _ in replies} == {200}
    assert [_content(reply) for _, reply in replies] == [expected] * 40
    assert unloaded == 200
    assert first.startswith(b"data: {")
    assert rest.endswith(b"data: [DONE]\n\n")
    assert b'"finish_reason":"length"' in rest


def _content(reply: object) -> str:
    assert isinstance(reply, dict)
    return str(reply["choices"][0]["message"]["content"])


def test_more_than_the_limit_are_refused_in_words(server: ServingProcess) -> None:
    names = ["spare-1", "spare-2", "spare-3"]
    assert [server.load(name)[0] for name in names] == [200, 200, 200]

    status, reply = server.load("other")

    assert status == 409
    assert "4 checkpoints are loaded" in reply["error"]


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("nobody", 404, 'no checkpoint named "nobody"; known:'),
        ("-nobody", 400, "name: must be"),
        ("no%20body", 400, "name: must be"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(
    name: str, status: int, message: str, server: ServingProcess
) -> None:
    answered, reply = server.load(name)

    assert answered == status
    assert message in reply["error"]


def test_a_torn_checkpoint_is_refused_and_loads_once_it_is_whole(
    server: ServingProcess, store_root: Path, tiny_folder: Path
) -> None:
    store = DirectoryStore(store_root)
    publish(store, "torn", tiny_folder)
    weights = store.get("checkpoints/torn/model.safetensors")
    store.put("checkpoints/torn/model.safetensors", weights[:-1] + b"!")

    status, reply = server.load("torn")
    store.put("checkpoints/torn/model.safetensors", weights)

    assert status == 422
    assert "checkpoints/torn/model.safetensors" in reply["error"]
    assert "SHA-256" in reply["error"]
    assert server.load("torn")[0] == 200
    assert _text(server, "torn") == _text(server, "tiny")


@pytest.mark.parametrize(
    "change",
    [
        Change("config.json", b'"num_hidden_layers": 3', b'"num_hidden_layers": 4', "missing_keys"),
        Change("config.json", b'"num_hidden_layers": 3', b'"num_hidden_layers": 2', "unexpected"),
        Change("config.json", b'"llama"', b'"no-such-family"', "no-such-family"),
        Change("chat_template.jinja", b"", b"", "no chat template"),
        Change("model.safetensors", b"", b"no weights at all", "eader"),
    ],
    ids=lambda change: f"{change.file}, {change.message}",
)
def test_whole_files_that_make_no_model_are_refused(
    change: Change, server: ServingProcess, store_root: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "folder")
    content = (folder / change.file).read_bytes()
    assert change.old in content
    new = content.replace(change.old, change.new) if change.old else change.new
    (folder / change.file).write_bytes(new)
    publish(DirectoryStore(store_root), "unfit", folder)

    status, reply = server.load("unfit")

    assert status == 422
    assert "checkpoints/unfit" in reply["error"]
    assert change.message in reply["error"]
    assert "\n" not in reply["error"]

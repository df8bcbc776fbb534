"""One store and one server for the whole folder; torch as single-threaded as the server."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
import torch

from services.servicekit.storage.directory import DirectoryStore
from tests.serving.serving_process import ServingProcess, serving
from tests.serving.tiny_checkpoints import publish, write_folder


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_folder(folder)
    return folder


@pytest.fixture(scope="session")
def store_root(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """Holds "tiny", "other" with other weights, "patient" with a long context, and spares."""
    root = tmp_path_factory.mktemp("store")
    store = DirectoryStore(root)
    publish(store, "tiny", tiny_folder)
    for name in ("spare-1", "spare-2", "spare-3"):
        publish(store, name, tiny_folder)
    other = tmp_path_factory.mktemp("other")
    write_folder(other, seed=1)
    publish(store, "other", other)
    patient = tmp_path_factory.mktemp("patient")
    write_folder(patient, context_tokens=4096)
    publish(store, "patient", patient)
    return root


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, store_root: Path) -> Iterator[ServingProcess]:
    cache = tmp_path_factory.mktemp("cache")
    with serving(store_root, cache, checkpoints='["tiny"]', max_loaded_models="4") as process:
        yield process


@pytest.fixture
def client(server: ServingProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{server.url}/openai/v1", api_key="none", max_retries=0, timeout=60
    ) as client:
        yield client

"""A model that exists is put into the store: checked, whole, and once."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner, Result

from pipelines.__main__ import app
from pipelines.outputs import Output
from services.servicekit.storage.directory import DirectoryStore

Run = Callable[..., Result]
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("PIPELINES_RUNS_FOLDER", str(tmp_path / "runs"))

    def import_model(name: str, folder: Path, *options: str) -> Result:
        return CliRunner().invoke(app, ["import-model", name, str(folder), *options])

    return import_model


@pytest.fixture
def stored(tmp_path: Path) -> Output:
    store = DirectoryStore(tmp_path / "runs" / "store")
    return Output(store=store, prefix="checkpoints/open-8b")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for number, name in enumerate(SHARDS):
        save_file({f"weight{number}": np.full((3, 5), number, np.float32)}, folder / name)
    contents: dict[str, object] = {
        "config.json": {"model_type": "llama"},
        "tokenizer.json": {"model": {"type": "BPE"}},
        "tokenizer_config.json": {"chat_template": "{{ messages }}"},
        "model.safetensors.index.json": {
            "metadata": {},
            "weight_map": {f"weight{number}": name for number, name in enumerate(SHARDS)},
        },
    }
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "LICENSE").write_text("open")
    (folder / "modeling_own.py").write_text("raise SystemExit")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "download.json").write_text("{}")
    return folder


def test_a_folder_becomes_a_checkpoint_with_its_revision(
    run: Run, folder: Path, stored: Output, tmp_path: Path
) -> None:
    result = run("open-8b", folder, "--revision", "lab/open-8b@abc123")

    assert result.exit_code == 0, result.output
    assert "open-8b: 7 files, 0.00 GB, is in the store as checkpoints/open-8b" in result.output
    assert "left out: .cache/download.json, modeling_own.py" in result.output
    assert "chat template" not in result.output
    manifest = stored.manifest()
    assert manifest.kind == "checkpoint"
    assert manifest.parameters == {"imported": True, "revision": "lab/open-8b@abc123"}
    assert len(manifest.digest) == 64
    stored.fetch(tmp_path / "copy")
    assert (tmp_path / "copy" / SHARDS[1]).read_bytes() == (folder / SHARDS[1]).read_bytes()
    assert not (tmp_path / "copy" / "modeling_own.py").exists()


def test_the_same_folder_again_changes_nothing(run: Run, folder: Path, stored: Output) -> None:
    run("open-8b", folder, "--revision", "first")
    before = stored.store.get(stored.key("manifest.json"))

    result = run("open-8b", folder, "--revision", "second")

    assert result.exit_code == 0
    assert "was in the store before, unchanged" in result.output
    assert stored.store.get(stored.key("manifest.json")) == before


def test_another_model_under_a_taken_name_is_refused(
    run: Run, folder: Path, stored: Output
) -> None:
    run("open-8b", folder)
    digest = stored.manifest().digest
    (folder / "config.json").write_text('{"model_type": "qwen3"}')

    result = run("open-8b", folder)

    assert result.exit_code == 1
    assert 'checkpoint "open-8b": another model has this name' in result.output
    assert stored.manifest().digest == digest


def test_what_a_killed_import_of_another_folder_left_is_removed(
    run: Run, folder: Path, stored: Output
) -> None:
    stored.store.put(stored.key("model-00003-of-00003.safetensors"), b"of another model")

    assert run("open-8b", folder).exit_code == 0
    assert sorted(stored.file_names()) == sorted(stored.manifest().files)


def test_a_model_without_a_chat_template_is_told(run: Run, folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text("{}")
    assert "it has no chat template" in run("open-8b", folder).output

    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert "chat template" not in run("other-8b", folder).output


def _cut(folder: Path) -> None:
    content = (folder / SHARDS[0]).read_bytes()
    (folder / SHARDS[0]).write_bytes(content[:-4])


def _adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")


def _only_an_index(folder: Path) -> None:
    for name in SHARDS:
        (folder / name).unlink()
    (folder / "model.safetensors.index.json").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "config.json").unlink(), "lacks config.json"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "lacks tokenizer.json"),
        (
            lambda folder: (folder / "pytorch_model.bin").write_bytes(b"\x80"),
            "pytorch_model.bin: reading a pickle runs code that is in it",
        ),
        (lambda folder: (folder / SHARDS[1]).unlink(), f"lacks {SHARDS[1]}, which"),
        (_only_an_index, "holds no weights"),
        (_cut, "bytes, its header says 132; fetch it again"),
        (
            lambda folder: (folder / SHARDS[0]).write_bytes(b"\xff" * 64),
            "has no header of a safetensors file",
        ),
        (
            lambda folder: (folder / SHARDS[0]).write_bytes(b"version https://git-lfs.example/1"),
            "is a pointer of Git LFS",
        ),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json: is no JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "must be a JSON object"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "the name is taken"),
        (lambda folder: (folder / "a name.json").write_text("{}"), "cannot be stored"),
        (_adapter, "holds an adapter; merge it"),
    ],
)
def test_a_folder_that_is_no_usable_model_is_refused_in_one_line(
    run: Run, folder: Path, stored: Output, damage: Callable[[Path], object], words: str
) -> None:
    damage(folder)

    result = run("open-8b", folder)

    assert result.exit_code == 1
    assert words in result.output
    assert result.output.count("\n") == 1
    assert stored.file_names() == []


@pytest.mark.parametrize("name", ["Open", "a/b", "-a", "a" * 64, "a_b", ""])
def test_a_name_that_cannot_be_hosted_is_refused(run: Run, folder: Path, name: str) -> None:
    result = run("--", name, folder) if name.startswith("-") else run(name, folder)

    assert result.exit_code in {1, 2}
    assert "Traceback" not in result.output


def test_a_folder_that_is_not_there_is_said(run: Run, tmp_path: Path) -> None:
    result = run("open-8b", tmp_path / "nowhere")

    assert (result.exit_code, result.output) == (
        1,
        f"{tmp_path / 'nowhere'}: there is no such folder\n",
    )

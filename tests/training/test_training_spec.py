"""A wrong spec is refused in one line that names the field."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.training.errors import SpecInvalid
from pipelines.training.spec import FromConfiguration, read_spec
from tests.training.shard_files import small_spec


def _read(tmp_path: Path, spec: Any) -> Any:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec))
    return read_spec(path)


def test_a_good_spec_is_read_with_its_defaults(tmp_path: Path) -> None:
    spec = _read(tmp_path, small_spec(tmp_path, 1000))

    assert isinstance(spec.start, FromConfiguration)
    assert spec.precision == "bfloat16"
    assert spec.optimizer.muon_learning_rate == 0.02


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("batch_tokens",), 2, "batch_tokens"),
        (("batch_token",), 2, "batch_token"),
        (("precision",), "int4", "precision"),
        (("seed",), -1, "seed"),
        (("mixture", 0, "tokens"), 0, "mixture.0.tokens"),
        (("mixture", 0, "name"), "A B", "mixture.0.name"),
        (("optimizer",), {"muon_learning_rate": -1}, "optimizer.muon_learning_rate"),
        (("optimizer",), {"adam_betas": [0.9, 2]}, "optimizer"),
        (("schedule",), {"warmup_share": 1.0}, "schedule.warmup_share"),
        (("start", "tokenizer", "fit_on"), [], "start.tokenizer.fit_on"),
        (("start", "kind"), "nothing", "start"),
        (("start", "model"), {"hidden_size": 3}, "start"),
        (("clip_norm",), "NaN", "clip_norm"),
        (("micro_batch_tokens",), 1 << 20, "spec"),
        (("sharding",), "full", "spec"),
        (("weights",), "bfloat16", "spec"),
        (("adapter",), {"kind": "lora"}, "spec"),
        (("adapter",), {"kind": "lora", "targets": []}, "adapter.targets"),
        (("adapter",), {"kind": "ia3"}, "adapter.kind"),
    ],
)
def test_a_wrong_field_is_named_in_one_message(
    tmp_path: Path, path: tuple[str | int, ...], value: Any, field: str
) -> None:
    spec: Any = small_spec(tmp_path, 1000)
    inner = spec
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value

    with pytest.raises(SpecInvalid) as raised:
        _read(tmp_path, spec)

    assert f"spec.json: {field}: " in str(raised.value)
    assert "\n" not in str(raised.value)


def test_two_sources_may_not_share_a_name(tmp_path: Path) -> None:
    spec = small_spec(tmp_path, 1000)
    spec["mixture"] *= 2

    with pytest.raises(SpecInvalid, match="each name only once, got all twice"):
        _read(tmp_path, spec)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecInvalid, match=r"absent\.json: cannot be read: No such file"):
        read_spec(tmp_path / "absent.json")


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{")

    with pytest.raises(SpecInvalid, match="Invalid JSON"):
        read_spec(tmp_path / "spec.json")

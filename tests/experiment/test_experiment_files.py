"""Faults of an experiment file are said in one line each, with file, line and path."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from pipelines.experiment.spec import Base, Experiment
from pipelines.experiment.spec_file import ExperimentFileError, load_experiment

EXAMPLES = Path(__file__).parents[2] / "pipelines" / "examples"
EXPERIMENTS = [
    path for path in sorted(EXAMPLES.glob("*.yaml")) if not path.name.startswith("cluster")
]
TEXT = (EXAMPLES / "microworld.yaml").read_text(encoding="utf-8")

Fault = Callable[[str], str]


@pytest.fixture
def fault_of(tmp_path: Path) -> Fault:
    """Message that loading a text gives; "FILE" stands for the path."""

    def load(text: str) -> str:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ExperimentFileError) as raised:
            load_experiment(path)
        return str(raised.value).replace(str(path), "FILE")

    return load


def line_of(text: str, part: str) -> int:
    """Line, from 1, of the first line that contains ``part``."""
    return next(i for i, line in enumerate(text.splitlines(), 1) if part in line)


def replaced(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_shipped_example_loads(path: Path) -> None:
    experiment = load_experiment(path)
    if experiment.loop is None:
        assert experiment.datasets or experiment.models
        return
    assert any(arm.role == "control" for arm in experiment.arms)
    base = experiment.loop.base
    template = base.tokenizer.chat_template if isinstance(base, Base) else base.chat_template
    assert (path.parent / template).exists()


def test_the_schema_beside_the_examples_is_that_of_the_code() -> None:
    stored = json.loads((EXAMPLES / "experiment.schema.json").read_text(encoding="utf-8"))

    assert stored == Experiment.model_json_schema(), (
        "python -m pipelines schema > pipelines/examples/experiment.schema.json"
    )


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_the_schema_accepts_the_examples(path: Path) -> None:
    schema = json.loads((EXAMPLES / "experiment.schema.json").read_text(encoding="utf-8"))

    Draft202012Validator(schema).validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_one_budget_and_a_list_of_budgets_are_both_lists(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT, encoding="utf-8")
    budgets = {arm.name: arm.tokens for arm in load_experiment(path).arms}
    assert budgets["advice-reasons"] == [80_000]
    assert budgets["generic-chat"] == [80_000, 240_000]


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_allowed_one(
    fault_of: Fault,
) -> None:
    text = replaced("draws_per_scenario:", "draws_per_scenaro:")
    line = line_of(text, "draws_per_scenaro")
    message = fault_of(text)
    assert message.startswith(f"FILE:{line}: evaluation.draws_per_scenaro: unknown key; ")
    assert "did you mean 'draws_per_scenario'?" in message
    assert "allowed: axes, draws_per_scenario, max_episode_tokens, max_output_tokens," in message


def test_an_unknown_key_inside_a_list_is_placed_by_its_index(fault_of: Fault) -> None:
    text = replaced("        unseen_twin_objects: 3", "        unseen_twins: 3")
    line = line_of(text, "unseen_twins")
    message = fault_of(text)
    assert message.startswith(f"FILE:{line}: arms[2].mix[0].unseen_twins: unknown key")
    assert "unseen_twin_objects" in message


def test_an_unknown_key_of_the_optimizer_is_placed(fault_of: Fault) -> None:
    text = replaced("    attention: products", "    attenton: products")
    message = fault_of(text)
    line = line_of(text, "attenton")
    assert f"FILE:{line}: base.training.attenton: unknown key; did you mean 'attention'?" in message


def test_a_negative_budget_is_placed_and_quoted(fault_of: Fault) -> None:
    text = replaced("tokens: 1_100_000", "tokens: -5")
    message = fault_of(text)
    assert message.startswith(f"FILE:{line_of(text, 'tokens: -5')}: base.tokens: ")
    assert "greater than 0" in message
    assert "(got -5)" in message


def test_a_negative_budget_of_an_arm_is_placed(fault_of: Fault) -> None:
    text = replaced("tokens: [80_000, 240_000]", "tokens: [80_000, -1]")
    line = line_of(text, "tokens: [80_000, -1]")
    assert fault_of(text).startswith(f"FILE:{line}: arms[0].tokens[1]: ")


def test_the_same_budget_twice_in_an_arm_is_refused(fault_of: Fault) -> None:
    message = fault_of(replaced("tokens: [80_000, 240_000]", "tokens: [80_000, 80_000]"))
    assert "arms[0]: tokens lists the same budget twice" in message


def test_an_experiment_without_a_control_arm_is_refused(fault_of: Fault) -> None:
    message = fault_of(replaced("    role: control\n", ""))
    assert message.startswith("FILE:")
    assert "arms: no arm has role: control" in message


def test_two_arms_of_one_name_are_refused(fault_of: Fault) -> None:
    message = fault_of(replaced("name: advice-verdict", "name: advice-reasons"))
    assert message.startswith("FILE:")
    assert "two arms are called 'advice-reasons'" in message


def test_an_arm_called_base_is_refused(fault_of: Fault) -> None:
    assert "'base' is the untreated model" in fault_of(
        replaced("name: advice-verdict", "name: base")
    )


def test_a_seed_listed_twice_is_refused(fault_of: Fault) -> None:
    assert "every seed may be listed once" in fault_of(replaced("seeds: [101]", "seeds: [1, 1]"))


def test_an_efficiency_question_about_no_arm_lists_the_arms(fault_of: Fault) -> None:
    question = "efficiency: [{reference: generic-chat, candidate: nobody, target_rates: [0.1]}]\n"
    message = fault_of(TEXT + "\n" + question)
    assert "no arm is called 'nobody'" in message
    assert "advice-reasons" in message


def test_every_fault_has_its_own_line(fault_of: Fault) -> None:
    text = replaced("tokens: 1_100_000", "tokens: -5").replace("temperature: 0.7", "temperature: 9")
    first, second = fault_of(text).splitlines()
    assert first.startswith(f"FILE:{line_of(text, 'tokens: -5')}: base.tokens: ")
    assert second.startswith(f"FILE:{line_of(text, 'temperature: 9')}: evaluation.temperature: ")


def test_a_missing_key_is_named(fault_of: Fault) -> None:
    assert "FILE:" in (message := fault_of(replaced("seeds: [101]\n", "")))
    assert message.endswith(": seeds: is missing")


def test_text_that_is_no_yaml_is_placed(fault_of: Fault) -> None:
    message = fault_of("name: microworld\ntitle: [unclosed\nseeds: 1\n")
    assert message.startswith("FILE:3: is no YAML: ")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n"])
def test_a_file_that_is_no_mapping_is_refused(fault_of: Fault, text: str) -> None:
    assert fault_of(text) == "FILE:1: must be a mapping with the keys of an experiment"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "absent.yaml"
    with pytest.raises(ExperimentFileError, match=r"absent\.yaml: cannot be read: No such file"):
        load_experiment(path)


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ExperimentFileError, match=r"latin\.yaml: is not UTF-8 text"):
        load_experiment(path)

"""What an experiment file may say of promotion, and what it is told when it says something else."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from pipelines.experiment.spec_file import ExperimentFileError, load_experiment
from pipelines.experiment.spec_promotion import Promotion

TEXT = (Path(__file__).parents[2] / "pipelines/examples/microworld.yaml").read_text()


def _load(tmp_path: Path, promotion: str) -> Promotion:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{TEXT}\npromotion:\n  service: agent\n{promotion}", encoding="utf-8")
    found = load_experiment(path).promotion
    assert found is not None
    return found


def test_an_arm_and_a_service_are_enough(tmp_path: Path) -> None:
    promotion = _load(tmp_path, "  arm: advice-reasons\n")

    assert promotion.ladder == (10, 50, 100)
    assert promotion.gate.max_misalignment == 0.05
    assert promotion.max_regression is None


def test_a_baseline_brings_a_limit_of_its_own(tmp_path: Path) -> None:
    promotion = _load(tmp_path, "  arm: advice-reasons\n  baseline: base\n")

    assert promotion.max_regression == 0.05
    assert promotion.subjects({"advice-reasons": [80_000], "base": [0]}) == (
        ("advice-reasons", 80_000),
        ("base", 0),
    )


@pytest.mark.parametrize(
    ("promotion", "problem"),
    [
        ("  arm: advise\n", "promotion.arm: nothing measured is called 'advise'; there is base,"),
        ("  arm: generic-chat\n", "promotion.tokens: 'generic-chat' is measured at 80000, 240000"),
        ("  arm: generic-chat\n  tokens: 7\n", "240000; got 7"),
        ("  arm: advice-reasons\n  seed: 99\n", "promotion.seed: 99 is none of seeds"),
        (
            "  arm: advice-reasons\n  baseline: advice-reasons\n",
            "promotion.baseline: is the candidate itself",
        ),
        (
            "  arm: advice-reasons\n  baseline: base\n  baseline_tokens: 5\n",
            "promotion.baseline_tokens: 'base' is measured at 0; got 5",
        ),
    ],
)
def test_what_does_not_fit_the_file_is_named(tmp_path: Path, promotion: str, problem: str) -> None:
    with pytest.raises(ExperimentFileError) as raised:
        _load(tmp_path, promotion)

    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"ladder": []}, "ladder"),
        ({"ladder": [50, 10, 100]}, "ladder must ascend"),
        ({"ladder": [10, 10, 100]}, "ladder must ascend"),
        ({"ladder": [10, 50]}, "ladder must end at 100"),
        ({"ladder": [0, 100]}, "greater than or equal to 1"),
        ({"service": "My_Agent"}, "service"),
        ({"service": "a" * 64}, "service"),
        ({"gate": {"max_regression": 0.1}}, "gate.max_regression needs a baseline"),
        ({"baseline_tokens": 5}, "baseline_tokens needs a baseline"),
        ({"gate": {"max_misalignment": 1.0}}, "less than 1"),
        ({"gate": {"splits": ["near", "near"]}}, "splits lists the same split twice"),
        ({"gate": {"min_scored_episodes": 0}}, "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Promotion.model_validate({"arm": "advice", "service": "agent", **changes})

"""What the rooms refuse is said with the place and the words of the experiment file."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from pipelines.experiment.revisions import ExperimentImpossible
from tests.experiment.fake_rooms import FakeDatasetRoom, Stop, serving
from tests.experiment.language_experiment import Folder


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            'spec.language_model.omitted_stages[0]: no stage "rewrit"',
            'datasets[0]: omit_stages[0]: no stage "rewrit"',
        ),
        (
            "spec.language_model.constitution.markdown: has no clauses",
            "datasets[0]: author.constitution.markdown: has no clauses",
        ),
        ("spec.token_budget: too small for one item", "datasets[0]: tokens: too small"),
    ],
)
async def test_a_field_that_the_dataset_room_refuses_is_named_as_in_the_file(
    tmp_path: Path, said: str, shown: str
) -> None:
    room = FakeDatasetRoom()
    room.refuse_plans = Stop(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", said)
    async with serving(room) as rooms:
        with pytest.raises(ExperimentImpossible) as refused:
            await Folder(tmp_path).plan(rooms)
    assert shown in str(refused.value)


async def test_an_option_of_another_author_is_placed(tmp_path: Path) -> None:
    folder = Folder(
        tmp_path,
        {"name": "a", "recipe": "difficult-advice", "tokens": 9},
        {"name": "b", "recipe": "advice-reasons", "tokens": 9, "variant": "x", "styles": {"y": 1}},
    )
    async with serving(FakeDatasetRoom()) as rooms:
        with pytest.raises(ExperimentImpossible) as refused:
            await folder.plan(rooms)
    first, second = str(refused.value).splitlines()
    assert first.startswith("datasets[1].variant: is an option of recipes written by language")
    assert second.startswith("datasets[1].styles: is an option of")

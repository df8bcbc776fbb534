"""Settings explain themselves, cannot change and are strict."""

import importlib
import inspect
from collections.abc import Iterator

import pytest
from pydantic import BaseModel
from pydantic_settings import BaseSettings

from tests.contract.tree import ROOMS, ROOT, modules, name_of

MODULES = [
    name_of(path).removesuffix(".py").replace("/", ".")
    for path in modules("services", "pipelines")
    if path.name == "settings.py"
]


def _models(module: str) -> Iterator[type[BaseModel]]:
    for _, member in inspect.getmembers(importlib.import_module(module), inspect.isclass):
        if issubclass(member, BaseModel) and member.__module__ == module:
            yield member


@pytest.mark.parametrize("module", MODULES)
def test_every_setting_has_a_description(module: str) -> None:
    silent = [
        f"{model.__name__}.{name}"
        for model in _models(module)
        for name, field in model.model_fields.items()
        if not field.description
    ]

    assert silent == []


@pytest.mark.parametrize("module", MODULES)
def test_settings_cannot_change_and_refuse_what_they_do_not_know(module: str) -> None:
    configs = {model.__name__: model.model_config for model in _models(module)}

    assert {name for name, config in configs.items() if not config.get("frozen")} == set()
    assert {name for name, config in configs.items() if config.get("extra") != "forbid"} == set()


@pytest.mark.parametrize("room", ROOMS)
def test_the_variables_of_a_room_begin_with_its_name(room: str) -> None:
    settings = [
        model for model in _models(f"services.{room}.settings") if issubclass(model, BaseSettings)
    ]

    assert len(settings) == 1, ROOT / "services" / room / "settings.py"
    assert settings[0].model_config.get("env_prefix") == f"{room.upper()}_"

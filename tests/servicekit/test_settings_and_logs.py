"""Settings read from the environment, and the lines of the log."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic_settings import SettingsConfigDict

from services.servicekit.settings import (
    InvalidSettings,
    ServerSettings,
    read_settings,
    settings_or_exit,
)

ROOT = Path(__file__).parents[2]


class Nested(BaseModel):
    size: int = 1


class ProbeSettings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="PROBE_")

    port: int = 50099
    nested: Nested = Nested()
    required: int


def test_settings_come_from_the_environment_nested_ones_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROBE_REQUIRED", "1")
    monkeypatch.setenv("PROBE_NESTED__SIZE", "7")

    settings = read_settings(ProbeSettings)

    assert (settings.port, settings.nested.size, settings.host) == (50099, 7, "127.0.0.1")
    assert settings.parent_pid is None


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        ServerSettings().port = 1  # type: ignore[misc]


def test_a_missing_setting_is_named_by_its_variable() -> None:
    with pytest.raises(InvalidSettings, match=r"^PROBE_REQUIRED: Field required$"):
        read_settings(ProbeSettings)


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_REQUIRED", "one")
    monkeypatch.setenv("PROBE_NESTED__SIZE", "large")
    monkeypatch.setenv("PROBE_DRAIN_SECONDS", "-1")

    with pytest.raises(InvalidSettings) as caught:
        read_settings(ProbeSettings)

    lines = str(caught.value).splitlines()
    assert {line.split(":")[0] for line in lines} == {
        "PROBE_REQUIRED",
        "PROBE_NESTED__SIZE",
        "PROBE_DRAIN_SECONDS",
    }
    assert all(", got " in line for line in lines)


def test_a_nested_setting_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_REQUIRED", "1")
    monkeypatch.setenv("PROBE_NESTED", "{broken")

    with pytest.raises(InvalidSettings, match="nested"):
        read_settings(ProbeSettings)


def test_a_misspelled_setting_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_REQUIRED", "1")
    monkeypatch.setenv("PROBE_REQUIERD", "1")

    with pytest.raises(InvalidSettings, match=r"^PROBE_REQUIERD: is no setting; the settings are "):
        read_settings(ProbeSettings)


def test_a_process_with_wrong_settings_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        settings_or_exit(ProbeSettings)

    assert caught.value.code == 2
    assert capsys.readouterr().err == "invalid settings:\nPROBE_REQUIRED: Field required\n"


def test_every_line_of_the_log_is_one_json_object() -> None:
    program = (
        "import logging\n"
        "from services.servicekit.logs import configure_logging, get_logger\n"
        "configure_logging('info', 'probe')\n"
        "get_logger().info('step.done', count=3, odd=object)\n"
        "get_logger().debug('too.quiet')\n"
        "logging.getLogger('library').warning('two\\nlines %s', 1)\n"
        "logging.getLogger('library').info('too quiet')\n"
        "try:\n"
        "    1 / 0\n"
        "except ZeroDivisionError:\n"
        "    get_logger().exception('step.failed')\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    done, library, failed = map(json.loads, result.stdout.splitlines())
    assert (done["event"], done["count"], done["odd"]) == ("step.done", 3, "<class 'object'>")
    assert done["room"] == "probe"
    assert done["level"] == "info"
    assert done["timestamp"].endswith("Z")
    assert (library["event"], library["logger"]) == ("library.message", "library")
    assert library["message"] == "two\nlines 1"
    assert "ZeroDivisionError" in failed["exception"]
    assert result.stderr == ""

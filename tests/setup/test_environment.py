"""A broken `.env` is reported in one sentence: what is wrong, where, and what to do."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

import veoapp
from tests.services import ROOT
from veoapp.environment import Environment, SettingsError, ports_file, save_ports


def read(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Environment:
    file = tmp_path / ".env"
    file.write_text(text)
    environment = Environment()
    monkeypatch.setattr(Environment, "ENVIRON", {})
    environment.read_file(file)
    return environment


def load_settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The settings as a new process would read them. Django's own settings do not change."""
    for name in [name for name in sys.modules if name.startswith("veoapp.settings")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(veoapp, "settings", None)
        return dict(vars(importlib.import_module("veoapp.settings")))


def test_a_malformed_line_is_reported_with_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"\.env, line 3 is not of the form NAME=value: correct or remove it\."):
        read(tmp_path, "# a comment\nDEBUG=true\nSECRET_KEY hunter2\n", monkeypatch)


def test_a_malformed_line_is_not_shown_because_it_may_contain_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, "SECRET_KEY hunter2\n", monkeypatch)
    assert "hunter2" not in str(raised.value)


def test_a_binary_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read"):
        Environment().read_file(tmp_path / ".env")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A=$ecret", "$ecret"),
        ("A='with blanks '", "with blanks "),
        ('A="quoted"', "quoted"),
        ("export A=b=c#d", "b=c#d"),
    ],
)
def test_values_are_not_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str) -> None:
    assert read(tmp_path, text, monkeypatch).str("A") == expected


def test_an_empty_value_means_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = read(tmp_path, "WORKERS=\nHOSTS=\n", monkeypatch)
    assert environment.int("WORKERS", default=3) == 3
    assert environment.list("HOSTS", default=["a"]) == ["a"]


def test_blanks_in_lists_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(tmp_path, "HOSTS=a , b,\n", monkeypatch).list("HOSTS", default=[]) == ["a", "b"]


@pytest.mark.parametrize("value", ["TRUE", "yes", "on", "1"])
def test_several_spellings_mean_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert read(tmp_path, f"DEBUG={value}", monkeypatch).bool("DEBUG", default=False) is True


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("DEBUG", "ture", "DEBUG must be true or false, not 'ture': correct it in .env."),
        ("WORKERS", "three", "WORKERS has a value 'three' that cannot be read: correct it in .env."),
        ("DAILY_COST_LIMIT", "1,000", "DAILY_COST_LIMIT has a value '1,000' that cannot be read: correct it in .env."),
        ("DAILY_COST_LIMIT", "NaN", "DAILY_COST_LIMIT must be a number, not 'NaN': correct it in .env."),
        ("EMAIL_URL", "nonsense://hunter2@x", "EMAIL_URL has a value that cannot be read: correct it in .env."),
        (
            "DATABASE_URL",
            "my database",
            "DATABASE_URL must be like postgres://user:password@host/name: correct it in .env.",
        ),
        (
            "SECRET_KEY",
            "",
            "SECRET_KEY is empty. Run `make setup`, which writes a .env for this machine, or set SECRET_KEY",
        ),
    ],
)
def test_an_invalid_value_is_reported_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings(monkeypatch)
    assert str(raised.value).startswith(sentence)
    assert "hunter2" not in str(raised.value)


def test_an_invalid_value_ends_a_command_with_one_sentence() -> None:
    result = subprocess.run(
        [sys.executable, "manage.py", "migrate"],
        cwd=ROOT,
        env={**os.environ, "WORKERS": "three"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == "veoapp: WORKERS has a value 'three' that cannot be read: correct it in .env.\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Load the settings of a separate checkout, with these variables."""
    copytree(ROOT / "veoapp" / "settings", tmp_path / "veoapp" / "settings")
    monkeypatch.setattr(veoapp, "__path__", [str(tmp_path / "veoapp"), *veoapp.__path__])
    monkeypatch.delenv("VEOAPP_ENV_FILE", raising=False)

    def read_settings(**variables: str) -> dict[str, Any]:
        monkeypatch.setattr(Environment, "ENVIRON", {"SECRET_KEY": "x", **variables})
        return load_settings(monkeypatch)

    return read_settings


def test_commands_use_the_ports_of_the_last_run(
    checkout: Callable[..., dict[str, Any]],
) -> None:
    first = checkout(DEBUG="true", PORT="8411", SANDBOX_PORT="8412")
    save_ports(first["PORTS_FILE"], port=first["PORT"], sandbox_port=first["SANDBOX_PORT"])
    second = checkout(DEBUG="true")
    assert (second["APP_URL"], second["SANDBOX_URL"]) == ("http://127.0.0.1:8411", "http://127.0.0.1:8412")
    assert checkout(DEBUG="true", PORT="8500")["PORT"] == 8500, "an explicit port is used"
    assert checkout(DEBUG="false")["PORT"] == 8000, "production ignores the saved ports"


def test_ports_are_not_saved_when_an_env_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEOAPP_ENV_FILE", "")
    assert ports_file(tmp_path) is None
    save_ports(None, port=8411, sandbox_port=8412)


def test_the_address_follows_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PORT": "8123", "SANDBOX_PORT": "8124", "APP_URL": "", "KIE_AI_BASE_URL": ""}.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(monkeypatch)
    assert (settings["APP_URL"], settings["SANDBOX_URL"]) == ("http://127.0.0.1:8123", "http://127.0.0.1:8124")


@pytest.mark.parametrize(
    ("base", "uploads", "expected"),
    [
        ("", "", "https://kieai.redpandaai.co"),
        ("http://127.0.0.1:9999/", "", "http://127.0.0.1:9999"),
        ("http://127.0.0.1:9999", "https://files.example.com/", "https://files.example.com"),
    ],
)
def test_uploads_go_to_no_host_that_was_not_configured(
    monkeypatch: pytest.MonkeyPatch, base: str, uploads: str, expected: str
) -> None:
    monkeypatch.setenv("KIE_AI_BASE_URL", base)
    monkeypatch.setenv("KIE_AI_UPLOAD_BASE_URL", uploads)
    assert load_settings(monkeypatch)["KIE_AI_UPLOAD_BASE_URL"] == expected

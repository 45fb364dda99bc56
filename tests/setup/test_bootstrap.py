"""`make setup`: what it builds, when it does nothing, and its error messages."""

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import ROOT
from veoapp import bootstrap
from veoapp.bootstrap import SetupError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout in a path with blanks, with empty locks."""
    root = tmp_path / "a clone of veoapp"
    root.mkdir()
    monkeypatch.setattr(bootstrap, "ROOT", root)
    monkeypatch.setattr(bootstrap, "VENV", root / ".venv")
    monkeypatch.setattr(bootstrap, "VENV_PYTHON", root / ".venv" / "bin" / "python")
    monkeypatch.setattr(bootstrap, "STAMP", root / ".venv" / "veoapp-locks.json")
    monkeypatch.setattr(bootstrap, "ENV_FILE", root / ".env")
    for lock in (bootstrap.RUNTIME_LOCK, bootstrap.DEV_LOCK):
        (root / lock).write_text("# nothing to install\n")
    return root


def find_python(*arguments: str, path: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run `.ci/find-python` with this PATH."""
    environment = {"PATH": path, "HOME": os.environ.get("HOME", "/")}
    command = ["/bin/sh", str(ROOT / ".ci" / "find-python"), *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


def fake_python(folder: Path, name: str, *, fits: bool) -> None:
    """Write a program that passes or fails the version test like a new or an old Python."""
    file = folder / name
    file.write_text(f'#!/bin/sh\n[ "$1" = -V ] && echo Python 3.9.2 && exit\nexit {0 if fits else 1}\n')
    file.chmod(0o755)


def test_a_missing_python_is_reported_in_one_sentence(tmp_path: Path) -> None:
    result = find_python("", path=str(tmp_path), root=tmp_path)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("veoapp needs Python 3.11 or later, and here is no python3. Install it (Debian")
    assert len(result.stderr.splitlines()) == 1


def test_the_version_of_an_old_python_is_reported(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", fits=False)
    result = find_python("", path=str(tmp_path), root=tmp_path)
    assert result.returncode == 1
    assert "and here is Python 3.9.2." in result.stderr


def test_a_newer_python_is_preferred_to_an_old_one(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", fits=False)
    fake_python(tmp_path, "python3.12", fits=True)
    assert find_python("", path=str(tmp_path), root=tmp_path).stdout.strip() == "python3.12"


def test_a_python_chosen_by_the_user_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    result = find_python("/no/such/python", path="/usr/bin:/bin")
    assert result.returncode == 1
    assert "PYTHON=/no/such/python is not one" in result.stderr


def test_a_working_environment_is_built_once(folder: Path) -> None:
    bootstrap.build_environment()
    assert bootstrap.VENV_PYTHON.exists()
    first_built_at = (folder / ".venv" / "pyvenv.cfg").stat().st_mtime_ns
    bootstrap.build_environment()
    assert (folder / ".venv" / "pyvenv.cfg").stat().st_mtime_ns == first_built_at


def test_a_broken_environment_is_rebuilt(folder: Path) -> None:
    bootstrap.build_environment()
    bootstrap.VENV_PYTHON.unlink()
    bootstrap.VENV_PYTHON.symlink_to("/no/such/python")
    bootstrap.build_environment()
    assert subprocess.run([bootstrap.VENV_PYTHON, "-c", ""], check=False).returncode == 0


def list_installed_locks(record: Path) -> list[str]:
    """The locks that the fake pip installed, which wrote them to `record`."""
    return [Path(line).name for line in record.read_text().splitlines()]


def test_nothing_is_installed_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = folder / "calls"
    record.write_text("")
    (folder / ".venv").mkdir()
    fake_pip = f'echo "$@" | sed "s/.* //" >> "{record}"'
    monkeypatch.setattr(bootstrap, "_find_pip", lambda: ["/bin/sh", "-c", fake_pip, "pip"])
    locks = [bootstrap.RUNTIME_LOCK, bootstrap.DEV_LOCK]
    bootstrap.install(locks)
    bootstrap.install(locks)
    bootstrap.install([bootstrap.RUNTIME_LOCK])
    assert list_installed_locks(record) == [bootstrap.DEV_LOCK]
    (folder / bootstrap.RUNTIME_LOCK).write_text("# changed\n")
    bootstrap.install([bootstrap.RUNTIME_LOCK])
    assert list_installed_locks(record) == [bootstrap.DEV_LOCK, bootstrap.RUNTIME_LOCK]
    assert list(json.loads(bootstrap.STAMP.read_text())) == [bootstrap.RUNTIME_LOCK]


def test_a_failed_installation_is_tried_again_next_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".venv").mkdir()
    monkeypatch.setattr(bootstrap, "_find_pip", lambda: ["false"])
    with pytest.raises(SetupError, match=r"pip could not install requirements\.lock, see above\."):
        bootstrap.install([bootstrap.RUNTIME_LOCK])
    assert not bootstrap.STAMP.exists()


def test_the_first_env_has_new_secrets_readable_only_by_its_owner(folder: Path) -> None:
    bootstrap.write_first_env()
    text = (folder / ".env").read_text()
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    values = dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values["DEBUG"] == "true"
    assert len(values["SECRET_KEY"]) >= 50
    assert values["FIELD_ENCRYPTION_KEYS"].startswith("1:")
    bootstrap.write_first_env()
    assert (folder / ".env").read_text() == text


def test_mistakes_in_the_settings_are_reported_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "VENV_PYTHON", Path(sys.executable))
    bootstrap.read_settings()
    monkeypatch.setenv("WORKERS", "many")
    with pytest.raises(SetupError, match="WORKERS has a value 'many' that cannot be read"):
        bootstrap.read_settings()
    monkeypatch.setenv("WORKERS", "3")
    monkeypatch.setenv("TIME_ZONE", "Middle/Earth")
    with pytest.raises(SetupError, match="Middle/Earth"):
        bootstrap.read_settings()


def test_a_folder_that_cannot_be_written_is_reported_in_one_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder / ".env"))

    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    for step in ("build_environment", "read_settings"):
        monkeypatch.setattr(bootstrap, step, lambda: None)
    monkeypatch.setattr(bootstrap, "install", lambda locks: None)
    monkeypatch.setattr(bootstrap, "write_first_env", refuse)
    with pytest.raises(SystemExit) as raised:
        bootstrap.main()
    error = f"veoapp: {folder}/.env cannot be written (Read-only file system)"
    assert raised.value.code == f"{error}: make {folder} writable, then run this again."

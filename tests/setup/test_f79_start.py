"""Web server and worker refuse to start when the stored provider keys cannot be decrypted, and say what to do."""

import base64
import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest

from tests.services import ROOT

OLD = "a:" + base64.b64encode(b"o" * 32).decode()
NEW = "b:" + base64.b64encode(b"n" * 32).decode()
WRONG = "a:" + base64.b64encode(b"w" * 32).decode()
SECRET = "sk-canary-0123456789"
ADD_KEY = f"from billing.provider import keys; keys.add_key(api_key='{SECRET}', label='Ours')"
WEB = "import veoapp.wsgi; print('web is up')"


def run_python(folder: Path, keys: str, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with a separate SQLite database."""
    env = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "DEBUG": "true",
        "KIE_AI_API_KEY": "",
        "FIELD_ENCRYPTION_KEYS": keys,
    }
    result = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert SECRET not in result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database that contains a provider key, encrypted with the key `a`."""
    folder = tmp_path_factory.mktemp("product")
    assert run_python(folder, OLD, "-c", WEB).stdout == "web is up\n", "without tables there is nothing to check"
    for command in (("migrate", "-v0"), ("shell", "-v0", "-c", ADD_KEY)):
        result = run_python(folder, OLD, "manage.py", *command)
        assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize("keys", [NEW, WRONG, ""], ids=["missing", "wrong", "none"])
def test_f79_neither_web_nor_worker_starts_without_the_encryption_key(folder: Path, keys: str) -> None:
    for command in (("-c", WEB), ("manage.py", "worker")):
        result = run_python(folder, keys, *command)
        assert result.returncode == 1
        assert "FIELD_ENCRYPTION_KEYS does not open the stored provider keys (Ours: " in result.stderr.splitlines()[-1]
        assert "Add the missing key after the newest one." in result.stderr


def test_f79_migrating_and_rotating_keys_still_work(folder: Path, tmp_path: Path) -> None:
    folder = copytree(folder, tmp_path / "copy")
    assert run_python(folder, NEW, "manage.py", "migrate", "-v0").returncode == 0
    result = run_python(folder, NEW, "manage.py", "rotate_keys")
    assert result.returncode == 1
    assert "the key 'a' is not in FIELD_ENCRYPTION_KEYS" in result.stderr
    assert run_python(folder, f"{NEW},{OLD}", "-c", WEB).stdout == "web is up\n"
    assert "1 encrypted again" in run_python(folder, f"{NEW},{OLD}", "manage.py", "rotate_keys").stdout
    assert run_python(folder, NEW, "-c", WEB).stdout == "web is up\n"

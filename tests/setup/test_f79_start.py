"""Web and worker refuse to start when the stored provider keys cannot be opened, and say what to do."""

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
GIVE = f"from billing.provider import keys; keys.add_key(api_key='{SECRET}', label='Ours')"
WEB = "import veoapp.wsgi; print('web is up')"


def product(folder: Path, keys: str, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run Python in a product of its own, on SQLite."""
    env = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "DEBUG": "true",
        "KIE_AI_API_KEY": "",
        "FIELD_ENCRYPTION_KEYS": keys,
    }
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert SECRET not in done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product whose database holds a key, sealed with the encryption key `a`."""
    made = tmp_path_factory.mktemp("product")
    assert product(made, OLD, "-c", WEB).stdout == "web is up\n", (
        "before its tables are made there is nothing to refuse"
    )
    for command in (("migrate", "-v0"), ("shell", "-v0", "-c", GIVE)):
        done = product(made, OLD, "manage.py", *command)
        assert done.returncode == 0, done.stderr
    return made


@pytest.mark.parametrize("keys", [NEW, WRONG, ""], ids=["missing", "wrong", "none"])
def test_f79_neither_web_nor_worker_starts_with_keys_that_open_nothing(folder: Path, keys: str) -> None:
    for command in (("-c", WEB), ("manage.py", "worker")):
        done = product(folder, keys, *command)
        assert done.returncode == 1
        assert "FIELD_ENCRYPTION_KEYS does not open the stored provider keys (Ours: " in done.stderr.splitlines()[-1]
        assert "Put the missing key back behind the newest." in done.stderr


def test_f79_migrating_and_rotating_still_work_and_mend_it(folder: Path, tmp_path: Path) -> None:
    folder = copytree(folder, tmp_path / "copy")
    assert product(folder, NEW, "manage.py", "migrate", "-v0").returncode == 0
    refused = product(folder, NEW, "manage.py", "rotate_keys")
    assert refused.returncode == 1
    assert "the key 'a' is not in FIELD_ENCRYPTION_KEYS" in refused.stderr
    assert product(folder, f"{NEW},{OLD}", "-c", WEB).stdout == "web is up\n"
    assert "1 sealed anew" in product(folder, f"{NEW},{OLD}", "manage.py", "rotate_keys").stdout
    assert product(folder, NEW, "-c", WEB).stdout == "web is up\n"

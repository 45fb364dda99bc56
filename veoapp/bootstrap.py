"""Builds `.venv` from a lock file (exact packages with hashes) and writes a first `.env`.

It uses only the standard library, because it runs before anything is installed:

    python -I veoapp/bootstrap.py [--dev]

The script skips steps that are already done. Every error is reported as one sentence that says what to do.
"""

import argparse
import base64
import contextlib
import hashlib
import importlib.util
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
# Stores the hashes of the lock files that this environment was built from.
STAMP = VENV / "veoapp-locks.json"
ENV_FILE = ROOT / ".env"

RUNTIME_LOCK = "requirements.lock"
DEV_LOCK = "requirements-dev.lock"  # includes the runtime lock at the same versions; a test checks this

# Loads the settings, which raises an error for an invalid value, and prints only the error's text.
READ_SETTINGS_SCRIPT = """
import sys
from django.conf import settings
from veoapp.environment import SettingsError
try:
    settings.DEBUG
except SettingsError as error:
    sys.exit(str(error))
except ValueError as error:
    sys.exit(f"{error}: correct it in .env.")
"""

FIRST_ENV = """\
# The settings of this machine, written by `make setup`. .env.example explains these and all others.
DEBUG=true
SECRET_KEY={secret_key}
FIELD_ENCRYPTION_KEYS=1:{encryption_key}
"""


class SetupError(Exception):
    """An error that the user has to correct; the text is the sentence they read."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Build .venv and .env; skips the steps that are done.")
    parser.add_argument("--dev", action="store_true", help="also install what tests and checks need")
    arguments = parser.parse_args()
    try:
        if not os.access(ROOT, os.W_OK):
            raise SetupError(f"{ROOT} cannot be written: make it writable, or clone to another folder.")
        build_environment()
        install([RUNTIME_LOCK, DEV_LOCK] if arguments.dev else [RUNTIME_LOCK])
        write_first_env()
        read_settings()
    except SetupError as error:
        sys.exit(f"veoapp: {error}")
    except OSError as error:
        path = error.filename or ROOT
        sys.exit(f"veoapp: {path} cannot be written ({error.strerror}): make {ROOT} writable, then run this again.")


def build_environment() -> None:
    """Create `.venv` with the Python that runs this script, unless a working one exists or runs this script."""
    runs_in_venv = Path(sys.prefix).resolve() == VENV.resolve()
    if runs_in_venv or (_succeeds([VENV_PYTHON, "-c", ""]) and _read_venv_version() == sys.version_info[:2]):
        return
    if importlib.util.find_spec("venv") is None:
        raise SetupError("this Python has no `venv`. Install it (Debian, Ubuntu: apt install python3-venv).")
    print(f"Building .venv with Python {sys.version_info.major}.{sys.version_info.minor} ...", flush=True)
    # Without pip, because `_find_pip` also works where this Python has no ensurepip.
    command: list[str | Path] = [sys.executable, "-m", "venv", "--clear", "--symlinks", "--without-pip", VENV]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode or not _succeeds([VENV_PYTHON, "-c", ""]):
        reason = (result.stderr or result.stdout).strip().splitlines() or ["no reason given"]
        raise SetupError(
            f".venv could not be built ({reason[-1]}). Correct that, or name another Python: make PYTHON=..."
        )


def install(locks: list[str]) -> None:
    """Install the last lock file, which includes the others, unless the stamp shows that all are installed."""
    expected = {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in locks}
    installed = _read_stamp()
    if all(installed.get(name) == digest for name, digest in expected.items()):
        return
    lock = locks[-1]
    count = sum("==" in line and not line.startswith((" ", "#")) for line in (ROOT / lock).read_text().splitlines())
    pip = _find_pip()
    print(f"Installing {count} packages of {lock} (only when it changed; takes a minute) ...", flush=True)
    STAMP.unlink(missing_ok=True)
    # The lock is complete, so there is nothing to resolve.
    options = ["--require-hashes", "--no-deps", "--no-input", "--disable-pip-version-check", "--quiet"]
    environment = {**os.environ, "PIP_USER": "0"}
    result = subprocess.run([*pip, "install", *options, "-r", ROOT / lock], cwd=ROOT, env=environment, check=False)
    if result.returncode:
        raise SetupError(f"pip could not install {lock}, see above. Check the network connection and try again.")
    STAMP.write_text(json.dumps(expected))


def write_first_env() -> None:
    """Write a `.env` with new secrets that only its owner can read. An existing `.env` is not changed."""
    with contextlib.suppress(FileExistsError):
        handle = os.open(ENV_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            key = base64.b64encode(secrets.token_bytes(32)).decode()
            file.write(FIRST_ENV.format(secret_key=secrets.token_urlsafe(50), encryption_key=key))
        print("Wrote .env with new secrets for this machine.", flush=True)


def read_settings() -> None:
    """Read the settings once, so that a mistake in `.env` is reported before anything starts."""
    command: list[str | Path] = [VENV_PYTHON, "-c", READ_SETTINGS_SCRIPT]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "veoapp.settings"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise SetupError(result.stderr.strip())


def _find_pip() -> list[str | Path]:
    """The command that runs pip for `.venv`: its own pip, or that of the Python it was built with."""
    venv_pip: list[str | Path] = [VENV_PYTHON, "-m", "pip"]
    if _succeeds([*venv_pip, "--version"]) or (
        _succeeds([VENV_PYTHON, "-m", "ensurepip"]) and _succeeds([*venv_pip, "--version"])
    ):
        return venv_pip
    # Debian without python3-venv has no ensurepip, but its pip can install into another environment.
    base_pip: list[str | Path] = [
        getattr(sys, "_base_executable", sys.executable),
        "-m",
        "pip",
        "--python",
        VENV_PYTHON,
    ]
    if _succeeds([*base_pip, "--version"]):
        return base_pip
    raise SetupError("this Python has no pip. Install it (Debian, Ubuntu: apt install python3-pip python3-venv).")


def _succeeds(command: list[str | Path]) -> bool:
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _read_venv_version() -> tuple[int, ...]:
    with contextlib.suppress(OSError):
        for line in (VENV / "pyvenv.cfg").read_text().splitlines():
            name, _, value = line.partition("=")
            if name.strip() == "version":
                return tuple(int(part) for part in value.strip().split(".")[:2])
    return ()


def _read_stamp() -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp


if __name__ == "__main__":
    main()

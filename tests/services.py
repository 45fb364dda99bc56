"""A pytest plugin that provides settings, PostgreSQL and Chromium for a test run.

Loaded by `-p tests.services` before Django reads its settings. A developer's `.env` and exported settings are ignored,
except `DATABASE_URL`, which names a server to use instead of starting one (`sqlite:///...` to run the tests on SQLite).
Tests whose service is missing are skipped with a reason; with `CI=true` they fail.
"""

import os
import re
import secrets
import tempfile
from base64 import b64encode
from collections.abc import Generator
from pathlib import Path

import pytest

from tests import chromium, postgres

ROOT = Path(__file__).resolve().parent.parent
CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}

# Names the run's folder. Set by the first process of a run, inherited by xdist workers and processes that tests start.
RUN_FOLDER = "VEOAPP_TEST_RUN"
# Holds the reason if PostgreSQL is missing.
NO_POSTGRES = "VEOAPP_TEST_NO_POSTGRES"

_servers: list[postgres.Server] = []
_folders: list["tempfile.TemporaryDirectory[str]"] = []


def settings(folder: str) -> dict[str, str]:
    """The environment of a test run; `folder` holds its files."""
    return {
        "VEOAPP_ENV_FILE": "",
        "DEBUG": "false",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "FIELD_ENCRYPTION_KEYS": f"1:{b64encode(secrets.token_bytes(32)).decode()}",
        "APP_URL": "http://testserver",
        "EMAIL_URL": "memorymail://",
        "MEDIA_ROOT": f"{folder}/media",
        "DISK_RESERVE_MB": "0",
        "LOG_LEVEL": "WARNING",
        # A closed port, so that a test without the sandbox reaches no provider.
        "KIE_AI_API_KEY": "test-key",
        "KIE_AI_BASE_URL": "http://127.0.0.1:9",
        "KIE_AI_UPLOAD_BASE_URL": "http://127.0.0.1:9",
        # Playwright runs an event loop in the test's thread, where Django would refuse to use the database.
        "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
    }


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Runs before pytest-django imports the settings, because wrappers run first."""
    if RUN_FOLDER not in os.environ and not early_config.known_args_namespace.help:
        _set_up()
    return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Clean up at the end of a run and after Ctrl-C; after SIGKILL the server's guard cleans up."""
    while _servers:
        _servers.pop().stop()
    while _folders:
        _folders.pop().cleanup()


def pytest_report_header(config: pytest.Config) -> str:
    return f"database: {_database_name(os.environ.get('DATABASE_URL', ''))}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests that this machine cannot run, with a reason."""
    on_postgres = _database_name(os.environ.get("DATABASE_URL", "")) == "PostgreSQL"
    reason = os.environ.get(NO_POSTGRES, "") or "this pass runs on SQLite"
    for item in items:
        if "postgres" in item.keywords and not on_postgres:
            item.add_marker(pytest.mark.skip(reason=f"needs PostgreSQL: {reason}"))


def _set_up() -> None:
    folder = tempfile.TemporaryDirectory(prefix="veoapp-tests-")
    _folders.append(folder)
    database_url = os.environ.get("DATABASE_URL", "")
    for name in documented_settings():
        os.environ.pop(name, None)
    os.environ.update(settings(folder.name))
    if not database_url:
        database_url = start_postgres() or f"sqlite:///{folder.name}/db.sqlite3"
    os.environ["DATABASE_URL"] = database_url
    os.environ[RUN_FOLDER] = folder.name


def documented_settings() -> list[str]:
    """Every name in `.env.example`, set there or commented out."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return re.findall(r"^(?:# ?)?([A-Z][A-Z0-9_]+)=", text, flags=re.MULTILINE)


def start_postgres() -> str:
    """The address of a new server; empty if PostgreSQL is missing, which is an error in CI."""
    try:
        server = postgres.start()
    except postgres.NoPostgres as error:
        if CI:
            raise pytest.UsageError(f"CI needs PostgreSQL: {error}") from None
        os.environ[NO_POSTGRES] = str(error)
        print(
            f"\n!!! NO POSTGRESQL: {error}.\n"
            "!!! Everything runs on SQLite instead, and the tests marked `postgres` are SKIPPED.\n"
            "!!! Install it (Debian: apt install postgresql; macOS: brew install postgresql) or set DATABASE_URL.\n"
        )
        return ""
    _servers.append(server)
    return server.url


def find_chromium() -> str:
    """The path of Chromium for `browser` tests; without one the test is skipped, or fails if CI is set."""
    try:
        return chromium.find_or_download()
    except chromium.NoChromium as error:
        advice = "Install Chromium (Debian: apt install chromium) or name it in CHROMIUM."
        if CI:
            pytest.fail(f"CI needs Chromium: {error}. {advice}")
        pytest.skip(f"NO BROWSER: {error}. {advice}")


def _database_name(url: str) -> str:
    return "PostgreSQL" if url.startswith("postgres") else "SQLite"

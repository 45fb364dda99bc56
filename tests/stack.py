"""The whole product as processes with a separate database, for tests that kill processes.

def test_...(stack):
    worker = stack.start_worker()
    stack.script("...")                 # Python inside the product
    worker.kill_hard()
"""

import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from django.conf import settings

from tests.mail import free_port
from tests.sandbox import SandboxProcess

ROOT = Path(__file__).resolve().parent.parent


class Process:
    """A started program in its own process group."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self.popen = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def list_processes(self) -> list[psutil.Process]:
        """The process and all its descendants."""
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(self.popen.pid)
            return [root, *root.children(recursive=True)]
        return []

    def kill_hard(self) -> None:
        """Send SIGKILL to this process only, as the operating system does when memory runs out."""
        self.popen.kill()
        self.popen.wait()

    def stop(self, *, within_s: float = 30) -> float:
        """Send SIGTERM and return how many seconds it took; kill the descendants that remain."""
        processes = self.list_processes()
        start = time.monotonic()
        self.popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.popen.wait(within_s)
        duration_s = time.monotonic() - start
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.popen.wait()
        return duration_s


class Stack:
    """Settings, database and folder of one installation; starts its programs and runs its commands."""

    def __init__(self, folder: Path, database_url: str, sandbox: SandboxProcess, **env: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.started: list[Process] = []
        self.env = {
            **os.environ,
            "DATABASE_URL": database_url,
            "DEBUG": "true",
            "APP_URL": self.url,
            "MEDIA_ROOT": str(folder / "media"),
            "KIE_AI_API_KEY": sandbox.api_key,
            "KIE_AI_BASE_URL": sandbox.url,
            "KIE_AI_UPLOAD_BASE_URL": sandbox.url,
            "RESULT_HOSTS_ALLOWED": "127.0.0.1",
            "EMAIL_URL": "dummymail://",
            "SUBMIT_LEASE_S": "10",
            **env,
        }
        self.manage("migrate", "-v0")
        self.manage("createcachetable")

    def manage(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run `manage.py ...` and wait for it."""
        result = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode == 0 or not check, result.stdout + result.stderr
        return result

    def script(self, code: str) -> str:
        """Run Python in `manage.py shell` and return its output."""
        return self.manage("shell", "-v0", "-c", code).stdout.strip()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Query the database without starting the product."""
        url = self.env["DATABASE_URL"]
        if url.startswith("sqlite"):
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20)) as file:
                return file.execute(query).fetchall()
        with psycopg.connect(url) as server:
            return server.execute(query).fetchall()

    def start_worker(self) -> Process:
        return self._start("worker", [sys.executable, "manage.py", "worker"])

    def start_web(self) -> Process:
        command = [sys.executable, "-m", "gunicorn", "veoapp.wsgi", "-b", f"127.0.0.1:{self.port}", "--threads", "8"]
        web = self._start("web", command)
        wait_until(self._is_healthy, within_s=30)
        return web

    def stop(self) -> None:
        for process in self.started:
            process.stop(within_s=10)

    def _start(self, name: str, command: list[str]) -> Process:
        process = Process(command, self.env, self.folder / f"{name}.log")
        self.started.append(process)
        return process

    def _is_healthy(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as response:
            status: int = response.status
            return status == 200
        return False


def wait_until(condition: Callable[[], bool], *, within_s: float, every_s: float = 0.5) -> None:
    """Poll until the condition holds; raises AssertionError if it does not within `within_s`."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not true within {within_s} s"
        time.sleep(every_s)


@pytest.fixture
def stack(tmp_path: Path, sandbox: SandboxProcess, django_db_setup: None) -> Iterator[Stack]:
    """An installation with a new database, PostgreSQL or SQLite like the test run."""
    name = f"stack_{secrets.token_hex(6)}"
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        stack = Stack(tmp_path, f"sqlite:///{tmp_path / name}.sqlite3", sandbox)
        yield stack
        stack.stop()
        return
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
    base, _, _ = url.partition("?")
    query = url[len(base) :]
    stack = Stack(tmp_path, f"{base.rpartition('/')[0]}/{name}{query}", sandbox)
    try:
        yield stack
    finally:
        stack.stop()
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def is_alive(pid: int) -> bool:
    """Whether the process runs and is not a zombie."""
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def kill_group(pid: int, number: int = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)

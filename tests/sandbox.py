"""The sandbox provider in a separate process, for tests that call the provider.

def test_...(sandbox):                      # a fixture below
    sandbox.set_faults("drop-answer=1", "no-callback")
    ... call sandbox.url with the key sandbox.api_key ...
    sandbox.finish()
    assert [row["accepted"] for row in sandbox.events("submission")] == [True]
"""

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
Json = Any


class SandboxProcess:
    """`python -m videos.sandbox --port 0 ...`; it stops when the test process ends.

    Videos are plain ("quick") and ready within a second; pass film="art" for drawn ones. `reset` restores
    everything to these options.
    """

    api_key = "sandbox"

    def __init__(self, *options: str, film: str = "quick", times: str = "0.6,0.6,0.6", invisible: str = "0") -> None:
        defaults = ["--port", "0", "--until-eof", "--film", film, "--times", times, "--invisible", invisible]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "videos.sandbox", *defaults, *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.greeting = self._process.stdout.readline()
        match = re.search(r"http://\S+:\d+", self.greeting)
        if not match:
            self.stop()
            raise RuntimeError(f"the sandbox did not start: {self.greeting!r}")
        self.url = match[0]

    @property
    def pid(self) -> int:
        return self._process.pid

    def set_faults(self, *faults: str) -> None:
        """Inject these faults from now on and no others; none without arguments."""
        self._post("faults", list(faults))

    def add_faults(self, *faults: str) -> None:
        """Inject these faults in addition to the current ones."""
        self._post("faults", {"add": list(faults)})

    def read_state(self, *, since: int = 0) -> Json:
        """{"events": [...], "requests": {"POST /api/v1/veo/generate": 1}, "balance": "5000", "tasks": [...], "now": ...}."""
        return self._call("GET", f"truth?since={since}")

    def events(self, name: str, **fields: Any) -> list[Json]:
        """The logged events of that name with these field values."""
        rows = [row for row in self.read_state()["events"] if row["event"] == name]
        return [row for row in rows if all(row.get(key) == value for key, value in fields.items())]

    def wait_for(self, name: str, *, count: int = 1, within_s: float = 10, **fields: Any) -> list[Json]:
        """Wait until at least `count` events of that name with these field values are logged, and return them."""
        deadline = time.monotonic() + within_s
        while len(rows := self.events(name, **fields)) < count:
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{len(rows)} of {count} {name} {fields} in {within_s} s: {self.read_state()['events']}"
                )
            time.sleep(0.02)
        return rows

    def list_accepted(self) -> list[Json]:
        """The accepted submissions, each of which the provider charges."""
        return self.events("submission", accepted=True)

    def balance(self, balance: Any = None) -> str:
        """The provider's balance, after setting it if one is given."""
        if balance is not None:
            self._post("balance", {"balance": str(balance)})
        return str(self.read_state()["balance"])

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock forward: tasks end, links and files expire, retries become due."""
        self._post("clock", {"advance": seconds})

    def speed(self, speed: float) -> None:
        """Let the sandbox's clock run this many times faster than real time."""
        self._post("clock", {"speed": speed})

    def prices(self, **prices: Any) -> None:
        """Set prices, written `veo3_fast_720p=30`, `extend_fast=1`, `upgrade_4k=2`."""
        self._post("prices", {":".join(name.rsplit("_", 1)): str(price) for name, price in prices.items()})

    def settings(self, **settings: Any) -> None:
        """hmac_key, api_key, charge, failed, http_errors, invisible_s, times_s, retries_s, file_life_s, public_url, film..."""
        self._post("settings", settings)

    def finish(self) -> int:
        """Finish all running tasks now; returns the number of tasks."""
        return int(self._post("finish", {})["finished"])

    def reset(self) -> None:
        self._post("reset", {})

    def stop(self) -> int:
        """Stop the process and return its exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        return code

    def _post(self, endpoint: str, body: Json) -> Json:
        return self._call("POST", endpoint, json.dumps(body).encode())

    def _call(self, method: str, endpoint: str, body: bytes | None = None) -> Json:
        request = urllib.request.Request(f"{self.url}/_sandbox/{endpoint}", data=body, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{endpoint}: {error.read().decode()}") from None


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[SandboxProcess]:
    """One process for the whole test run; tests use the fixture `sandbox`, which resets it."""
    process = SandboxProcess()
    yield process
    process.stop()


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> Iterator[SandboxProcess]:
    """The sandbox in its initial state: no tasks, no faults, 5000 credits, an empty log."""
    sandbox_process.reset()
    yield sandbox_process
    sandbox_process.set_faults()


@pytest.fixture
def new_sandbox() -> Iterator[Callable[..., SandboxProcess]]:
    """Starts more sandboxes with their own options."""
    started: list[SandboxProcess] = []

    def start(*options: str, **defaults: str) -> SandboxProcess:
        started.append(SandboxProcess(*options, **defaults))
        return started[-1]

    yield start
    for process in started:
        process.stop()

"""A real sandbox in a process of its own, for every test that talks to the provider.

def test_...(sandbox):                      # fixture below; tests/conftest.py imports it
    sandbox.order("drop-answer=1", "no-callback")
    ... talk to sandbox.url with key sandbox.api_key ...
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
    """`python -m videos.sandbox --port 0 ...`; stops by itself when the test process ends.

    Films are plain ("quick") and come fast; pass "--film", "art" for the drawn ones. Options given here hold until the end;
    `reset` undoes everything else.
    """

    api_key = "sandbox"

    def __init__(self, *options: str, film: str = "quick", times: str = "0.6,0.6,0.6", invisible: str = "0") -> None:
        usual = ["--port", "0", "--until-eof", "--film", film, "--times", times, "--invisible", invisible]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "videos.sandbox", *usual, *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.greeting = self._process.stdout.readline()
        found = re.search(r"http://\S+:\d+", self.greeting)
        if not found:
            self.stop()
            raise RuntimeError(f"the sandbox did not start: {self.greeting!r}")
        self.url = found[0]

    @property
    def pid(self) -> int:
        return self._process.pid

    def order(self, *faults: str) -> None:
        """These faults from now on, and no others; none lifts them all."""
        self._post("faults", list(faults))

    def also(self, *faults: str) -> None:
        """These faults beside the present ones."""
        self._post("faults", {"add": list(faults)})

    def truth(self, *, since: int = 0) -> Json:
        """{"events": [...], "requests": {"POST /api/v1/veo/generate": 1}, "balance": "5000", "tasks": [...], "now": ...}."""
        return self._call("GET", f"truth?since={since}")

    def events(self, name: str, **wanted: Any) -> list[Json]:
        """The log's events of one name, whose fields are as wanted."""
        rows = [row for row in self.truth()["events"] if row["event"] == name]
        return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]

    def wait_for(self, name: str, *, count: int = 1, within_s: float = 10, **wanted: Any) -> list[Json]:
        """The same, once there are so many of them."""
        until = time.monotonic() + within_s
        while len(rows := self.events(name, **wanted)) < count:
            if time.monotonic() > until:
                raise AssertionError(
                    f"{len(rows)} of {count} {name} {wanted} in {within_s} s: {self.truth()['events']}"
                )
            time.sleep(0.02)
        return rows

    def accepted(self) -> list[Json]:
        """The paid submissions: what must never be one too many."""
        return self.events("submission", accepted=True)

    def balance(self, balance: Any = None) -> str:
        """The provider's balance; set first, if one is given."""
        if balance is not None:
            self._post("balance", {"balance": str(balance)})
        return str(self.truth()["balance"])

    def advance(self, seconds: float) -> None:
        """Push its clock forward: tasks end, links and files expire, retries come due."""
        self._post("clock", {"advance": seconds})

    def speed(self, speed: float) -> None:
        self._post("clock", {"speed": speed})

    def prices(self, **prices: Any) -> None:
        """Edit prices, written `veo3_fast_720p=30`, `extend_fast=1`, `upgrade_4k=2`."""
        self._post("prices", {":".join(name.rsplit("_", 1)): str(price) for name, price in prices.items()})

    def settings(self, **settings: Any) -> None:
        """hmac_key, api_key, charge, failed, http_errors, invisible_s, times_s, retries_s, file_life_s, public_url, film..."""
        self._post("settings", settings)

    def finish(self) -> int:
        """End all running tasks now; how many."""
        return int(self._post("finish", {})["finished"])

    def reset(self) -> None:
        self._post("reset", {})

    def stop(self) -> int:
        """Ask it to stop, wait, and return its exit code."""
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

    def _post(self, control: str, body: Json) -> Json:
        return self._call("POST", control, json.dumps(body).encode())

    def _call(self, method: str, control: str, body: bytes | None = None) -> Json:
        request = urllib.request.Request(f"{self.url}/_sandbox/{control}", data=body, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{control}: {error.read().decode()}") from None


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[SandboxProcess]:
    """One process for the whole run; use `sandbox`, which cleans it."""
    process = SandboxProcess()
    yield process
    process.stop()


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> Iterator[SandboxProcess]:
    """The sandbox as at its start: no tasks, no faults, 5000 credits, an empty log."""
    sandbox_process.reset()
    yield sandbox_process
    sandbox_process.order()


@pytest.fixture
def new_sandbox() -> Iterator[Callable[..., SandboxProcess]]:
    """Starts further sandboxes with options of the test's own."""
    started: list[SandboxProcess] = []

    def start(*options: str, **usual: str) -> SandboxProcess:
        started.append(SandboxProcess(*options, **usual))
        return started[-1]

    yield start
    for process in started:
        process.stop()

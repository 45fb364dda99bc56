"""A client and a callback receiver written from kie.ai's documentation, without code of this project."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from tests.sandbox import SandboxProcess

Json = Any
AGENT = "independent-client/1.0"


class Kie:
    """A client of the provider."""

    def __init__(self, url: str, key: str = "sandbox") -> None:
        self.url = url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update({"Authorization": f"Bearer {key}", "User-Agent": AGENT})

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(self.url + path, params=params, timeout=20, allow_redirects=False)

    def post(self, path: str, body: Json, **kwargs: Any) -> requests.Response:
        return self.session.post(self.url + path, json=body, timeout=20, allow_redirects=False, **kwargs)

    def generate(self, prompt: str = "A quiet sea", **fields: Any) -> Json:
        """The parsed response."""
        return self.post("/api/v1/veo/generate", {"prompt": prompt, **fields}).json()

    def start_task(self, prompt: str = "A quiet sea", **fields: Any) -> str:
        """The id of an accepted task."""
        response = self.generate(prompt, **fields)
        assert response["code"] == 200, response
        return str(response["data"]["taskId"])

    def record_info(self, task_id: str) -> Json:
        return self.get("/api/v1/veo/record-info", taskId=task_id).json()

    def wait_until_done(self, task_id: str) -> Json:
        """The record, once the task has ended."""
        deadline = time.monotonic() + 20
        while not (record := self.record_info(task_id)["data"]) or record["successFlag"] == 0:
            assert time.monotonic() < deadline, record
            time.sleep(0.05)
        return record

    def result_url(self, task_id: str) -> str:
        return str(self.wait_until_done(task_id)["response"]["resultUrls"][0])

    def credit(self) -> Any:
        return self.get("/api/v1/chat/credit").json()["data"]


@dataclass
class Received:
    """One received callback."""

    path: str
    headers: dict[str, str]
    raw: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def body(self) -> Json:
        return json.loads(self.raw)


def is_signed(call: Received, key: str) -> bool:
    """True if a callback has a valid signature of its task id."""
    task_id = call.body["data"]["taskId"]
    message = f"{task_id}.{call.headers['X-Webhook-Timestamp']}".encode()
    expected = base64.b64encode(hmac.new(key.encode(), message, hashlib.sha256).digest()).decode()
    return call.headers["X-Webhook-Signature"] == expected


class Receiver:
    """Receives callbacks; answers with `statuses` one by one, then 200."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.statuses: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = self.headers.get("Content-Length")
                try:
                    raw = self.rfile.read(int(length)) if length else self.rfile.readline()
                except OSError:
                    return
                outer.received.append(Received(self.path, dict(self.headers), raw))
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/callback/one/token-abcdef/"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def wait(self, count: int = 1, within_s: float = 10) -> list[Received]:
        deadline = time.monotonic() + within_s
        while len(self.received) < count:
            assert time.monotonic() < deadline, f"{len(self.received)} of {count} callbacks"
            time.sleep(0.02)
        return self.received

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def kie(sandbox: SandboxProcess) -> Iterator[Kie]:
    client = Kie(sandbox.url)
    yield client
    client.session.close()


@pytest.fixture
def connect() -> Iterator[Callable[[SandboxProcess], Kie]]:
    clients: list[Kie] = []

    def make(process: SandboxProcess) -> Kie:
        clients.append(Kie(process.url))
        return clients[-1]

    yield make
    for client in clients:
        client.session.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()

"""Delivers callbacks: to loopback only, 15 seconds for the receiver, three retries, then never again."""

import base64
import hashlib
import hmac
import http.client
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from videos.sandbox.clock import Agenda
from videos.sandbox.crew import Crew
from videos.sandbox.options import Settings
from videos.sandbox.truth import Truth

RECEIVER_S = 15.0
_AT_ONCE = 32


class NotLoopback(ValueError):
    """The address is not on this machine; the sandbox calls nobody else."""


@dataclass(slots=True, kw_only=True)
class Letter:
    """One callback to deliver. `kind` says in the log what it is: genuine, duplicate, forged..."""

    task_id: str
    url: str
    body: bytes
    kind: str = "genuine"
    headers: dict[str, str] = field(default_factory=dict)
    stream: Iterator[bytes] | None = None  # sent chunked instead of the body
    retried: bool = True


def sign(task_id: str, *, key: str, at: int) -> dict[str, str]:
    """kie.ai's headers: base64 of HMAC-SHA256 over `<task id>.<unix seconds>`. The body is not signed."""
    digest = hmac.new(key.encode(), f"{task_id}.{at}".encode(), hashlib.sha256).digest()
    return {"X-Webhook-Timestamp": str(at), "X-Webhook-Signature": base64.b64encode(digest).decode()}


def loopback_address(host: str, port: int) -> str:
    """The numeric address to connect to; NotLoopback when the name points anywhere else."""
    try:
        found = {str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise NotLoopback(f"{host}: {error}") from None
    if not found or not all(ipaddress.ip_address(address).is_loopback for address in found):
        raise NotLoopback(host)
    return min(found, key=lambda address: (":" in address, address))


class Courier:
    """Sends letters on a few threads and logs every attempt with its answer."""

    def __init__(self, *, truth: Truth, agenda: Agenda, settings: Settings, stopping: threading.Event) -> None:
        self._truth = truth
        self._agenda = agenda
        self._settings = settings
        self._stopping = stopping
        self._over = False
        self._crew = Crew("sandbox-courier", size=_AT_ONCE)

    def send(self, letter: Letter) -> None:
        """Deliver soon, with retries."""
        if not self._over:
            self._crew.submit(lambda: self._attempt(letter, 1))

    def send_now(self, letter: Letter) -> None:
        """Deliver and wait for the answer; retries follow by themselves."""
        self._attempt(letter, 1)

    def stop(self) -> None:
        self._over = True
        self._crew.stop()

    def _again(self, letter: Letter, attempt: int) -> None:
        if not self._over:
            self._crew.submit(lambda: self._attempt(letter, attempt))

    def _attempt(self, letter: Letter, attempt: int) -> None:
        started = time.monotonic()
        status, error = 0, ""
        try:
            status = self._post(letter)
        except NotLoopback as refused:
            self._truth.append(
                "callback_refused", task_id=letter.task_id, url=letter.url, error=f"not loopback: {refused}"
            )
            return
        except (OSError, http.client.HTTPException, ValueError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        if self._over:
            return
        self._truth.append(
            "callback",
            task_id=letter.task_id,
            url=letter.url,
            kind=letter.kind,
            attempt=attempt,
            status=status,
            error=error,
            body=letter.body[:4096].decode(errors="replace"),
            body_sha256=hashlib.sha256(letter.body).hexdigest(),
            took_s=round(time.monotonic() - started, 3),
        )
        retries_s = self._settings.retries_s
        if status != 200 and letter.retried and attempt <= len(retries_s):
            self._agenda.after(retries_s[attempt - 1], lambda: self._again(letter, attempt + 1))

    def _post(self, letter: Letter) -> int:
        parts = urlsplit(letter.url)
        if parts.scheme != "http" or not parts.hostname:
            raise NotLoopback(f"{parts.scheme or 'no scheme'}: callbacks go over plain http, to this machine only")
        port = parts.port or 80
        connection = http.client.HTTPConnection(loopback_address(parts.hostname, port), port, timeout=RECEIVER_S)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {
            "Host": parts.netloc.rpartition("@")[2],
            "Content-Type": "application/json",
            "User-Agent": "Java-http-client/17",
        }
        if letter.stream is not None:
            headers["Transfer-Encoding"] = "chunked"
        headers |= letter.headers
        try:
            connection.request(
                "POST",
                path,
                body=letter.stream or letter.body,
                headers=headers,
                encode_chunked=letter.stream is not None,
            )
            response = connection.getresponse()
            response.read(65536)
            return response.status
        finally:
            connection.close()

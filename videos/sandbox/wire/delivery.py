"""Delivers callbacks, only to loopback, with a timeout of 15 seconds and at most three retries."""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from videos.sandbox.clock import Schedule
from videos.sandbox.event_log import EventLog
from videos.sandbox.options import Settings
from videos.sandbox.wire import loopback

TIMEOUT_S = 15.0
_MAX_PARALLEL = 32


@dataclass(slots=True, kw_only=True)
class Callback:
    """One callback to deliver. `kind` is what the event log calls it: genuine, duplicate, forged..."""

    task_id: str
    url: str
    body: bytes
    kind: str = "genuine"
    headers: dict[str, str] = field(default_factory=dict)
    stream: Iterator[bytes] | None = None  # sent chunked instead of the body
    retried: bool = True


def sign(task_id: str, *, key: str, at: int) -> dict[str, str]:
    """The signature headers of kie.ai: base64 of HMAC-SHA256 over `<task id>.<unix seconds>`. The body is not signed."""
    digest = hmac.new(key.encode(), f"{task_id}.{at}".encode(), hashlib.sha256).digest()
    return {"X-Webhook-Timestamp": str(at), "X-Webhook-Signature": base64.b64encode(digest).decode()}


class Delivery:
    """Sends each callback on its own thread, and logs every attempt with the response status."""

    def __init__(self, *, log: EventLog, schedule: Schedule, settings: Settings) -> None:
        self._log = log
        self._schedule = schedule
        self._settings = settings
        self._stopped = False
        self._slots = threading.Semaphore(_MAX_PARALLEL)

    def send(self, callback: Callback, attempt: int = 1) -> None:
        """Deliver on another thread, with retries."""
        threading.Thread(target=self.send_now, args=(callback, attempt), daemon=True).start()

    def send_now(self, callback: Callback, attempt: int = 1) -> None:
        """Deliver and wait for the response; retries follow on another thread."""
        with self._slots:
            self._try_delivery(callback, attempt)

    def stop(self) -> None:
        self._stopped = True

    def _try_delivery(self, callback: Callback, attempt: int) -> None:
        started, status, error = time.monotonic(), 0, ""
        headers = {"Content-Type": "application/json"} | callback.headers
        if self._stopped:
            return
        try:
            status = loopback.request(
                "POST", callback.url, body=callback.stream or callback.body, headers=headers, timeout_s=TIMEOUT_S
            )[0]
        except loopback.NotLoopback as refusal:
            self._log.append(
                "callback_refused", task_id=callback.task_id, url=callback.url, error=f"not loopback: {refusal}"
            )
            return
        except loopback.ERRORS as failure:
            error = f"{type(failure).__name__}: {failure}"
        if self._stopped:
            return
        self._log.append(
            "callback",
            task_id=callback.task_id,
            url=callback.url,
            kind=callback.kind,
            attempt=attempt,
            status=status,
            error=error,
            body=callback.body[:4096].decode(errors="replace"),
            body_sha256=hashlib.sha256(callback.body).hexdigest(),
            took_s=round(time.monotonic() - started, 3),
        )
        retries_s = self._settings.retries_s
        if status != 200 and callback.retried and attempt <= len(retries_s):
            self._schedule.after(retries_s[attempt - 1], lambda: self.send(callback, attempt + 1))

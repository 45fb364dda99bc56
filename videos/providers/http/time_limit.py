"""A time limit for one HTTP exchange: after it, the connection is shut down in whatever state it is.

A socket's own timeout starts again with every byte, so a server that sends slowly could block a worker indefinitely.
`TimeLimit` shuts the connection down from another thread, during the TLS handshake as well.
"""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Any, Self

from urllib3.connection import HTTPConnection, HTTPSConnection


class TimeLimit:
    """Shuts the guarded connection down `total_s` seconds after `__enter__`, and records the progress of the exchange."""

    def __init__(self, total_s: float) -> None:
        self.tried_to_connect = False
        self.connected = False  # TLS included; once True, bytes of the request may have been sent
        self.expired = False  # the time limit was reached and the connection was shut down
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._timer = threading.Timer(total_s, self._expire)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    def guard(self, sock: socket.socket) -> None:
        """Shut this socket down when the time is over; a second call replaces the first socket."""
        with self._lock:
            if self._handle is not None:
                self._handle.close()
            # Keep a duplicate, because wrapping in TLS takes the descriptor away from the given socket.
            self._handle = sock.dup()
            if self.expired:
                _shut_down(self._handle)

    def _expire(self) -> None:
        with self._lock:
            self.expired = True
            if self._handle is not None:
                _shut_down(self._handle)


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # already closed
        sock.shutdown(socket.SHUT_RDWR)


class TimedConnection(HTTPConnection):
    """A connection without TLS that is guarded by a time limit and reports its progress to it."""

    def __init__(self, *args: Any, time_limit: TimeLimit, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.time_limit = time_limit

    def _new_conn(self) -> socket.socket:
        self.time_limit.tried_to_connect = True
        sock = super()._new_conn()
        self.time_limit.guard(sock)
        return sock

    def connect(self) -> None:
        super().connect()
        self.time_limit.connected = True


class TimedTLSConnection(TimedConnection, HTTPSConnection):
    """A TimedConnection with TLS; it counts as connected once the certificate was accepted."""

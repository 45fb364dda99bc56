"""The wall clock of one exchange: when its time is over the connection is cut, whatever it is waiting for.

A socket's own time limit starts again with every byte, so a server that drips could hold a worker for ever. `Watch`
shuts the connection down from another thread at the end of the total time, during the handshake as well.
"""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Any, Self

from urllib3.connection import HTTPConnection, HTTPSConnection


class Watch:
    """Counts `total_s` seconds from `__enter__` and remembers how far the exchange came."""

    def __init__(self, total_s: float) -> None:
        self.dialled = False  # a connection was tried
        self.connected = False  # it stood, TLS included: from here on bytes of the request may have left
        self.expired = False  # the time was over and the connection was cut
        self._lock = threading.Lock()
        self._handle: socket.socket | None = None
        self._timer = threading.Timer(total_s, self._cut)
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
        """Cut this socket when the time is over; a second call replaces the first socket."""
        with self._lock:
            if self._handle is not None:
                self._handle.close()
            # A duplicate, because wrapping in TLS takes the descriptor away from the socket that we were given.
            self._handle = sock.dup()
            if self.expired:
                _shut(self._handle)

    def _cut(self) -> None:
        with self._lock:
            self.expired = True
            if self._handle is not None:
                _shut(self._handle)


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # already gone
        sock.shutdown(socket.SHUT_RDWR)


class WatchedConnection(HTTPConnection):
    """A plain connection that tells its watch when it dials and when it stands."""

    def __init__(self, *args: Any, watch: Watch, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.watch = watch

    def _new_conn(self) -> socket.socket:
        self.watch.dialled = True
        sock = super()._new_conn()
        self.watch.guard(sock)
        return sock

    def connect(self) -> None:
        super().connect()
        self.watch.connected = True


class WatchedTLSConnection(WatchedConnection, HTTPSConnection):
    """The same over TLS; it stands only when the certificate was accepted."""

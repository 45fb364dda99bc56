"""A server on a loopback socket with a given behaviour, which records the requests."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Behaviour = Callable[[socket.socket, bytes], None]


class Loopback:
    """Listens on 127.0.0.1; each connection gets the greeting, and its request is stored and passed to `behave`."""

    def __init__(self, behave: Behaviour, *, tls: ssl.SSLContext | None = None, greeting: bytes = b"") -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._behave = behave
        self._tls = tls
        self._greeting = greeting
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.closing = threading.Event()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.sendall(self._greeting)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            request = read_request(sock)
            if request:
                self.requests.append(request)
                self._behave(sock, request)
        with contextlib.suppress(OSError):
            sock.close()

    def close(self) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in [self._acceptor, *self._threads]:
            thread.join(timeout=5)


@contextmanager
def serve(behave: Behaviour, *, tls: ssl.SSLContext | None = None, greeting: bytes = b"") -> Iterator[Loopback]:
    server = Loopback(behave, tls=tls, greeting=greeting)
    try:
        yield server
    finally:
        server.close()


def read_request(sock: socket.socket) -> bytes:
    """Read one request, head and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(65536)
        if not chunk:
            return data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def make_http_response(
    status: str, body: bytes = b"", *, headers: dict[str, str] | None = None, length: int | None = None
) -> bytes:
    """An HTTP response; `length` may be wrong, and no length is sent if it is negative."""
    lines = [f"HTTP/1.1 {status}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    stated_length = len(body) if length is None else length
    if stated_length >= 0:
        lines.append(f"Content-Length: {stated_length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def respond_with(status: str, body: bytes = b"", **kwargs: object) -> Behaviour:
    """Send this response and close the connection."""
    data = make_http_response(status, body, **kwargs)  # type: ignore[arg-type]
    return lambda sock, request: sock.sendall(data)


def reset_connection(sock: socket.socket, request: bytes) -> None:
    """Reset the connection (RST) after the request."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()

"""The HTTP/1.1 server of the sandbox: reads requests of limited size, sends replies and logs served bytes."""

import contextlib
import hashlib
import socket
import struct
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from videos.sandbox.files.uploads import FILE_MAX
from videos.sandbox.routes import UPLOADS, handle
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.wire.messages import Refused, Reply, Request, envelope

_JSON_MAX = 1024 * 1024
_IDLE_S = 60


class Server(ThreadingHTTPServer):
    """Serves each connection on its own thread; open connections do not delay stopping."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        if ":" in box.options.host:
            self.address_family = socket.AF_INET6
        super().__init__((box.options.host, box.options.port), Handler)
        host = f"[{box.options.host}]" if ":" in box.options.host else box.options.host
        box.address = f"http://{host}:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Log an error of the sandbox itself as an event, so that tests notice it."""
        self.box.log.append("server_error", client=str(client_address), error=repr(sys.exception()))
        super().handle_error(request, client_address)  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    """Handles every method in the same way: read the request, get the reply, send it."""

    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    sys_version = ""
    timeout = _IDLE_S
    disable_nagle_algorithm = True
    server: Server

    def _serve(self) -> None:
        try:
            request = self._read()
        except Refused as refused:
            self.close_connection = True
            self._send(refused.reply)
            return
        self._send(handle(self.server.box, request))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815 - http.server's names

    def _read(self) -> Request:
        parts = urlsplit(self.path)
        max_bytes = 2 * FILE_MAX if parts.path in UPLOADS else _JSON_MAX
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b"".join(self._chunks(max_bytes))
        else:
            length = self.headers.get("Content-Length", "0")
            if not length.isdigit():
                raise _too_large(411)
            if int(length) > max_bytes:
                raise _too_large(413)
            body = self.rfile.read(int(length))
        return Request(
            method=self.command, path=unquote(parts.path), query=parts.query, headers=self.headers, body=body
        )

    def _chunks(self, max_bytes: int) -> Iterator[bytes]:
        total = 0
        while True:
            try:
                size = int(self.rfile.readline(1024).split(b";")[0], 16)
            except ValueError:
                raise _too_large(411) from None
            total += size
            if total > max_bytes:
                raise _too_large(413)
            chunk = self.rfile.read(size)
            self.rfile.readline(1024)
            if not size:
                return
            yield chunk

    def _send(self, reply: Reply) -> None:
        if reply.wait_s and self.server.box.stopping.wait(reply.wait_s):
            reply.silent = True
        if reply.silent:
            self.close_connection = True
            return
        try:
            self._send_head(reply)
            if self.command != "HEAD":
                self._send_body(reply)
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        if reply.reset:
            self._reset()

    def _send_head(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        # kie.ai sets a cookie on every response; clients must ignore it.
        self.send_header("Set-Cookie", "__cf_bm=sandbox; path=/; HttpOnly")
        if reply.cut or reply.reset:
            self.close_connection = True
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send_body(self, reply: Reply) -> None:
        sent, digest = 0, hashlib.sha256()
        try:
            for chunk in reply.chunks():
                if not chunk or self.server.box.stopping.is_set():
                    continue
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk) if reply.chunked else chunk)
                sent += len(chunk)
                digest.update(chunk)
            if reply.chunked and not reply.cut:
                self.wfile.write(b"0\r\n\r\n")
        finally:
            if reply.task_id:
                self.server.box.log.append(
                    "served",
                    task_id=reply.task_id,
                    path=urlsplit(self.path).path,
                    status=reply.status,
                    bytes=sent,
                    sha256=digest.hexdigest(),
                    file_sha256=reply.file_sha256,
                )

    def _reset(self) -> None:
        """End the connection with a TCP reset."""
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: requests are in the event log."""


def _too_large(status: int) -> Refused:
    return Refused(envelope(status, "The request body is too large or has no length", status=status))

"""A client of kie.ai that talks to a loopback server, and behaviours of that server."""

import gzip
import json
import socket
import time

from tests.videos.providers.conftest import KEY
from tests.videos.providers.kie_replies import TASK, make_envelope
from tests.videos.providers.loopback import Behaviour, answers_with, make_answer, reset_connection
from videos.providers.http.exchange import Limits
from videos.providers.kie.client import Kie

ACCEPTED = json.dumps(make_envelope(data={"taskId": TASK})).encode()

TYPE = {"Content-Type": "application/json;charset=UTF-8"}


def make_client(url: str, limits: Limits) -> Kie:
    return Kie(KEY, url, url, limits=limits, upload_limits=limits)


def never_answer(sock: socket.socket, request: bytes) -> None:
    """Waits until the client has gone."""
    sock.settimeout(5)
    sock.recv(1)


def close_connection(sock: socket.socket, request: bytes) -> None:
    """Reads the request and closes the connection."""


def reset_during_answer(sock: socket.socket, request: bytes) -> None:
    sock.sendall(make_answer("200 OK", ACCEPTED[:20], length=len(ACCEPTED), headers=TYPE))
    reset_connection(sock, request)


def stall_during_answer(sock: socket.socket, request: bytes) -> None:
    sock.sendall(make_answer("200 OK", ACCEPTED[:20], length=len(ACCEPTED), headers=TYPE))
    never_answer(sock, request)


def send_slowly(data: bytes, *, after: bytes = b"") -> Behaviour:
    """A byte every 0.1 s: each restarts the socket's own timeout."""

    def behave(sock: socket.socket, request: bytes) -> None:
        sock.sendall(after)
        for byte in data:
            sock.sendall(bytes([byte]))
            time.sleep(0.1)

    return behave


def send_endlessly(head: bytes) -> Behaviour:
    """An endless body."""

    def behave(sock: socket.socket, request: bytes) -> None:
        sock.sendall(head)
        while True:
            sock.sendall(b'{"code":200,' * 5000)

    return behave


LOST: dict[str, Behaviour] = {
    "no answer": never_answer,
    "hangs up": close_connection,
    "resets after the request": reset_connection,
    "resets in the answer": reset_during_answer,
    "stalls in the answer": stall_during_answer,
    "drips headers": send_slowly(make_answer("200 OK", ACCEPTED, headers=TYPE)),
    "drips the body": send_slowly(b" " * 500, after=make_answer("200 OK", b"", length=500, headers=TYPE)),
    "drips a body without a length": send_slowly(
        b" " * 500, after=make_answer("200 OK", ACCEPTED, length=-1, headers=TYPE)
    ),
    "truncates by length": answers_with("200 OK", ACCEPTED[:-5], length=len(ACCEPTED), headers=TYPE),
    "truncates by chunk": answers_with(
        "200 OK", b"50\r\n" + ACCEPTED[:10], length=-1, headers=TYPE | {"Transfer-Encoding": "chunked"}
    ),
    "garbles a chunk": answers_with(
        "200 OK", b"zz\r\n" + ACCEPTED, length=-1, headers=TYPE | {"Transfer-Encoding": "chunked"}
    ),
    "says no HTTP": lambda sock, request: sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
}

UNUSABLE: dict[str, Behaviour] = {
    "truncated JSON": answers_with("200 OK", ACCEPTED[:-5], headers=TYPE),
    "truncated JSON without a length": answers_with("200 OK", ACCEPTED[:-5], length=-1, headers=TYPE),
    "HTML 502": answers_with("502 Bad Gateway", b"<html>502</html>", headers={"Content-Type": "text/html"}),
    "HTML 200": answers_with("200 OK", b"<html>hello</html>", headers={"Content-Type": "text/html"}),
    "empty": answers_with("200 OK", b""),
    "204": answers_with("204 No Content", length=-1),
    "endless": send_endlessly(make_answer("200 OK", b"", length=-1, headers=TYPE)),
    "endless by length": send_endlessly(make_answer("200 OK", b"", length=200_000_000, headers=TYPE)),
    "gzip bomb": answers_with(
        "200 OK", gzip.compress(b"0" * (32 << 20), 9), headers=TYPE | {"Content-Encoding": "gzip"}
    ),
    "broken gzip": answers_with("200 OK", b"\x1f\x8b" + ACCEPTED, headers=TYPE | {"Content-Encoding": "gzip"}),
    "cut gzip": answers_with("200 OK", gzip.compress(ACCEPTED)[:-12], headers=TYPE | {"Content-Encoding": "gzip"}),
    "brotli": answers_with("200 OK", ACCEPTED, headers=TYPE | {"Content-Encoding": "br"}),
}

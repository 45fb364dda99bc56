"""A client of kie.ai for a loopback server, and ways in which that server behaves."""

import gzip
import json
import socket
import time

from tests.videos.providers.conftest import KEY
from tests.videos.providers.kie_replies import TASK, make_envelope
from tests.videos.providers.loopback import Behaviour, make_http_response, reset_connection, respond_with
from videos.providers.http.exchange import Limits
from videos.providers.kie.client import Kie

ACCEPTED = json.dumps(make_envelope(data={"taskId": TASK})).encode()

TYPE = {"Content-Type": "application/json;charset=UTF-8"}


def make_client(url: str, limits: Limits) -> Kie:
    return Kie(KEY, url, url, limits=limits, upload_limits=limits)


def never_respond(sock: socket.socket, request: bytes) -> None:
    """Wait until the client disconnects."""
    sock.settimeout(5)
    sock.recv(1)


def close_connection(sock: socket.socket, request: bytes) -> None:
    """Close the connection after the request."""


def reset_during_response(sock: socket.socket, request: bytes) -> None:
    sock.sendall(make_http_response("200 OK", ACCEPTED[:20], length=len(ACCEPTED), headers=TYPE))
    reset_connection(sock, request)


def stall_during_response(sock: socket.socket, request: bytes) -> None:
    sock.sendall(make_http_response("200 OK", ACCEPTED[:20], length=len(ACCEPTED), headers=TYPE))
    never_respond(sock, request)


def send_slowly(data: bytes, *, after: bytes = b"") -> Behaviour:
    """Send a byte every 0.1 s, which restarts the timeout of the socket each time."""

    def behave(sock: socket.socket, request: bytes) -> None:
        sock.sendall(after)
        for byte in data:
            sock.sendall(bytes([byte]))
            time.sleep(0.1)

    return behave


def send_endlessly(head: bytes) -> Behaviour:
    """Send an endless body."""

    def behave(sock: socket.socket, request: bytes) -> None:
        sock.sendall(head)
        while True:
            sock.sendall(b'{"code":200,' * 5000)

    return behave


LOST: dict[str, Behaviour] = {
    "no response": never_respond,
    "closes the connection": close_connection,
    "resets after the request": reset_connection,
    "resets during the response": reset_during_response,
    "stalls during the response": stall_during_response,
    "sends headers slowly": send_slowly(make_http_response("200 OK", ACCEPTED, headers=TYPE)),
    "sends the body slowly": send_slowly(b" " * 500, after=make_http_response("200 OK", b"", length=500, headers=TYPE)),
    "sends a body without a length slowly": send_slowly(
        b" " * 500, after=make_http_response("200 OK", ACCEPTED, length=-1, headers=TYPE)
    ),
    "truncates by length": respond_with("200 OK", ACCEPTED[:-5], length=len(ACCEPTED), headers=TYPE),
    "truncates by chunk": respond_with(
        "200 OK", b"50\r\n" + ACCEPTED[:10], length=-1, headers=TYPE | {"Transfer-Encoding": "chunked"}
    ),
    "garbles a chunk": respond_with(
        "200 OK", b"zz\r\n" + ACCEPTED, length=-1, headers=TYPE | {"Transfer-Encoding": "chunked"}
    ),
    "does not speak HTTP": lambda sock, request: sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
}

UNUSABLE: dict[str, Behaviour] = {
    "truncated JSON": respond_with("200 OK", ACCEPTED[:-5], headers=TYPE),
    "truncated JSON without a length": respond_with("200 OK", ACCEPTED[:-5], length=-1, headers=TYPE),
    "HTML 502": respond_with("502 Bad Gateway", b"<html>502</html>", headers={"Content-Type": "text/html"}),
    "HTML 200": respond_with("200 OK", b"<html>hello</html>", headers={"Content-Type": "text/html"}),
    "empty": respond_with("200 OK", b""),
    "204": respond_with("204 No Content", length=-1),
    "endless": send_endlessly(make_http_response("200 OK", b"", length=-1, headers=TYPE)),
    "endless by length": send_endlessly(make_http_response("200 OK", b"", length=200_000_000, headers=TYPE)),
    "gzip bomb": respond_with(
        "200 OK", gzip.compress(b"0" * (32 << 20), 9), headers=TYPE | {"Content-Encoding": "gzip"}
    ),
    "broken gzip": respond_with("200 OK", b"\x1f\x8b" + ACCEPTED, headers=TYPE | {"Content-Encoding": "gzip"}),
    "truncated gzip": respond_with(
        "200 OK", gzip.compress(ACCEPTED)[:-12], headers=TYPE | {"Content-Encoding": "gzip"}
    ),
    "brotli": respond_with("200 OK", ACCEPTED, headers=TYPE | {"Content-Encoding": "br"}),
}

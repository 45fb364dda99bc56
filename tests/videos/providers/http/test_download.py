"""Downloads of results: whole files, named errors, size and speed limits."""

import io
import socket
import time

import pytest

from tests.videos.providers.http.file_server import CONTENT, ETAG, LIMITS, MP4, SIGNATURE, download, send_slowly
from tests.videos.providers.loopback import make_http_response, respond_with, serve
from videos.providers.http import download_errors
from videos.providers.http.download import FetchLimits, FetchResult
from videos.providers.http.download_errors import (
    FetchError,
    ForbiddenAddress,
    Interrupted,
    LinkExpired,
    Missing,
    TooLarge,
    TooSlow,
)


def test_a_whole_file_is_fetched_in_one_request() -> None:
    with serve(respond_with("200 OK", CONTENT, headers=MP4)) as server:
        fetched, data = download(server)
    assert fetched == FetchResult(bytes=len(CONTENT), complete=True, etag=ETAG, content_type="video/mp4")
    assert data == CONTENT
    request = server.requests[0].decode()
    assert request.startswith(f"GET /v/a.mp4?{SIGNATURE} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n")
    assert "\r\nAccept-Encoding: identity\r\n" in request
    assert "\r\nUser-Agent: veoapp/" in request
    assert "range" not in request.lower()
    assert len(server.requests) == 1


def test_a_chunked_file_is_complete_after_its_last_chunk() -> None:
    body = (
        b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (CONTENT[:9], CONTENT[9:])) + b"0\r\n\r\n"
    )
    with serve(respond_with("200 OK", body, length=-1, headers={"Transfer-Encoding": "chunked"})) as server:
        fetched, data = download(server)
    assert (fetched.complete, fetched.bytes, data) == (True, len(CONTENT), CONTENT)


def test_a_file_that_ends_with_its_connection_is_not_known_to_be_complete() -> None:
    with serve(respond_with("200 OK", CONTENT, length=-1)) as server:
        fetched, data = download(server)
    assert (fetched.complete, data) == (False, CONTENT)


def test_an_empty_file_is_complete() -> None:
    with serve(respond_with("200 OK", b"", headers=MP4)) as server:
        fetched, data = download(server)
    assert (fetched.complete, fetched.bytes, data) == (True, 0, b"")


def test_every_status_is_a_file_or_a_named_error() -> None:
    def respond_with_status_in_path(sock: socket.socket, request: bytes) -> None:
        sock.sendall(make_http_response(request.split(b" ")[1].decode().lstrip("/") + " Whatever", b"<html>"))

    expected: dict[int, type[FetchError]] = {404: Missing, 401: LinkExpired, 403: LinkExpired, 410: LinkExpired}
    with serve(respond_with_status_in_path) as server:
        assert download(server, "/200")[1] == b"<html>"
        for status in range(201, 600):
            with pytest.raises(FetchError) as caught:
                download(server, f"/{status}")
            assert type(caught.value) is expected.get(status, Interrupted), status
            assert caught.value.status == status


def test_every_error_says_whether_it_is_transient() -> None:
    kinds = [kind for kind in vars(download_errors).values() if isinstance(kind, type) and issubclass(kind, FetchError)]
    assert {kind for kind in kinds if not kind.transient} == {ForbiddenAddress, TooLarge}
    assert len({kind.code for kind in kinds}) == len(kinds) == 7
    assert issubclass(ForbiddenAddress, ValueError)


def test_a_compressed_file_is_refused() -> None:
    with (
        serve(respond_with("200 OK", CONTENT, headers={"Content-Encoding": "gzip"})) as server,
        pytest.raises(Interrupted),
    ):
        download(server)


def test_f49_a_file_whose_stated_length_is_too_large_is_not_downloaded() -> None:
    with serve(respond_with("200 OK", b"x", length=10 << 30)) as server:
        into = io.BytesIO()
        with pytest.raises(TooLarge):
            download(server, into=into)
    assert into.getvalue() == b""


@pytest.mark.parametrize("chunked", [True, False])
def test_f49_an_endless_file_is_stopped_at_the_limit(chunked: bool) -> None:
    def send_endlessly(sock: socket.socket, request: bytes) -> None:
        headers = {"Transfer-Encoding": "chunked"} if chunked else {}
        sock.sendall(make_http_response("200 OK", b"", length=-1, headers=headers))
        while True:
            sock.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n" if chunked else b"x" * 65536)

    with serve(send_endlessly) as server:
        into = io.BytesIO()
        with pytest.raises(TooLarge):
            download(server, into=into)
    assert len(into.getvalue()) <= LIMITS.max_bytes


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (make_http_response("200 OK", b"", length=len(CONTENT)), b"x"),
        (make_http_response("200 OK", b"", length=-1), b"x"),
        (make_http_response("200 OK", b"", length=-1, headers={"Transfer-Encoding": "chunked"}), b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Slow: 1\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"", b"H"),
    ],
    ids=["by length", "by end", "by chunk", "headers", "one header", "status line"],
)
def test_f47_a_server_that_sends_slowly_is_disconnected_soon(head: bytes, part: bytes) -> None:
    with serve(send_slowly(head, part)) as server:
        started = time.monotonic()
        with pytest.raises((TooSlow, Interrupted)) as caught:
            download(server)
        assert time.monotonic() - started < 2
    assert caught.value.transient


def test_f47_headers_that_never_end_are_stopped_by_the_total_time() -> None:
    # While the length of a chunk arrives, no byte of the file does, so only the total time limit can end it.
    head = make_http_response("200 OK", b"", length=-1, headers={"Transfer-Encoding": "chunked"})
    with serve(send_slowly(head, b"0")) as server:
        started = time.monotonic()
        with pytest.raises(TooSlow, match="total"):
            download(server, limits=FetchLimits(read_s=0.5, response_s=1, total_s=1))
        assert time.monotonic() - started < 2

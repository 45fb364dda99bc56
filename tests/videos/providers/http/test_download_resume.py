"""Resumed downloads: the same file is continued, a changed file is downloaded again."""

import io
import socket
import time

import pytest

from tests.videos.providers.http.file_server import (
    ALLOW_LOOPBACK,
    CONTENT,
    ETAG,
    LIMITS,
    MP4,
    download,
    range_server,
    send_slowly,
)
from tests.videos.providers.loopback import Behaviour, make_http_response, reset_connection, respond_with, serve
from videos.providers.http.download import FetchLimits, fetch
from videos.providers.http.download_errors import (
    Interrupted,
    TooLarge,
    TooSlow,
)


def respond_in_turn(*behaviours: Behaviour) -> Behaviour:
    """Use one behaviour for each request; the last one for all further requests."""
    remaining = list(behaviours)

    def behave(sock: socket.socket, request: bytes) -> None:
        (remaining.pop(0) if len(remaining) > 1 else remaining[0])(sock, request)

    return behave


def test_f48_a_file_cut_short_by_its_length_is_resumed_to_the_same_bytes() -> None:
    truncated = respond_with("200 OK", CONTENT[:300_000], length=len(CONTENT), headers=MP4)
    with serve(respond_in_turn(truncated, range_server())) as server:
        into = io.BytesIO()
        with pytest.raises(Interrupted) as caught:
            download(server, into=into)
        assert (caught.value.got_bytes, caught.value.etag) == (300_000, ETAG)
        assert type(caught.value) is Interrupted
        fetched, data = download(server, into=into, offset=300_000, etag=ETAG)
    assert (fetched.complete, fetched.bytes, data) == (True, len(CONTENT), CONTENT)
    assert b"\r\nRange: bytes=300000-\r\n" in server.requests[1]
    assert b'\r\nIf-Range: "film-1"\r\n' in server.requests[1]


@pytest.mark.parametrize(
    "tail", [b"", b"8000\r\nabc", b"zz\r\nabc", b"8\r\nabcdefgh\r\n"], ids=["no end", "short", "garbled", "no last"]
)
def test_f48_an_aborted_chunk_is_an_interruption(tail: bytes) -> None:
    body = f"{len(CONTENT):x}\r\n".encode() + CONTENT + b"\r\n" + tail
    behave = respond_with("200 OK", body, length=-1, headers={"Transfer-Encoding": "chunked"})
    with serve(behave) as server, pytest.raises(Interrupted) as caught:
        download(server)
    assert caught.value.got_bytes >= len(CONTENT)


def test_f48_a_reset_and_a_stall_in_the_middle_are_interruptions() -> None:
    def reset_midway(sock: socket.socket, request: bytes) -> None:
        sock.sendall(make_http_response("200 OK", CONTENT[:100_000], length=len(CONTENT), headers=MP4))
        time.sleep(0.2)
        reset_connection(sock, request)

    def stall(sock: socket.socket, request: bytes) -> None:
        sock.sendall(make_http_response("200 OK", CONTENT[:100_000], length=len(CONTENT), headers=MP4))
        sock.settimeout(5)
        sock.recv(1)

    for behave in (reset_midway, stall):
        with serve(behave) as server, pytest.raises(Interrupted) as caught:
            download(server)
        assert caught.value.got_bytes == 100_000
        assert caught.value.etag == ETAG


def test_a_changed_file_starts_again() -> None:
    other = bytes(reversed(CONTENT))
    with serve(range_server(other, '"film-2"')) as server:
        into = io.BytesIO(CONTENT[:300_000])
        fetched, data = download(server, into=into, offset=300_000, etag=ETAG)
    assert (data, fetched.etag, fetched.complete) == (other, '"film-2"', True)


def test_a_server_without_ranges_starts_again_and_leaves_no_old_tail() -> None:
    with serve(respond_with("200 OK", CONTENT[:1000], headers=MP4)) as server:
        fetched, data = download(server, into=io.BytesIO(b"x" * 300_000), offset=300_000, etag=ETAG)
    assert (data, fetched.bytes) == (CONTENT[:1000], 1000)


def test_without_a_validator_nothing_is_resumed() -> None:
    with serve(range_server()) as server:
        fetched, data = download(server, into=io.BytesIO(b"x" * 10), offset=10, etag="")
    assert (data, fetched.complete) == (CONTENT, True)
    assert b"Range" not in server.requests[0]


def test_a_complete_file_is_recognised_by_416() -> None:
    with serve(range_server()) as server:
        fetched, data = download(server, into=io.BytesIO(CONTENT), offset=len(CONTENT), etag=ETAG)
    assert (fetched.complete, fetched.bytes, data) == (True, len(CONTENT), CONTENT)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "first",
    [
        respond_with("416 No", headers={"Content-Range": "bytes */5"}),
        respond_with("416 No"),
        respond_with(
            "206 Part", CONTENT[100:], headers=MP4 | {"Content-Range": f"bytes 100-{len(CONTENT) - 1}/{len(CONTENT)}"}
        ),
        respond_with("206 Part", CONTENT[200:], headers=MP4),
        respond_with("206 Part", CONTENT[200:], headers=MP4 | {"Content-Range": "pages 200-300/400"}),
        respond_with(
            "206 Part",
            CONTENT[200:],
            headers={"ETag": '"film-9"', "Content-Range": f"bytes 200-{len(CONTENT) - 1}/{len(CONTENT)}"},
        ),
    ],
)
def test_a_partial_response_that_does_not_continue_the_file_is_not_used(first: Behaviour) -> None:
    with serve(respond_in_turn(first, range_server())) as server:
        fetched, data = download(server, into=io.BytesIO(CONTENT[:200]), offset=200, etag=ETAG)
        assert len(server.requests) == 2
    assert (fetched.complete, data) == (True, CONTENT)
    assert b"Range" not in server.requests[1]


def test_a_partial_response_shorter_than_the_rest_is_an_interruption_with_progress() -> None:
    part = respond_with("206 Part", CONTENT[200:400], headers=MP4 | {"Content-Range": f"bytes 200-399/{len(CONTENT)}"})
    with serve(part) as server, pytest.raises(Interrupted) as caught:
        download(server, into=io.BytesIO(CONTENT[:200]), offset=200, etag=ETAG)
    assert caught.value.got_bytes == 400


@pytest.mark.parametrize("status", ["500 No", "503 No", "429 No"])
def test_an_error_before_the_first_byte_keeps_the_earlier_bytes(status: str, closed_port: int) -> None:
    into = io.BytesIO(CONTENT[:200])
    with serve(respond_with(status)) as server, pytest.raises(Interrupted) as caught:
        download(server, into=into, offset=200, etag=ETAG)
    assert (caught.value.got_bytes, caught.value.etag) == (200, ETAG)
    with pytest.raises(Interrupted) as caught:
        fetch(f"http://127.0.0.1:{closed_port}/", into=into, offset=200, etag=ETAG, limits=LIMITS, allow=ALLOW_LOOPBACK)
    assert (caught.value.got_bytes, caught.value.etag) == (200, ETAG)
    assert into.getvalue() == CONTENT[:200]


def test_last_modified_is_the_validator_without_a_strong_etag() -> None:
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    with serve(respond_with("200 OK", CONTENT, headers={"ETag": 'W/"weak"', "Last-Modified": date})) as server:
        assert download(server)[0].etag == date


def test_f49_the_size_limit_includes_resumed_bytes() -> None:
    span = {"Content-Range": "bytes 900000-1100000/1100001"}
    with serve(respond_with("206 Part", b"x" * 200_001, headers=MP4 | span)) as server, pytest.raises(TooLarge):
        download(server, into=io.BytesIO(b"x" * 900_000), offset=900_000, etag=ETAG)


def test_f47_a_file_fast_enough_but_over_the_total_time_can_be_resumed() -> None:
    limits = FetchLimits(read_s=0.5, response_s=1, total_s=1, min_bytes_per_s=1000, speed_window_s=0.3)
    behave = send_slowly(make_http_response("200 OK", b"", length=len(CONTENT), headers=MP4), b"x" * 2000)
    with serve(behave) as server, pytest.raises(TooSlow) as caught:
        download(server, limits=limits)
    assert caught.value.got_bytes >= 4000
    assert caught.value.etag == ETAG

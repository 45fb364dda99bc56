"""Fetching a result: nowhere private, whole or resumable, never endless, never slower than bearable."""

import datetime
import io
import ipaddress
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.videos.providers.loopback import Behaviour, Loopback, answer, resets, says, serving
from videos.providers.http import download_errors
from videos.providers.http.addresses import AllowList
from videos.providers.http.download import FetchLimits, FetchResult, fetch
from videos.providers.http.download_errors import (
    FetchError,
    ForbiddenAddress,
    Interrupted,
    LinkExpired,
    Missing,
    TooLarge,
    TooSlow,
)

FILM = bytes(range(256)) * 2000  # 512,000 bytes
ETAG = '"film-1"'
SIGNATURE = "X-Amz-Signature=canary-signature"
HOME = AllowList.parse("127.0.0.1")
LIMITS = FetchLimits(
    max_bytes=1_000_000, connect_s=1, read_s=0.5, answer_s=1, total_s=3, min_bytes_per_s=1000, speed_window_s=0.4
)
MP4 = {"Content-Type": "video/mp4", "ETag": ETAG}


def get(server: Loopback, path: str = f"/v/a.mp4?{SIGNATURE}", **kwargs: Any) -> tuple[FetchResult, bytes]:
    into = kwargs.pop("into", None) or io.BytesIO()
    fetched = fetch(server.url + path, into=into, limits=kwargs.pop("limits", LIMITS), allow=HOME, **kwargs)
    return fetched, into.getvalue()


def serves_ranges(film: bytes = FILM, etag: str = ETAG) -> Behaviour:
    """A good file server: ranges, If-Range, 416."""

    def behave(sock: socket.socket, request: bytes) -> None:
        asked = re.search(rb"\r\nRange: bytes=(\d+)-\r\n", request)
        match = re.search(rb"\r\nIf-Range: ([^\r]+)\r\n", request)
        headers = {"Content-Type": "video/mp4", "ETag": etag}
        if asked is None or (match and match[1].decode() != etag):
            sock.sendall(answer("200 OK", film, headers=headers))
            return
        start = int(asked[1])
        if start >= len(film):
            data = answer("416 Range Not Satisfiable", headers=headers | {"Content-Range": f"bytes */{len(film)}"})
        else:
            span = f"bytes {start}-{len(film) - 1}/{len(film)}"
            data = answer("206 Partial Content", film[start:], headers=headers | {"Content-Range": span})
        sock.sendall(data)

    return behave


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """The first behaviour for the first request, and so on; the last stays."""
    waiting = list(behaviours)

    def behave(sock: socket.socket, request: bytes) -> None:
        (waiting.pop(0) if len(waiting) > 1 else waiting[0])(sock, request)

    return behave


def test_a_whole_file_is_fetched_in_one_request() -> None:
    with serving(says("200 OK", FILM, headers=MP4)) as server:
        fetched, data = get(server)
    assert fetched == FetchResult(bytes=len(FILM), complete=True, etag=ETAG, content_type="video/mp4")
    assert data == FILM
    request = server.requests[0].decode()
    assert request.startswith(f"GET /v/a.mp4?{SIGNATURE} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n")
    assert "\r\nAccept-Encoding: identity\r\n" in request
    assert "\r\nUser-Agent: veoapp/" in request
    assert "range" not in request.lower()
    assert len(server.requests) == 1


def test_a_chunked_file_is_whole_when_its_last_chunk_came() -> None:
    body = b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (FILM[:9], FILM[9:])) + b"0\r\n\r\n"
    with serving(says("200 OK", body, length=-1, headers={"Transfer-Encoding": "chunked"})) as server:
        fetched, data = get(server)
    assert (fetched.complete, fetched.bytes, data) == (True, len(FILM), FILM)


def test_a_file_that_ends_with_its_connection_is_not_proved_whole() -> None:
    with serving(says("200 OK", FILM, length=-1)) as server:
        fetched, data = get(server)
    assert (fetched.complete, data) == (False, FILM)


def test_an_empty_file_is_a_file_of_no_bytes() -> None:
    with serving(says("200 OK", b"", headers=MP4)) as server:
        fetched, data = get(server)
    assert (fetched.complete, fetched.bytes, data) == (True, 0, b"")


# Answers that are no file.


def test_every_status_is_a_file_or_a_named_error() -> None:
    def echoes(sock: socket.socket, request: bytes) -> None:
        sock.sendall(answer(request.split(b" ")[1].decode().lstrip("/") + " Whatever", b"<html>"))

    wanted: dict[int, type[FetchError]] = {404: Missing, 401: LinkExpired, 403: LinkExpired, 410: LinkExpired}
    with serving(echoes) as server:
        assert get(server, "/200")[1] == b"<html>"
        for status in range(201, 600):
            with pytest.raises(FetchError) as caught:
                get(server, f"/{status}")
            assert type(caught.value) is wanted.get(status, Interrupted), status
            assert caught.value.status == status


def test_every_error_says_whether_to_come_again() -> None:
    kinds = [k for k in vars(download_errors).values() if isinstance(k, type) and issubclass(k, FetchError)]
    assert {kind for kind in kinds if not kind.transient} == {ForbiddenAddress, TooLarge}
    assert len({kind.code for kind in kinds}) == len(kinds) == 7
    assert issubclass(ForbiddenAddress, ValueError)


def test_a_file_compressed_unasked_is_not_taken() -> None:
    with serving(says("200 OK", FILM, headers={"Content-Encoding": "gzip"})) as server, pytest.raises(Interrupted):
        get(server)


# Resuming.


def test_f48_a_file_cut_short_by_its_length_is_resumed_to_the_same_bytes() -> None:
    cut = says("200 OK", FILM[:300_000], length=len(FILM), headers=MP4)
    with serving(in_turn(cut, serves_ranges())) as server:
        into = io.BytesIO()
        with pytest.raises(Interrupted) as caught:
            get(server, into=into)
        assert (caught.value.got_bytes, caught.value.etag) == (300_000, ETAG)
        assert type(caught.value) is Interrupted
        fetched, data = get(server, into=into, offset=300_000, etag=ETAG)
    assert (fetched.complete, fetched.bytes, data) == (True, len(FILM), FILM)
    assert b"\r\nRange: bytes=300000-\r\n" in server.requests[1]
    assert b'\r\nIf-Range: "film-1"\r\n' in server.requests[1]


@pytest.mark.parametrize(
    "tail", [b"", b"8000\r\nabc", b"zz\r\nabc", b"8\r\nabcdefgh\r\n"], ids=["no end", "short", "garbled", "no last"]
)
def test_f48_an_aborted_chunk_is_an_interruption(tail: bytes) -> None:
    body = f"{len(FILM):x}\r\n".encode() + FILM + b"\r\n" + tail
    behave = says("200 OK", body, length=-1, headers={"Transfer-Encoding": "chunked"})
    with serving(behave) as server, pytest.raises(Interrupted) as caught:
        get(server)
    assert caught.value.got_bytes >= len(FILM)


def test_f48_a_reset_and_a_stall_in_the_middle_are_interruptions() -> None:
    def resets_midway(sock: socket.socket, request: bytes) -> None:
        sock.sendall(answer("200 OK", FILM[:100_000], length=len(FILM), headers=MP4))
        time.sleep(0.2)
        resets(sock, request)

    def stalls(sock: socket.socket, request: bytes) -> None:
        sock.sendall(answer("200 OK", FILM[:100_000], length=len(FILM), headers=MP4))
        sock.settimeout(5)
        sock.recv(1)

    for behave in (resets_midway, stalls):
        with serving(behave) as server, pytest.raises(Interrupted) as caught:
            get(server)
        assert caught.value.got_bytes == 100_000
        assert caught.value.etag == ETAG


def test_a_changed_file_starts_again() -> None:
    other = bytes(reversed(FILM))
    with serving(serves_ranges(other, '"film-2"')) as server:
        into = io.BytesIO(FILM[:300_000])
        fetched, data = get(server, into=into, offset=300_000, etag=ETAG)
    assert (data, fetched.etag, fetched.complete) == (other, '"film-2"', True)


def test_a_server_without_ranges_starts_again_and_leaves_no_old_tail() -> None:
    with serving(says("200 OK", FILM[:1000], headers=MP4)) as server:
        fetched, data = get(server, into=io.BytesIO(b"x" * 300_000), offset=300_000, etag=ETAG)
    assert (data, fetched.bytes) == (FILM[:1000], 1000)


def test_without_a_validator_nothing_is_resumed() -> None:
    with serving(serves_ranges()) as server:
        fetched, data = get(server, into=io.BytesIO(b"x" * 10), offset=10, etag="")
    assert (data, fetched.complete) == (FILM, True)
    assert b"Range" not in server.requests[0]


def test_a_finished_file_is_recognised_by_416() -> None:
    with serving(serves_ranges()) as server:
        fetched, data = get(server, into=io.BytesIO(FILM), offset=len(FILM), etag=ETAG)
    assert (fetched.complete, fetched.bytes, data) == (True, len(FILM), FILM)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "first",
    [
        says("416 No", headers={"Content-Range": "bytes */5"}),
        says("416 No"),
        says("206 Part", FILM[100:], headers=MP4 | {"Content-Range": f"bytes 100-{len(FILM) - 1}/{len(FILM)}"}),
        says("206 Part", FILM[200:], headers=MP4),
        says("206 Part", FILM[200:], headers=MP4 | {"Content-Range": "pages 200-300/400"}),
        says(
            "206 Part",
            FILM[200:],
            headers={"ETag": '"film-9"', "Content-Range": f"bytes 200-{len(FILM) - 1}/{len(FILM)}"},
        ),
    ],
)
def test_a_part_that_does_not_fit_is_not_used(first: Behaviour) -> None:
    with serving(in_turn(first, serves_ranges())) as server:
        fetched, data = get(server, into=io.BytesIO(FILM[:200]), offset=200, etag=ETAG)
        assert len(server.requests) == 2
    assert (fetched.complete, data) == (True, FILM)
    assert b"Range" not in server.requests[1]


def test_a_part_shorter_than_the_rest_is_an_interruption_that_got_further() -> None:
    part = says("206 Part", FILM[200:400], headers=MP4 | {"Content-Range": f"bytes 200-399/{len(FILM)}"})
    with serving(part) as server, pytest.raises(Interrupted) as caught:
        get(server, into=io.BytesIO(FILM[:200]), offset=200, etag=ETAG)
    assert caught.value.got_bytes == 400


@pytest.mark.parametrize("status", ["500 No", "503 No", "429 No"])
def test_trouble_before_the_file_was_touched_keeps_what_is_there(status: str, closed_port: int) -> None:
    into = io.BytesIO(FILM[:200])
    with serving(says(status)) as server, pytest.raises(Interrupted) as caught:
        get(server, into=into, offset=200, etag=ETAG)
    assert (caught.value.got_bytes, caught.value.etag) == (200, ETAG)
    with pytest.raises(Interrupted) as caught:
        fetch(f"http://127.0.0.1:{closed_port}/", into=into, offset=200, etag=ETAG, limits=LIMITS, allow=HOME)
    assert (caught.value.got_bytes, caught.value.etag) == (200, ETAG)
    assert into.getvalue() == FILM[:200]


def test_last_modified_serves_where_there_is_no_strong_etag() -> None:
    date = "Wed, 21 Oct 2026 07:28:00 GMT"
    with serving(says("200 OK", FILM, headers={"ETag": 'W/"weak"', "Last-Modified": date})) as server:
        assert get(server)[0].etag == date


# Too much, too slow.


def test_f49_a_file_that_says_it_is_too_large_is_not_begun() -> None:
    with serving(says("200 OK", b"x", length=10 << 30)) as server:
        into = io.BytesIO()
        with pytest.raises(TooLarge):
            get(server, into=into)
    assert into.getvalue() == b""


@pytest.mark.parametrize("chunked", [True, False])
def test_f49_an_endless_file_is_cut_at_the_cap(chunked: bool) -> None:
    def pours(sock: socket.socket, request: bytes) -> None:
        headers = {"Transfer-Encoding": "chunked"} if chunked else {}
        sock.sendall(answer("200 OK", b"", length=-1, headers=headers))
        while True:
            sock.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n" if chunked else b"x" * 65536)

    with serving(pours) as server:
        into = io.BytesIO()
        with pytest.raises(TooLarge):
            get(server, into=into)
    assert len(into.getvalue()) <= LIMITS.max_bytes


def test_f49_a_resumed_file_is_capped_as_a_whole() -> None:
    span = {"Content-Range": "bytes 900000-1100000/1100001"}
    with serving(says("206 Part", b"x" * 200_001, headers=MP4 | span)) as server, pytest.raises(TooLarge):
        get(server, into=io.BytesIO(b"x" * 900_000), offset=900_000, etag=ETAG)


def drips(head: bytes, drop: bytes) -> Behaviour:
    """Every 0.2 s another drop: the scaled twin of one byte in five seconds."""

    def behave(sock: socket.socket, request: bytes) -> None:
        sock.sendall(head)
        while True:
            sock.sendall(drop)
            time.sleep(0.2)

    return behave


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (answer("200 OK", b"", length=len(FILM)), b"x"),
        (answer("200 OK", b"", length=-1), b"x"),
        (answer("200 OK", b"", length=-1, headers={"Transfer-Encoding": "chunked"}), b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Drip: 1\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"", b"H"),
    ],
    ids=["by length", "by end", "by chunk", "headers", "one header", "status line"],
)
def test_f47_a_slow_loris_is_cut_and_the_worker_is_free(head: bytes, drop: bytes) -> None:
    with serving(drips(head, drop)) as server:
        began = time.monotonic()
        with pytest.raises((TooSlow, Interrupted)) as caught:
            get(server)
        assert time.monotonic() - began < 2
    assert caught.value.transient


def test_f47_a_line_end_that_never_comes_is_cut_by_the_total_time() -> None:
    # Inside a chunk's length no byte of the file arrives, so only the wall clock can end it.
    head = answer("200 OK", b"", length=-1, headers={"Transfer-Encoding": "chunked"})
    with serving(drips(head, b"0")) as server:
        began = time.monotonic()
        with pytest.raises(TooSlow, match="total"):
            get(server, limits=FetchLimits(read_s=0.5, answer_s=1, total_s=1))
        assert time.monotonic() - began < 2


def test_f47_a_file_at_a_bearable_speed_past_the_total_time_is_resumable() -> None:
    limits = FetchLimits(read_s=0.5, answer_s=1, total_s=1, min_bytes_per_s=1000, speed_window_s=0.3)
    behave = drips(answer("200 OK", b"", length=len(FILM), headers=MP4), b"x" * 2000)
    with serving(behave) as server, pytest.raises(TooSlow) as caught:
        get(server, limits=limits)
    assert caught.value.got_bytes >= 4000
    assert caught.value.etag == ETAG


# Addresses and redirects.


def resolver(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> list[str]:
    """Names that resolve as told, each time to the next address; returns the list of what was asked."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host not in names:
            return real(host, port, *args, **kwargs)
        asked.append(host)
        answers = names[host]
        addresses = (answers.pop(0) if len(answers) > 1 else answers[0]).split()
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "metadata.test", "2130706433", "0x7f.1", "a@127.0.0.1"],
)
def test_f46_a_private_address_is_refused_before_any_connection(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, {"metadata.test": ["169.254.169.254"], "localhost": ["127.0.0.1 ::1"]})
    dialled: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: dialled.append(address))
    for scheme in ("http", "https"):
        with pytest.raises(ForbiddenAddress):
            fetch(f"{scheme}://{host}/v.mp4", into=io.BytesIO(), limits=LIMITS, allow=AllowList())
    assert dialled == []


def test_f46_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, {"results.test": ["1.1.1.1 10.0.0.1", "1.1.1.1 ::ffff:10.0.0.1", "64:ff9b::a00:1"]})
    dialled: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: dialled.append(address))
    for _ in range(3):
        with pytest.raises(ForbiddenAddress):
            fetch("https://results.test/v.mp4", into=io.BytesIO(), limits=LIMITS, allow=AllowList())
    assert dialled == []


def test_f46_a_rebinding_name_is_resolved_once_and_the_checked_address_is_dialled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = resolver(monkeypatch, {"rebind.test": ["127.0.0.1", "127.0.0.2"]})
    dialled: list[Any] = []
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        dialled.append(address)
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    with serving(says("200 OK", FILM, headers=MP4)) as server:
        url = f"http://rebind.test:{server.port}/v.mp4"
        into = io.BytesIO()
        assert fetch(url, into=into, limits=LIMITS, allow=HOME).complete
        assert (asked, [address[0] for address in dialled]) == (["rebind.test"], ["127.0.0.1"])
        assert f"Host: rebind.test:{server.port}".encode() in server.requests[0]
        with pytest.raises(ForbiddenAddress, match=r"127\.0\.0\.2"):
            fetch(url, into=into, limits=LIMITS, allow=HOME)
        assert len(dialled) == 1


def test_f46_a_name_that_rebinds_between_redirects_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, {"rebind.test": ["127.0.0.1", "127.0.0.2"]})
    with serving(says("302 Found", headers={"Location": "/again"})) as server:
        with pytest.raises(ForbiddenAddress):
            fetch(f"http://rebind.test:{server.port}/", into=io.BytesIO(), limits=LIMITS, allow=HOME)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2/", "https://127.0.0.2/", "http://169.254.169.254/latest/meta-data/", "https://10.0.0.1/",
        "//10.0.0.1/x", "http://[::1]/", "http://[::ffff:127.0.0.2]/", "http://[64:ff9b::7f00:1]/", "file:///etc/passwd",
        "ftp://127.0.0.1/", "gopher://127.0.0.1/", "http://2130706433/", "http://0177.0.0.1/", "http://0x7f000001/",
        "http://user@127.0.0.1/", "http://127.0.0.1\\@evil.test/", "http://1.1.1.1/", "https://1.1.1.1:8443/", "http://[",
        "data:video/mp4,x", "javascript:alert(1)", "https://",
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_f46_a_redirect_to_where_nothing_may_be_fetched_is_refused(location: str, status: int) -> None:
    with serving(says(f"{status} Moved", headers={"Location": location})) as server:
        with pytest.raises(ForbiddenAddress):
            get(server)
        assert len(server.requests) == 1


def test_three_redirects_are_followed_and_a_fourth_is_not() -> None:
    def moves(sock: socket.socket, request: bytes) -> None:
        left = int(request.split(b" ")[1].lstrip(b"/"))
        if left:
            sock.sendall(answer("302 Found", headers={"Location": f"/{left - 1}"}))
        else:
            sock.sendall(answer("200 OK", FILM, headers=MP4))

    with serving(moves) as server:
        assert get(server, "/3")[1] == FILM
        assert len(server.requests) == 4
        with pytest.raises(Interrupted, match="redirects"):
            get(server, "/4")
        with pytest.raises(Interrupted, match="redirects"):
            get(server, "/400")
        assert len(server.requests) == 12


def test_a_redirect_keeps_asking_for_the_rest_only() -> None:
    def behave(sock: socket.socket, request: bytes) -> None:
        if request.startswith(b"GET /start"):
            sock.sendall(answer("307 Moved", headers={"Location": "/film"}))
        else:
            serves_ranges()(sock, request)

    with serving(behave) as server:
        assert get(server, "/start", into=io.BytesIO(FILM[:9]), offset=9, etag=ETAG)[1] == FILM
    assert b"Range: bytes=9-" in server.requests[1]


def test_a_redirect_to_nowhere_is_an_interruption() -> None:
    with serving(says("302 Found")) as server, pytest.raises(Interrupted, match="nowhere"):
        get(server)


# TLS.


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]]:
    """Makes (the server's, the client's) contexts for a certificate of a name."""

    def contexts(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        folder: Path = tmp_path_factory.mktemp("tls")
        public = certificate.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "both.pem").write_bytes(private + public)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(folder / "both.pem")
        return server, ssl.create_default_context(cadata=public.decode())

    return contexts


def test_the_name_is_kept_for_tls_and_the_checked_address_is_dialled(
    tls: Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolver(monkeypatch, {"results.test": ["127.0.0.1"]})
    theirs, ours = tls("results.test")
    greeted: list[str | None] = []
    theirs.sni_callback = lambda sock, name, context: greeted.append(name)
    with serving(says("200 OK", FILM, headers=MP4), tls=theirs) as server:
        into = io.BytesIO()
        url = f"https://results.test:{server.port}/v.mp4"
        assert fetch(url, into=into, limits=LIMITS, allow=HOME, tls=ours).complete
    assert (into.getvalue(), greeted, asked) == (FILM, ["results.test"], ["results.test"])


def test_a_certificate_of_another_name_or_of_nobody_is_not_accepted(
    tls: Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver(monkeypatch, {"results.test": ["127.0.0.1"]})
    theirs, ours = tls("other.test")
    with serving(says("200 OK", FILM), tls=theirs) as server:
        url = f"https://results.test:{server.port}/v.mp4"
        with pytest.raises(Interrupted, match="TLS"):
            fetch(url, into=io.BytesIO(), limits=LIMITS, allow=HOME, tls=ours)
        with pytest.raises(Interrupted, match="TLS"):
            fetch(url, into=io.BytesIO(), limits=LIMITS, allow=HOME)
        assert server.requests == []


# What it keeps to itself, and what it leaves to its caller.


def test_no_signature_is_in_an_error_or_a_log(caplog: pytest.LogCaptureFixture, closed_port: int) -> None:
    secret = "canary-signature"
    behaviours: list[Behaviour] = [
        says("403 No"),
        says("404 No"),
        says("500 No"),
        says("200 OK", FILM[:9], length=99),
        says("302 Found", headers={"Location": f"http://10.0.0.1/x?{SIGNATURE}"}),
        says("302 Found", headers={"Location": f"ftp://10.0.0.1/x?{SIGNATURE}"}),
        resets,
    ]
    with caplog.at_level(logging.DEBUG):
        for behave in behaviours:
            with serving(behave) as server, pytest.raises(FetchError) as caught:
                get(server)
            assert secret not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
        with pytest.raises(FetchError) as caught:
            fetch(f"http://127.0.0.1:{closed_port}/x?{SIGNATURE}", into=io.BytesIO(), limits=LIMITS, allow=HOME)
        assert secret not in repr(caught.value)
    assert secret not in caplog.text


def test_a_full_disk_is_the_callers_own_error() -> None:
    class FullDisk(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    with serving(says("200 OK", FILM)) as server, pytest.raises(OSError, match="No space"):
        get(server, into=FullDisk())


def test_the_environments_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(says("200 OK", FILM)) as server:
        assert get(server)[1] == FILM


def test_a_fetch_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with serving(says("200 OK", FILM)) as server:
        get(server)
    # The test's own server may need a moment to end its thread.
    until = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_the_default_limits_take_a_video_and_no_more() -> None:
    limits = FetchLimits()
    assert limits.max_bytes == 1 << 30
    assert limits.answer_s < limits.total_s
    assert ipaddress.ip_address("127.0.0.1").is_loopback

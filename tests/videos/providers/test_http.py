"""The network's door against real sockets: what was surely not sent, what may have been, and never twice."""

import gzip
import json
import logging
import socket
import threading
import time
import traceback
import zlib
from collections.abc import Callable

import pytest

from tests.videos.providers.conftest import KEY
from tests.videos.providers.loopback import Behaviour, answer, resets, says, serving
from tests.videos.providers.wire import CALLBACK, TASK, a_request, envelope
from videos.providers.errors import NoAnswer, NotSent, RateLimited, Unconfirmed
from videos.providers.http import exchange
from videos.providers.http.exchange import AnswerLost, Bearer, Limits, Undelivered
from videos.providers.kie.client import Kie

ACCEPTED = json.dumps(envelope(data={"taskId": TASK})).encode()
TYPE = {"Content-Type": "application/json;charset=UTF-8"}


def a_kie(url: str, limits: Limits) -> Kie:
    return Kie(KEY, url, url, limits=limits, upload_limits=limits)


def never_answers(sock: socket.socket, request: bytes) -> None:
    """Waits until the client has gone."""
    sock.settimeout(5)
    sock.recv(1)


def closes(sock: socket.socket, request: bytes) -> None:
    """Takes the request and hangs up."""


def resets_mid_answer(sock: socket.socket, request: bytes) -> None:
    sock.sendall(answer("200 OK", ACCEPTED[:20], length=len(ACCEPTED), headers=TYPE))
    resets(sock, request)


def stalls_mid_answer(sock: socket.socket, request: bytes) -> None:
    sock.sendall(answer("200 OK", ACCEPTED[:20], length=len(ACCEPTED), headers=TYPE))
    never_answers(sock, request)


def drips(data: bytes, *, after: bytes = b"") -> Behaviour:
    """A byte every 0.1 s: each one starts the socket's own time limit again."""

    def behave(sock: socket.socket, request: bytes) -> None:
        sock.sendall(after)
        for byte in data:
            sock.sendall(bytes([byte]))
            time.sleep(0.1)

    return behave


def pours(head: bytes) -> Behaviour:
    """An endless body."""

    def behave(sock: socket.socket, request: bytes) -> None:
        sock.sendall(head)
        while True:
            sock.sendall(b'{"code":200,' * 5000)

    return behave


LOST: dict[str, Behaviour] = {
    "no answer": never_answers,
    "hangs up": closes,
    "resets after the request": resets,
    "resets in the answer": resets_mid_answer,
    "stalls in the answer": stalls_mid_answer,
    "drips headers": drips(answer("200 OK", ACCEPTED, headers=TYPE)),
    "drips the body": drips(b" " * 500, after=answer("200 OK", b"", length=500, headers=TYPE)),
    "drips a body without a length": drips(b" " * 500, after=answer("200 OK", ACCEPTED, length=-1, headers=TYPE)),
    "truncates by length": says("200 OK", ACCEPTED[:-5], length=len(ACCEPTED), headers=TYPE),
    "truncates by chunk": says(
        "200 OK", b"50\r\n" + ACCEPTED[:10], length=-1, headers=TYPE | {"Transfer-Encoding": "chunked"}
    ),
    "garbles a chunk": says("200 OK", b"zz\r\n" + ACCEPTED, length=-1, headers=TYPE | {"Transfer-Encoding": "chunked"}),
    "says no HTTP": lambda sock, request: sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
}

UNUSABLE: dict[str, Behaviour] = {
    "truncated JSON": says("200 OK", ACCEPTED[:-5], headers=TYPE),
    "truncated JSON without a length": says("200 OK", ACCEPTED[:-5], length=-1, headers=TYPE),
    "HTML 502": says("502 Bad Gateway", b"<html>502</html>", headers={"Content-Type": "text/html"}),
    "HTML 200": says("200 OK", b"<html>hello</html>", headers={"Content-Type": "text/html"}),
    "empty": says("200 OK", b""),
    "204": says("204 No Content", length=-1),
    "endless": pours(answer("200 OK", b"", length=-1, headers=TYPE)),
    "endless by length": pours(answer("200 OK", b"", length=200_000_000, headers=TYPE)),
    "gzip bomb": says("200 OK", gzip.compress(b"0" * (32 << 20), 9), headers=TYPE | {"Content-Encoding": "gzip"}),
    "broken gzip": says("200 OK", b"\x1f\x8b" + ACCEPTED, headers=TYPE | {"Content-Encoding": "gzip"}),
    "cut gzip": says("200 OK", gzip.compress(ACCEPTED)[:-12], headers=TYPE | {"Content-Encoding": "gzip"}),
    "brotli": says("200 OK", ACCEPTED, headers=TYPE | {"Content-Encoding": "br"}),
}


@pytest.mark.parametrize("behave", [*LOST.values(), *UNUSABLE.values()], ids=[*LOST, *UNUSABLE])
def test_f11_f12_f25_a_lost_or_unusable_answer_is_unconfirmed_after_exactly_one_request(
    behave: Behaviour, quick: Limits
) -> None:
    with serving(behave) as server:
        began = time.monotonic()
        with pytest.raises(Unconfirmed):
            a_kie(server.url, quick).submit(a_request())
        assert time.monotonic() - began < quick.total_s + 2
        assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("behave", LOST.values(), ids=list(LOST))
def test_f25_a_free_call_is_sent_once_as_well_and_is_no_answer(behave: Behaviour, quick: Limits) -> None:
    with serving(behave) as server:
        with pytest.raises(NoAnswer):
            a_kie(server.url, quick).report(TASK)
        assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 304])
def test_f25_a_redirect_is_never_followed_and_nothing_was_begun(status: int, quick: Limits) -> None:
    with serving(says("200 OK", ACCEPTED, headers=TYPE)) as elsewhere:
        there = says(f"{status} Moved", headers={"Location": f"{elsewhere.url}/api/v1/veo/generate"})
        with serving(there) as server:
            with pytest.raises(NotSent):
                a_kie(server.url, quick).submit(a_request())
            with pytest.raises(NoAnswer):
                a_kie(server.url, quick).report(TASK)
            assert len(server.requests) == 2
        assert elsewhere.connections == 0


def test_f25_two_paid_requests_never_share_a_connection(quick: Limits) -> None:
    def keeps_alive(sock: socket.socket, request: bytes) -> None:
        sock.sendall(answer("200 OK", ACCEPTED, headers=TYPE | {"Connection": "keep-alive"}))
        sock.settimeout(2)
        assert sock.recv(1) == b""

    with serving(keeps_alive) as server:
        kie = a_kie(server.url, quick)
        assert [kie.submit(a_request()) for _ in range(3)] == [TASK] * 3
        assert (server.connections, len(server.requests)) == (3, 3)


def test_f25_a_rate_limit_is_not_retried_by_the_library(quick: Limits) -> None:
    with serving(says("429 Too Many Requests", b"{}", headers=TYPE | {"Retry-After": "0"})) as server:
        with pytest.raises(RateLimited):
            a_kie(server.url, quick).submit(a_request())
        assert len(server.requests) == 1


# F08: surely not sent.


def test_f08_a_refused_connection_was_not_sent(closed_port: int, quick: Limits) -> None:
    kie = a_kie(f"http://127.0.0.1:{closed_port}", quick)
    with pytest.raises(NotSent, match="refused"):
        kie.submit(a_request())
    with pytest.raises(NoAnswer, match="refused"):
        kie.report(TASK)


def test_f08_a_name_that_does_not_resolve_was_not_sent(quick: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with pytest.raises(NotSent, match="resolve"):
        a_kie("https://api.kie.test", quick).submit(a_request())


def test_f08_a_failed_tls_handshake_was_not_sent(quick: Limits) -> None:
    plainly = answer("400 Bad Request", b"plain HTTP")
    with serving(closes, greeting=plainly) as server, pytest.raises(NotSent, match="TLS"):
        a_kie(server.url.replace("http:", "https:"), quick).submit(a_request())


def test_f08_a_handshake_that_never_ends_was_not_sent(quick: Limits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel accepts, nobody answers
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(NotSent):
            a_kie(url, quick).submit(a_request())


def test_f08_a_connection_that_is_never_accepted_was_not_sent() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = []
        for _ in range(4):  # fills the backlog, so that the next one waits for an answer to its first packet
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(address)
            fillers.append(filler)
        kie = a_kie(f"http://127.0.0.1:{address[1]}", Limits(connect_s=0.3, read_s=1, total_s=3))
        with pytest.raises(NotSent, match="in time"):
            kie.submit(a_request())
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("url", ["http://exa mple.test", "ftp://x.test", "nonsense", "http://", "http://x.test:99999",
                                 "http://" + "a" * 70 + ".test", "http://[::1"])  # fmt: skip
def test_f08_a_malformed_address_was_not_sent(url: str, quick: Limits) -> None:
    with pytest.raises(NotSent):
        a_kie(url, quick).submit(a_request())


# F43 and what else the body may be.


@pytest.mark.parametrize("name", ["endless", "endless by length", "gzip bomb"])
def test_f43_an_oversized_answer_is_cut_at_the_limit(name: str, quick: Limits) -> None:
    with serving(UNUSABLE[name]) as server:
        got = exchange.call("GET", server.url, auth=Bearer(KEY), limits=quick)
    assert got.truncated
    assert len(got.body) == quick.body_bytes == 1 << 20


def test_f43_a_bomb_on_record_info_is_no_answer(quick: Limits) -> None:
    for name in ("endless", "gzip bomb"):
        with serving(UNUSABLE[name]) as server, pytest.raises(NoAnswer):
            a_kie(server.url, quick).report(TASK)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
def test_an_answer_compressed_unasked_is_read(encoding: str, pack: Callable[[bytes], bytes], quick: Limits) -> None:
    with serving(says("200 OK", pack(ACCEPTED), headers=TYPE | {"Content-Encoding": encoding})) as server:
        assert a_kie(server.url, quick).submit(a_request()) == TASK


def test_a_chunked_answer_is_read(quick: Limits) -> None:
    body = f"{len(ACCEPTED):x}\r\n".encode() + ACCEPTED + b"\r\n0\r\n\r\n"
    with serving(says("200 OK", body, length=-1, headers=TYPE | {"Transfer-Encoding": "chunked"})) as server:
        assert a_kie(server.url, quick).submit(a_request()) == TASK


def test_an_answer_that_says_its_length_and_one_byte_more_is_read(quick: Limits) -> None:
    exact = b" " * ((1 << 20) - len(ACCEPTED)) + ACCEPTED
    for body, good in ((exact, True), (b" " + exact, False)):
        with serving(says("200 OK", body, headers=TYPE)) as server:
            got = exchange.call("GET", server.url, auth=Bearer(KEY), limits=quick)
        assert got.truncated is not good


# What the door believes and what it keeps to itself.


def test_the_environment_is_not_believed(quick: Limits, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("NETRC", netrc)
    with serving(says("200 OK", ACCEPTED, headers=TYPE)) as server:
        assert a_kie(server.url, quick).submit(a_request()) == TASK
        assert f"Authorization: Bearer {KEY}".encode() in server.requests[0]


def test_cookies_are_not_kept(quick: Limits) -> None:
    with serving(says("200 OK", ACCEPTED, headers=TYPE | {"Set-Cookie": "id=1; Path=/"})) as server:
        kie = a_kie(server.url, quick)
        kie.submit(a_request())
        kie.submit(a_request())
        assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize("behave", [LOST["resets in the answer"], UNUSABLE["HTML 502"]], ids=["reset", "502"])
def test_f18_neither_key_nor_callback_address_is_in_logs_or_tracebacks(
    behave: Behaviour, quick: Limits, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), serving(behave) as server, pytest.raises(Unconfirmed) as caught:
        a_kie(server.url, quick).submit(a_request())
    error: BaseException | None = caught.value
    while error is not None:
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        ours = [frame for frame in trace.stack if "videos/providers/http" in frame.filename]
        shown = "".join(f"{frame.name}{frame.locals}" for frame in ours) + "".join(trace.format_exception_only())
        assert KEY not in shown
        assert CALLBACK not in "".join(trace.format_exception_only())
        assert not any("site-packages" in frame.filename for frame in trace.stack)
        error = error.__cause__ or error.__context__
    assert KEY not in caplog.text
    assert CALLBACK not in caplog.text


def test_the_two_troubles_are_told_apart_at_the_door(closed_port: int, quick: Limits) -> None:
    with pytest.raises(Undelivered):
        exchange.call("GET", f"http://127.0.0.1:{closed_port}", auth=Bearer(KEY), limits=quick)
    with serving(resets) as server, pytest.raises(AnswerLost):
        exchange.call("GET", server.url, auth=Bearer(KEY), limits=quick)


def test_a_call_leaves_no_thread_and_no_socket_behind(quick: Limits) -> None:
    before = threading.active_count()
    with serving(says("200 OK", ACCEPTED, headers=TYPE)) as server:
        a_kie(server.url, quick).submit(a_request())
    assert threading.active_count() <= before

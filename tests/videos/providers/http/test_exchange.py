"""API calls over real sockets: what was certainly not sent, size limits, and secrets."""

import gzip
import logging
import socket
import threading
import traceback
import zlib
from collections.abc import Callable

import pytest

from tests.videos.providers.conftest import KEY
from tests.videos.providers.http.api_server import ACCEPTED, LOST, TYPE, UNUSABLE, close_connection, make_client
from tests.videos.providers.kie_replies import CALLBACK, TASK, make_request
from tests.videos.providers.loopback import Behaviour, answers_with, make_answer, reset_connection, serve
from videos.providers.errors import NoAnswer, NotSent, Unconfirmed
from videos.providers.http import exchange
from videos.providers.http.exchange import Bearer, Limits, ResponseLost, Undelivered


def test_f08_a_refused_connection_was_not_sent(closed_port: int, quick: Limits) -> None:
    kie = make_client(f"http://127.0.0.1:{closed_port}", quick)
    with pytest.raises(NotSent, match="refused"):
        kie.submit(make_request())
    with pytest.raises(NoAnswer, match="refused"):
        kie.report(TASK)


def test_f08_a_name_that_does_not_resolve_was_not_sent(quick: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    with pytest.raises(NotSent, match="resolve"):
        make_client("https://api.kie.test", quick).submit(make_request())


def test_f08_a_failed_tls_handshake_was_not_sent(quick: Limits) -> None:
    plainly = make_answer("400 Bad Request", b"plain HTTP")
    with serve(close_connection, greeting=plainly) as server, pytest.raises(NotSent, match="TLS"):
        make_client(server.url.replace("http:", "https:"), quick).submit(make_request())


def test_f08_a_handshake_that_never_ends_was_not_sent(quick: Limits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel accepts, no answer comes
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(NotSent):
            make_client(url, quick).submit(make_request())


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
        kie = make_client(f"http://127.0.0.1:{address[1]}", Limits(connect_s=0.3, read_s=1, total_s=3))
        with pytest.raises(NotSent, match="in time"):
            kie.submit(make_request())
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize("url", ["http://exa mple.test", "ftp://x.test", "nonsense", "http://", "http://x.test:99999",
                                 "http://" + "a" * 70 + ".test", "http://[::1"])  # fmt: skip
def test_f08_a_malformed_address_was_not_sent(url: str, quick: Limits) -> None:
    with pytest.raises(NotSent):
        make_client(url, quick).submit(make_request())


@pytest.mark.parametrize("name", ["endless", "endless by length", "gzip bomb"])
def test_f43_an_oversized_answer_is_cut_at_the_limit(name: str, quick: Limits) -> None:
    with serve(UNUSABLE[name]) as server:
        got = exchange.call("GET", server.url, auth=Bearer(KEY), limits=quick)
    assert got.truncated
    assert len(got.body) == quick.body_bytes == 1 << 20


def test_f43_a_zip_bomb_on_record_info_ends_in_no_answer(quick: Limits) -> None:
    for name in ("endless", "gzip bomb"):
        with serve(UNUSABLE[name]) as server, pytest.raises(NoAnswer):
            make_client(server.url, quick).report(TASK)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
def test_an_answer_that_is_compressed_anyway_is_read(
    encoding: str, pack: Callable[[bytes], bytes], quick: Limits
) -> None:
    with serve(answers_with("200 OK", pack(ACCEPTED), headers=TYPE | {"Content-Encoding": encoding})) as server:
        assert make_client(server.url, quick).submit(make_request()) == TASK


def test_a_chunked_answer_is_read(quick: Limits) -> None:
    body = f"{len(ACCEPTED):x}\r\n".encode() + ACCEPTED + b"\r\n0\r\n\r\n"
    with serve(answers_with("200 OK", body, length=-1, headers=TYPE | {"Transfer-Encoding": "chunked"})) as server:
        assert make_client(server.url, quick).submit(make_request()) == TASK


def test_an_answer_followed_by_an_extra_byte_is_read(quick: Limits) -> None:
    exact = b" " * ((1 << 20) - len(ACCEPTED)) + ACCEPTED
    for body, good in ((exact, True), (b" " + exact, False)):
        with serve(answers_with("200 OK", body, headers=TYPE)) as server:
            got = exchange.call("GET", server.url, auth=Bearer(KEY), limits=quick)
        assert got.truncated is not good


def test_proxies_and_netrc_of_the_environment_are_not_used(
    quick: Limits, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("NETRC", netrc)
    with serve(answers_with("200 OK", ACCEPTED, headers=TYPE)) as server:
        assert make_client(server.url, quick).submit(make_request()) == TASK
        assert f"Authorization: Bearer {KEY}".encode() in server.requests[0]


def test_cookies_are_not_kept(quick: Limits) -> None:
    with serve(answers_with("200 OK", ACCEPTED, headers=TYPE | {"Set-Cookie": "id=1; Path=/"})) as server:
        kie = make_client(server.url, quick)
        kie.submit(make_request())
        kie.submit(make_request())
        assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize("behave", [LOST["resets in the answer"], UNUSABLE["HTML 502"]], ids=["reset", "502"])
def test_f18_neither_key_nor_callback_address_is_in_logs_or_tracebacks(
    behave: Behaviour, quick: Limits, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), serve(behave) as server, pytest.raises(Unconfirmed) as caught:
        make_client(server.url, quick).submit(make_request())
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


def test_undelivered_and_lost_are_told_apart(closed_port: int, quick: Limits) -> None:
    with pytest.raises(Undelivered):
        exchange.call("GET", f"http://127.0.0.1:{closed_port}", auth=Bearer(KEY), limits=quick)
    with serve(reset_connection) as server, pytest.raises(ResponseLost):
        exchange.call("GET", server.url, auth=Bearer(KEY), limits=quick)


def test_a_call_leaves_no_thread_and_no_socket_behind(quick: Limits) -> None:
    before = threading.active_count()
    with serve(answers_with("200 OK", ACCEPTED, headers=TYPE)) as server:
        make_client(server.url, quick).submit(make_request())
    assert threading.active_count() <= before

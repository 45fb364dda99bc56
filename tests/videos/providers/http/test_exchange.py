"""API calls over real sockets: requests that were not sent, size limits, and secrets."""

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
from tests.videos.providers.loopback import Behaviour, make_http_response, reset_connection, respond_with, serve
from videos.providers.errors import NoAnswer, NotSent, Unconfirmed
from videos.providers.http import exchange
from videos.providers.http.exchange import Bearer, Limits, ResponseLost, Undelivered


def test_f08_a_refused_connection_was_not_sent(closed_port: int, short_limits: Limits) -> None:
    kie = make_client(f"http://127.0.0.1:{closed_port}", short_limits)
    with pytest.raises(NotSent, match="refused"):
        kie.submit(make_request())
    with pytest.raises(NoAnswer, match="refused"):
        kie.report(TASK)


def test_f08_a_name_that_does_not_resolve_was_not_sent(short_limits: Limits, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(NotSent, match="resolve"):
        make_client("https://api.kie.test", short_limits).submit(make_request())


def test_f08_a_failed_tls_handshake_was_not_sent(short_limits: Limits) -> None:
    plain_http = make_http_response("400 Bad Request", b"plain HTTP")
    with serve(close_connection, greeting=plain_http) as server, pytest.raises(NotSent, match="TLS"):
        make_client(server.url.replace("http:", "https:"), short_limits).submit(make_request())


def test_f08_a_handshake_that_never_ends_was_not_sent(short_limits: Limits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the kernel accepts, but nothing responds
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(NotSent):
            make_client(url, short_limits).submit(make_request())


def test_f08_a_connection_that_is_never_accepted_was_not_sent() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        blockers = []
        for _ in range(4):  # fill the backlog, so that the next connection is not accepted
            blocker = socket.socket()
            blocker.setblocking(False)
            blocker.connect_ex(address)
            blockers.append(blocker)
        kie = make_client(f"http://127.0.0.1:{address[1]}", Limits(connect_s=0.3, read_s=1, total_s=3))
        with pytest.raises(NotSent, match="in time"):
            kie.submit(make_request())
        for blocker in blockers:
            blocker.close()


@pytest.mark.parametrize("url", ["http://exa mple.test", "ftp://x.test", "nonsense", "http://", "http://x.test:99999",
                                 "http://" + "a" * 70 + ".test", "http://[::1"])  # fmt: skip
def test_f08_a_malformed_address_was_not_sent(url: str, short_limits: Limits) -> None:
    with pytest.raises(NotSent):
        make_client(url, short_limits).submit(make_request())


@pytest.mark.parametrize("name", ["endless", "endless by length", "gzip bomb"])
def test_f43_an_oversized_response_is_cut_at_the_limit(name: str, short_limits: Limits) -> None:
    with serve(UNUSABLE[name]) as server:
        response = exchange.call("GET", server.url, auth=Bearer(KEY), limits=short_limits)
    assert response.truncated
    assert len(response.body) == short_limits.body_bytes == 1 << 20


def test_f43_a_zip_bomb_on_record_info_ends_in_no_answer(short_limits: Limits) -> None:
    for name in ("endless", "gzip bomb"):
        with serve(UNUSABLE[name]) as server, pytest.raises(NoAnswer):
            make_client(server.url, short_limits).report(TASK)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
def test_a_response_compressed_without_request_is_read(
    encoding: str, pack: Callable[[bytes], bytes], short_limits: Limits
) -> None:
    with serve(respond_with("200 OK", pack(ACCEPTED), headers=TYPE | {"Content-Encoding": encoding})) as server:
        assert make_client(server.url, short_limits).submit(make_request()) == TASK


def test_a_chunked_response_is_read(short_limits: Limits) -> None:
    body = f"{len(ACCEPTED):x}\r\n".encode() + ACCEPTED + b"\r\n0\r\n\r\n"
    with serve(respond_with("200 OK", body, length=-1, headers=TYPE | {"Transfer-Encoding": "chunked"})) as server:
        assert make_client(server.url, short_limits).submit(make_request()) == TASK


def test_a_response_of_exactly_the_maximum_size_is_read(short_limits: Limits) -> None:
    exact = b" " * ((1 << 20) - len(ACCEPTED)) + ACCEPTED
    for body, fits in ((exact, True), (b" " + exact, False)):
        with serve(respond_with("200 OK", body, headers=TYPE)) as server:
            response = exchange.call("GET", server.url, auth=Bearer(KEY), limits=short_limits)
        assert response.truncated is not fits


def test_proxies_and_netrc_of_the_environment_are_not_used(
    short_limits: Limits, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("NETRC", netrc)
    with serve(respond_with("200 OK", ACCEPTED, headers=TYPE)) as server:
        assert make_client(server.url, short_limits).submit(make_request()) == TASK
        assert f"Authorization: Bearer {KEY}".encode() in server.requests[0]


def test_cookies_are_not_kept(short_limits: Limits) -> None:
    with serve(respond_with("200 OK", ACCEPTED, headers=TYPE | {"Set-Cookie": "id=1; Path=/"})) as server:
        kie = make_client(server.url, short_limits)
        kie.submit(make_request())
        kie.submit(make_request())
        assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize("behave", [LOST["resets during the response"], UNUSABLE["HTML 502"]], ids=["reset", "502"])
def test_f18_neither_key_nor_callback_address_is_in_logs_or_tracebacks(
    behave: Behaviour, short_limits: Limits, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), serve(behave) as server, pytest.raises(Unconfirmed) as caught:
        make_client(server.url, short_limits).submit(make_request())
    error: BaseException | None = caught.value
    while error is not None:
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        own_frames = [frame for frame in trace.stack if "videos/providers/http" in frame.filename]
        visible_text = "".join(f"{frame.name}{frame.locals}" for frame in own_frames) + "".join(
            trace.format_exception_only()
        )
        assert KEY not in visible_text
        assert CALLBACK not in "".join(trace.format_exception_only())
        assert not any("site-packages" in frame.filename for frame in trace.stack)
        error = error.__cause__ or error.__context__
    assert KEY not in caplog.text
    assert CALLBACK not in caplog.text


def test_an_undelivered_request_and_a_lost_response_raise_different_errors(
    closed_port: int, short_limits: Limits
) -> None:
    with pytest.raises(Undelivered):
        exchange.call("GET", f"http://127.0.0.1:{closed_port}", auth=Bearer(KEY), limits=short_limits)
    with serve(reset_connection) as server, pytest.raises(ResponseLost):
        exchange.call("GET", server.url, auth=Bearer(KEY), limits=short_limits)


def test_a_call_leaves_no_thread_running(short_limits: Limits) -> None:
    before = threading.active_count()
    with serve(respond_with("200 OK", ACCEPTED, headers=TYPE)) as server:
        make_client(server.url, short_limits).submit(make_request())
    assert threading.active_count() <= before

"""API calls whose response is lost or unusable: they are sent exactly once."""

import socket
import time

import pytest

from tests.videos.providers.http.api_server import ACCEPTED, LOST, TYPE, UNUSABLE, make_client
from tests.videos.providers.kie_replies import TASK, make_request
from tests.videos.providers.loopback import Behaviour, make_http_response, respond_with, serve
from videos.providers.errors import NoAnswer, NotSent, RateLimited, Unconfirmed
from videos.providers.http.exchange import Limits


@pytest.mark.parametrize("behave", [*LOST.values(), *UNUSABLE.values()], ids=[*LOST, *UNUSABLE])
def test_f11_f12_f25_a_lost_or_unusable_response_is_unconfirmed_after_exactly_one_request(
    behave: Behaviour, short_limits: Limits
) -> None:
    with serve(behave) as server:
        started = time.monotonic()
        with pytest.raises(Unconfirmed):
            make_client(server.url, short_limits).submit(make_request())
        assert time.monotonic() - started < short_limits.total_s + 2
        assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("behave", LOST.values(), ids=list(LOST))
def test_f25_a_free_call_is_also_sent_once_and_ends_in_no_answer(behave: Behaviour, short_limits: Limits) -> None:
    with serve(behave) as server:
        with pytest.raises(NoAnswer):
            make_client(server.url, short_limits).report(TASK)
        assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 304])
def test_f25_a_redirect_is_never_followed_and_counts_as_not_sent(status: int, short_limits: Limits) -> None:
    with serve(respond_with("200 OK", ACCEPTED, headers=TYPE)) as target:
        redirect = respond_with(f"{status} Moved", headers={"Location": f"{target.url}/api/v1/veo/generate"})
        with serve(redirect) as server:
            with pytest.raises(NotSent):
                make_client(server.url, short_limits).submit(make_request())
            with pytest.raises(NoAnswer):
                make_client(server.url, short_limits).report(TASK)
            assert len(server.requests) == 2
        assert target.connections == 0


def test_f25_two_paid_requests_never_share_a_connection(short_limits: Limits) -> None:
    def keep_alive(sock: socket.socket, request: bytes) -> None:
        sock.sendall(make_http_response("200 OK", ACCEPTED, headers=TYPE | {"Connection": "keep-alive"}))
        sock.settimeout(2)
        assert sock.recv(1) == b""

    with serve(keep_alive) as server:
        kie = make_client(server.url, short_limits)
        assert [kie.submit(make_request()) for _ in range(3)] == [TASK] * 3
        assert (server.connections, len(server.requests)) == (3, 3)


def test_f25_a_rate_limit_is_not_retried_by_the_library(short_limits: Limits) -> None:
    with serve(respond_with("429 Too Many Requests", b"{}", headers=TYPE | {"Retry-After": "0"})) as server:
        with pytest.raises(RateLimited):
            make_client(server.url, short_limits).submit(make_request())
        assert len(server.requests) == 1

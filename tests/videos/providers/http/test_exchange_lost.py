"""API calls whose answer is lost or unusable: sent exactly once, and never taken for an answer."""

import socket
import time

import pytest

from tests.videos.providers.http.api_server import ACCEPTED, LOST, TYPE, UNUSABLE, make_client
from tests.videos.providers.kie_replies import TASK, make_request
from tests.videos.providers.loopback import Behaviour, answers_with, make_answer, serve
from videos.providers.errors import NoAnswer, NotSent, RateLimited, Unconfirmed
from videos.providers.http.exchange import Limits


@pytest.mark.parametrize("behave", [*LOST.values(), *UNUSABLE.values()], ids=[*LOST, *UNUSABLE])
def test_f11_f12_f25_a_lost_or_unusable_answer_is_unconfirmed_after_exactly_one_request(
    behave: Behaviour, quick: Limits
) -> None:
    with serve(behave) as server:
        began = time.monotonic()
        with pytest.raises(Unconfirmed):
            make_client(server.url, quick).submit(make_request())
        assert time.monotonic() - began < quick.total_s + 2
        assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("behave", LOST.values(), ids=list(LOST))
def test_f25_a_free_call_is_sent_once_as_well_and_ends_in_no_answer(behave: Behaviour, quick: Limits) -> None:
    with serve(behave) as server:
        with pytest.raises(NoAnswer):
            make_client(server.url, quick).report(TASK)
        assert (server.connections, len(server.requests)) == (1, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 304])
def test_f25_a_redirect_is_never_followed_and_counts_as_not_sent(status: int, quick: Limits) -> None:
    with serve(answers_with("200 OK", ACCEPTED, headers=TYPE)) as elsewhere:
        there = answers_with(f"{status} Moved", headers={"Location": f"{elsewhere.url}/api/v1/veo/generate"})
        with serve(there) as server:
            with pytest.raises(NotSent):
                make_client(server.url, quick).submit(make_request())
            with pytest.raises(NoAnswer):
                make_client(server.url, quick).report(TASK)
            assert len(server.requests) == 2
        assert elsewhere.connections == 0


def test_f25_two_paid_requests_never_share_a_connection(quick: Limits) -> None:
    def keeps_alive(sock: socket.socket, request: bytes) -> None:
        sock.sendall(make_answer("200 OK", ACCEPTED, headers=TYPE | {"Connection": "keep-alive"}))
        sock.settimeout(2)
        assert sock.recv(1) == b""

    with serve(keeps_alive) as server:
        kie = make_client(server.url, quick)
        assert [kie.submit(make_request()) for _ in range(3)] == [TASK] * 3
        assert (server.connections, len(server.requests)) == (3, 3)


def test_f25_a_rate_limit_is_not_retried_by_the_library(quick: Limits) -> None:
    with serve(answers_with("429 Too Many Requests", b"{}", headers=TYPE | {"Retry-After": "0"})) as server:
        with pytest.raises(RateLimited):
            make_client(server.url, quick).submit(make_request())
        assert len(server.requests) == 1

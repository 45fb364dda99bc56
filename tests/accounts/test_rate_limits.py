"""Failures are limited by client or user, within a sliding window."""

from collections.abc import Iterator

import pytest
from django.core.cache import caches
from django.db import connection
from django.test import RequestFactory
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from accounts.rate_limits import FailureLimit, client_address
from accounts.seams import clock
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db
LIMIT = FailureLimit("test", amount=3, window_s=60)


@pytest.fixture
def manual_clock() -> Iterator[ManualClock]:
    replacement = ManualClock()
    with clock.replaced(replacement):
        yield replacement


def test_a_client_is_refused_after_too_many_failures_until_the_oldest_leaves_the_window(
    manual_clock: ManualClock,
) -> None:
    for _ in range(LIMIT.amount - 1):
        LIMIT.record_failure("192.0.2.1")
    assert LIMIT.retry_after_s("192.0.2.1") == 0
    manual_clock.sleep(20)
    LIMIT.record_failure("192.0.2.1")
    assert LIMIT.retry_after_s("192.0.2.1") == 40
    assert LIMIT.retry_after_s("192.0.2.2") == 0
    manual_clock.sleep(39.5)
    assert LIMIT.retry_after_s("192.0.2.1") == 1
    manual_clock.sleep(0.5)
    assert LIMIT.retry_after_s("192.0.2.1") == 0


def test_refusing_a_client_costs_one_query(
    manual_clock: ManualClock, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(LIMIT.amount):
        LIMIT.record_failure("192.0.2.1")
    with django_assert_num_queries(1):
        assert LIMIT.retry_after_s("192.0.2.1")


def test_limits_of_different_names_are_counted_separately(manual_clock: ManualClock) -> None:
    for _ in range(LIMIT.amount):
        LIMIT.record_failure("192.0.2.1")
    assert FailureLimit("another", amount=3, window_s=60).retry_after_s("192.0.2.1") == 0


def test_failures_of_many_clients_do_not_exceed_the_size_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches["default"], "_max_entries", 20)
    for number in range(30):
        LIMIT.record_failure(f"192.0.2.{number}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM cache_entries")
        [rows] = cursor.fetchone()
    assert 0 < rows <= 21


def test_an_address_that_proxies_did_not_report_is_empty(settings: Settings) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1")
    assert client_address(request) == "192.0.2.1"
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    assert client_address(RequestFactory().get("/", REMOTE_ADDR="")) == ""


def test_an_ipv6_client_is_counted_by_its_network() -> None:
    addresses = {client_address(RequestFactory().get("/", REMOTE_ADDR=f"2001:db8::{host}")) for host in (1, 2)}
    assert addresses == {"2001:db8::"}


def test_nobody_is_limited_while_the_cache_does_not_respond(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise ConnectionError("no cache server")

    for method in ("get", "add", "set"):
        monkeypatch.setattr(caches["default"], method, fail)
    LIMIT.record_failure("192.0.2.1")
    assert LIMIT.retry_after_s("192.0.2.1") == 0
    assert "the cache does not respond" in caplog.text

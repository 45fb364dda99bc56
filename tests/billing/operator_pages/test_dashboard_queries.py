"""How many queries the dashboard takes."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import services as alerts
from billing.budgets import limits
from billing.models import BooksRun, ProviderAccount
from billing.provider import accounts as provider_accounts
from tests.billing import generated_history, history
from tests.billing.conftest import browser_of
from tests.billing.operator_pages.dashboard_page import AT
from tests.people import make_person
from videos.models import JobRequest

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fixed_time")]

Pause = ProviderAccount.Pause


@pytest.mark.parametrize("query", ["", "?range=30d", "?range=year"])
def test_the_page_takes_at_most_eleven_queries_whatever_the_history(
    olga: User, settings: Settings, alice: User, query: str, new_spend: Callable[..., object]
) -> None:
    settings.STAFF_MFA_REQUIRED = False
    people = [make_person(f"person{number}@example.com") for number in range(25)]
    generated_history.generate(at=AT, days=9, users=people)
    JobRequest.objects.create(name="canary", started_at=AT)
    BooksRun.objects.create(at=AT, took_s=1, problems=0)
    history.make_generating(alice)
    for number in range(8):
        alerts.raise_alert(alerts.Kind.STORAGE, cause=f"disk {number}")
    limits.set_limit(subject="user", period="day", user=alice, limit=Decimal(100), actor=olga)
    staff = browser_of(olga)
    staff.get(f"/admin/{query}")
    with CaptureQueriesContext(connection) as captured:
        assert staff.get(f"/admin/{query}").status_code == 200
    queries = [captured_query["sql"] for captured_query in captured.captured_queries]
    # This includes three queries for the session and its user. In production the check of the second factor adds one.
    assert len(queries) <= 11, "\n".join(queries)
    assert not [sql for sql in queries if "billing_ledgerentry" in sql]
    # Only jobs that are open or settled since the last reading are read, by an index.
    for condition in (part for sql in queries for part in sql.split('FROM "billing_spend"')[1:]):
        assert any(text in condition for text in ("'estimated'", "'promised'", '"settled_at" >')), condition


@pytest.mark.parametrize("state", ["empty", "sandbox", "paused", "problems"])
def test_no_status_costs_more_queries(olga: User, settings: Settings, state: str) -> None:
    settings.STAFF_MFA_REQUIRED = False
    if state == "sandbox":
        settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", True
    account = provider_accounts.get_current_account()
    if state == "paused":
        provider_accounts.pause_account(account_id=account.pk, actor=olga, code=Pause.COST)
    if state == "problems":
        problem = {"invariant": "I3", "reference": "video:1", "text": "no refund"}
        BooksRun.objects.create(at=AT, took_s=1, problems=1, first_problems=[problem])
    staff = browser_of(olga)
    staff.get("/admin/")
    with CaptureQueriesContext(connection) as captured:
        page = staff.get("/admin/").content.decode()
    assert ("no refund" in page) == (state == "problems")
    assert ("Paused by olga@example.com" in page) == (state == "paused")
    assert len(captured) <= 11, "\n".join(captured_query["sql"] for captured_query in captured.captured_queries)

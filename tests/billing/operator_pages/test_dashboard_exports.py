"""The dashboard's tables as files."""

import csv
import io
import json

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import services as alerts
from billing.costs import rollups
from billing.models import Measure, ProviderAccount
from tests.billing import history
from tests.billing.conftest import browser_of
from tests.billing.operator_pages.dashboard_page import AT, count_order, read_page_text
from tests.people import make_person
from videos.templatetags import veo

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fixed_time")]

TABLES = ("timeline", "models", "users", "balance", "limits", "failures", "callbacks", "queue", "alerts")


def read_body(response: object) -> str:
    return b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_can_be_exported(staff: Client, working_account: ProviderAccount, alice: User, name: str) -> None:
    history.make_failed(alice)
    history.make_waiting(alice)
    alerts.raise_alert(alerts.Kind.TEST)
    response = staff.get(f"/admin/dashboard/export/{name}.csv?range=7d")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == f'attachment; filename="veoapp-{name}-2026-08-26-2026-09-01.csv"'
    rows = list(csv.reader(io.StringIO(read_body(response).removeprefix("\ufeff"))))
    assert len(rows) > 1
    assert {len(row) for row in rows} == {len(rows[0])}
    exported = json.loads(read_body(staff.get(f"/admin/dashboard/export/{name}.json?range=7d")))
    assert [list(row) for row in exported["rows"]] == [rows[0]] * (len(rows) - 1)


def test_the_queue_export_has_waiting_times(staff: Client, working_account: ProviderAccount, alice: User) -> None:
    url = "/admin/dashboard/export/queue.json"
    history.make_waiting(alice)
    before = json.loads(read_body(staff.get(url)))["rows"]
    assert (before[0]["videos"], before[0]["wait_p50_s"], before[0]["wait_p95_s"]) == (1, None, None)
    waits = [(Measure.WAIT, "50", 18), (Measure.WAIT, "84", 2)]
    rollups.record_counts(ordered_at=AT, model="veo3_fast", user_id=alice.pk, labelled=waits)
    first, *others = json.loads(read_body(staff.get(url)))["rows"]
    assert first["status"] == "queued"
    assert 0 < first["wait_p50_s"] < first["wait_p95_s"]
    assert f"usually waits {veo.duration(first['wait_p50_s'])}" in read_page_text(staff)
    assert {(row["wait_p50_s"], row["wait_p95_s"]) for row in others} == {(None, None)}
    # Another range has its own waiting times.
    assert json.loads(read_body(staff.get(f"{url}?to=2026-08-31")))["rows"][0]["wait_p50_s"] is None


def test_an_email_address_that_looks_like_a_formula_is_escaped(staff: Client, working_account: ProviderAccount) -> None:
    mallory = make_person("=cmd@example.com")
    count_order(user_id=mallory.pk)
    assert "'=cmd@example.com" in read_body(staff.get("/admin/dashboard/export/users.csv"))


def test_without_a_key_the_balance_export_is_empty(staff: Client, settings: Settings) -> None:
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    assert json.loads(read_body(staff.get("/admin/dashboard/export/balance.json")))["rows"] == []


@pytest.mark.parametrize("address", ["nothing.csv", "models.xml"])
def test_unknown_tables_and_formats_are_not_found(staff: Client, address: str) -> None:
    assert staff.get(f"/admin/dashboard/export/{address}").status_code == 404


def test_an_export_with_invalid_dates_is_a_bad_request(staff: Client) -> None:
    response = staff.get("/admin/dashboard/export/models.csv?from=soon")
    assert response.status_code == 400
    assert "“soon” is not a date" in response.content.decode()


def test_exports_and_page_are_for_operators_only(alice: User, settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = False
    for client in (Client(), browser_of(alice)):
        for address in ("/admin/", "/admin/dashboard/export/users.csv"):
            assert client.get(address).status_code in (302, 403)


def test_an_operator_without_a_second_factor_gets_no_export(olga: User, settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED = True
    assert browser_of(olga).get("/admin/dashboard/export/users.csv").status_code == 302

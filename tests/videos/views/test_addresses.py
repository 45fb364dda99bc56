"""No query string makes a page fail with a server error."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.models import User
from billing.alerts import services as alerts
from billing.common.form_fields import LARGEST_ROW_NUMBER, parse_row_number
from billing.models import Alert
from billing.provider import accounts as provider_accounts
from tests.billing import history
from tests.billing.conftest import manual_clock, staff  # noqa: F401
from tests.clocks import ManualClock

# Django warns about naive datetimes when a filter gets a date only.
pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:DateTimeField .* received a naive datetime")]
INVALID_VALUES = ("²", "9" * 5000, "0001-01-01", "9999-12-31", "\0")
# Parameters of every admin list in addition to its filters, and one that does not exist.
LISTS = ("q", "p", "o", "all", "_to_field", "id__in", "nonsense")
LOOKUPS = ("exact", "gte", "lt", "isnull", "year")
# All parameters of our own pages.
PAGES = {
    "/admin/": ("range", "from", "to"),
    "/admin/reconciliation/": ("account", "stretch", "begin", "end"),
    "/admin/dashboard/export/users.csv": ("range", "from", "to"),
    "/admin/billing/budget/add/": ("subject", "period", "limit", "user"),
    "/admin/billing/price/add/": ("model", "resolution", "provider_credits"),
    "/api/admin/cost-monitoring": ("range", "from", "to", "day"),
    "/credits/": ("kind", "since", "until", "before"),
    "/videos/": ("state", "q", "before", "live"),
    "/": ("from", "example", "slot", "shown"),
}


@pytest.fixture
def desk_with_rows(staff: Client, manual_clock: ManualClock, alice: User) -> Client:  # noqa: F811
    """Olga's browser; every list has at least one row."""
    staff.raise_request_exception = False
    history.make_failed(alice)
    manual_clock.sleep(3600)
    provider_accounts.record_balance(account_id=provider_accounts.get_current_account().pk, balance=Decimal(4000))
    alerts.raise_alert(Alert.Kind.STORAGE)
    return staff


def list_parameters(model_admin: admin.ModelAdmin[Any]) -> Iterator[str]:
    """All parameters that filter this list."""
    yield from LISTS
    fields: list[Any] = [*model_admin.list_filter, model_admin.date_hierarchy]
    for list_filter in filter(None, fields):
        if hasattr(list_filter, "parameter_name"):
            yield list_filter.parameter_name
        else:
            name = list_filter if isinstance(list_filter, str) else list_filter[0]
            yield from (f"{name}__{lookup}" for lookup in LOOKUPS)


def find_failing_urls(browser: Client, url: str, names: Iterable[str]) -> list[str]:
    """The URLs that return a server error."""
    urls = [f"{url}?{urlencode({name: value})}" for name in dict.fromkeys(names) for value in INVALID_VALUES]
    return [requested[:120] for requested in urls if browser.get(requested).status_code >= 500]


@pytest.mark.parametrize("label", sorted(model._meta.label_lower for model in admin.site._registry))
def test_every_list_answers_any_query_string(desk_with_rows: Client, label: str) -> None:
    model, model_admin = next(item for item in admin.site._registry.items() if item[0]._meta.label_lower == label)
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    assert find_failing_urls(desk_with_rows, url, list_parameters(model_admin)) == []
    assert desk_with_rows.get(url).status_code in (200, 403)


@pytest.mark.parametrize("url", PAGES)
def test_every_page_answers_any_query_string(desk_with_rows: Client, url: str) -> None:
    assert find_failing_urls(desk_with_rows, url, PAGES[url]) == []
    assert desk_with_rows.get(url).status_code == 200


@pytest.mark.parametrize("number", ["²", "", "-1", "9" * 5000, "٣", "\0"])
def test_an_invalid_row_number_marks_no_alert(desk_with_rows: Client, number: str) -> None:
    assert parse_row_number(number) is None
    assert desk_with_rows.post("/admin/billing/alert/seen/", {"alert": number}).status_code == 302
    assert not Alert.objects.exclude(acknowledged_at=None).exists()


def test_row_numbers_are_parsed_up_to_the_largest() -> None:
    assert (parse_row_number("12"), parse_row_number("007"), parse_row_number("9" * 19)) == (12, 7, LARGEST_ROW_NUMBER)

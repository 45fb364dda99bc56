"""What operators with few permissions see on the dashboard, in its exports and in the API."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.tokens import services as tokens
from billing.alerts import services as alerts
from billing.costs import rollups
from billing.models import Measure, ProviderAccount
from tests.billing.conftest import browser_of
from tests.clocks import ManualClock
from tests.people import make_person
from veoapp.operator_pages.dashboard import exports, permissions, view_model
from videos.models import JobRequest

pytestmark = pytest.mark.django_db

AT = datetime(2026, 9, 1, 12, 20, tzinfo=UTC)
ADDRESS = "/api/admin/cost-monitoring"
UNRESTRICTED = {"limits", "failures", "callbacks", "queue"}
COST_TABLES = {"timeline", "models", "balance"}
TITLES = {
    "timeline": "timeline-title",
    "models": "models-title",
    "users": "users-title",
    "balance": "balance-title",
} | {name: f"{name}-title" for name in ("limits", "failures", "callbacks", "queue", "alerts")}

CreateOperator = Callable[..., User]


@pytest.fixture
def create_operator(
    manual_clock: ManualClock, settings: Settings, account: ProviderAccount, alice: User
) -> CreateOperator:
    """Prepare a site with data, and create operators with the named permissions."""
    manual_clock.at = AT
    settings.TIME_ZONE = "UTC"
    settings.STAFF_MFA_REQUIRED = False
    counts: list[tuple[Measure, Decimal | int]] = [(Measure.ORDERED, 1), (Measure.ESTIMATED, 60)]
    rollups.record_counts(ordered_at=AT, model="veo3_fast", user_id=alice.pk, counts=counts)
    JobRequest.objects.create(name="canary", started_at=AT)
    alerts.raise_alert(alerts.Kind.STORAGE, cause="disk", detail="details of the disk")

    def create(*permission_names: str) -> User:
        clerk = make_person("clerk@example.com", is_staff=True)
        for name in permission_names:
            app, _dot, codename = name.partition(".")
            clerk.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        return clerk

    return create


@pytest.mark.parametrize(
    ("permission_names", "restricted"),
    [
        ([], set()),
        (["billing.view_spend"], COST_TABLES),
        (["accounts.view_user"], {"users"}),
        (["billing.view_alert"], {"alerts"}),
        (["billing.view_spend", "accounts.view_user", "billing.view_alert"], COST_TABLES | {"users", "alerts"}),
    ],
)
def test_page_menu_and_exports_show_only_permitted_tables(
    create_operator: CreateOperator, permission_names: list[str], restricted: set[str]
) -> None:
    staff = browser_of(create_operator(*permission_names))
    html = staff.get("/admin/").content.decode()
    allowed = UNRESTRICTED | restricted
    for name in exports.TABLE_BUILDERS:
        response = staff.get(f"/admin/dashboard/export/{name}.csv")
        assert response.status_code == (200 if name in allowed else 403), name
        assert (f"/admin/dashboard/export/{name}.json" in html) == (name in allowed), name
        assert (f'id="{TITLES[name]}"' in html) == (name in allowed), name
    assert ("alice@example.com" in html) == ("users" in restricted)
    assert ("Free up disk space" in html) == ("alerts" in restricted)
    # Every operator sees the headline and the figures.
    assert '<p id="headline">' in html
    assert '<p class="figure-value">60</p>' in html


def test_without_alert_permission_the_headline_shows_no_alert_details(create_operator: CreateOperator) -> None:
    clerk = create_operator()
    alerts.raise_alert(alerts.Kind.PROVIDER_TROUBLE, cause="provider account 1", detail="5 of 10 calls failed.")
    ProviderAccount.objects.update(breaker="open", breaker_until=AT.replace(hour=13))
    assert "The provider has problems. <" in browser_of(clerk).get("/admin/").content.decode()
    clerk.user_permissions.add(Permission.objects.get(codename="view_alert"))
    assert "The provider has problems: 5 of 10 calls failed. <" in browser_of(clerk).get("/admin/").content.decode()


def test_the_api_hides_alert_details_without_alert_permission(
    create_operator: CreateOperator, olga: User, settings: Settings
) -> None:
    clerk = create_operator()
    secret = tokens.create_token(user=clerk, name="grafana", scopes=[tokens.COST_READ]).secret
    by_token = Client().get(ADDRESS, headers={"Authorization": f"Bearer {secret}"}).json()
    for figures in (by_token, browser_of(clerk).get(ADDRESS).json()):
        assert [(alert["kind"], alert["detail"]) for alert in figures["alerts"]] == [("storage", "")]
        assert figures["today"]["tasksCount"] == 1
    assert browser_of(olga).get(ADDRESS).json()["alerts"][0]["detail"] == "details of the disk"
    clerk.user_permissions.add(Permission.objects.get(codename="view_alert"))
    assert browser_of(clerk).get(ADDRESS).json()["alerts"][0]["detail"] == "details of the disk"


def test_the_headline_offers_only_permitted_actions(create_operator: CreateOperator, settings: Settings) -> None:
    clerk = create_operator()
    staff = browser_of(clerk)
    settings.DAILY_COST_LIMIT = Decimal(20)
    page = staff.get("/admin/").content.decode()
    assert "nothing is sent until it is raised" in page
    assert 'id="headline-action"' not in page
    clerk.user_permissions.add(Permission.objects.get(codename="view_budget"))
    assert "Raise the budget…" in staff.get("/admin/").content.decode()
    settings.DAILY_COST_LIMIT = Decimal(0)
    assert 'id="headline-action"' not in staff.get("/admin/").content.decode()
    clerk.user_permissions.add(Permission.objects.get(codename="change_provideraccount"))
    assert "Pause…" in staff.get("/admin/").content.decode()


def test_fewer_permissions_cost_no_more_queries(create_operator: CreateOperator) -> None:
    staff = browser_of(create_operator())
    staff.get("/admin/")
    with CaptureQueriesContext(connection) as captured:
        assert staff.get("/admin/").status_code == 200
    # In production the check of the second factor adds one query.
    assert len(captured) <= 11, "\n".join(query["sql"] for query in captured.captured_queries)


def test_every_table_has_a_permission_a_title_and_an_export() -> None:
    assert set(permissions.REQUIRED_PERMISSIONS) == set(exports.TABLE_BUILDERS) == set(view_model.EXPORT_TITLES)
    assert permissions.COST_TABLES == COST_TABLES

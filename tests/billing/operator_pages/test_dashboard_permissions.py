"""What an operator with few rights finds on the first page, in its files and in the JSON: the figures, and nobody's address."""

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
from tests.billing.conftest import SetClock, browser_of
from tests.people import make_person
from veoapp.operator_pages.dashboard import exports, permissions, view_model
from videos.models import JobRequest

pytestmark = pytest.mark.django_db

AT = datetime(2026, 9, 1, 12, 20, tzinfo=UTC)
ADDRESS = "/api/admin/cost-monitoring"
OPEN = {"limits", "failures", "callbacks", "queue"}
MONEY = {"timeline", "models", "balance"}
TITLES = {
    "timeline": "timeline-title",
    "models": "models-title",
    "users": "users-title",
    "balance": "balance-title",
} | {name: f"{name}-title" for name in ("limits", "failures", "callbacks", "queue", "alerts")}

Hire = Callable[..., User]


@pytest.fixture
def hire(still: SetClock, settings: Settings, account: ProviderAccount, alice: User) -> Hire:
    """A house with something to tell, and operators who may see so much of it."""
    still.at = AT
    settings.TIME_ZONE = "UTC"
    settings.STAFF_MFA_REQUIRED = False
    counts: list[tuple[Measure, Decimal | int]] = [(Measure.ORDERED, 1), (Measure.ESTIMATED, 60)]
    rollups.record_counts(ordered_at=AT, model="veo3_fast", user_id=alice.pk, counts=counts)
    JobRequest.objects.create(name="canary", started_at=AT)
    alerts.raise_alert(alerts.Kind.STORAGE, cause="disk", detail="words of the disk")

    def operator(*named: str) -> User:
        clerk = make_person("clerk@example.com", is_staff=True)
        for name in named:
            app, _dot, codename = name.partition(".")
            clerk.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        return clerk

    return operator


@pytest.mark.parametrize(
    ("named", "more"),
    [
        ([], set()),
        (["billing.view_spend"], MONEY),
        (["accounts.view_user"], {"users"}),
        (["billing.view_alert"], {"alerts"}),
        (["billing.view_spend", "accounts.view_user", "billing.view_alert"], MONEY | {"users", "alerts"}),
    ],
)
def test_page_menu_and_files_hold_what_one_may_see(hire: Hire, named: list[str], more: set[str]) -> None:
    desk = browser_of(hire(*named))
    html = desk.get("/admin/").content.decode()
    allowed = OPEN | more
    for name in exports.TABLE_BUILDERS:
        answer = desk.get(f"/admin/dashboard/export/{name}.csv")
        assert answer.status_code == (200 if name in allowed else 403), name
        assert (f"/admin/dashboard/export/{name}.json" in html) == (name in allowed), name
        assert (f'id="{TITLES[name]}"' in html) == (name in allowed), name
    assert ("alice@example.com" in html) == ("users" in more)
    assert ("Make room on the disk" in html) == ("alerts" in more)
    # The sentence and the figures are every operator's.
    assert '<p id="verdict">' in html
    assert '<p class="figure-value">60</p>' in html


def test_who_sees_no_alerts_reads_none_of_their_words_in_the_sentence(hire: Hire) -> None:
    clerk = hire()
    alerts.raise_alert(alerts.Kind.PROVIDER_TROUBLE, cause="provider account 1", detail="5 of 10 calls failed.")
    ProviderAccount.objects.update(breaker="open", breaker_until=AT.replace(hour=13))
    assert "The provider has trouble. <" in browser_of(clerk).get("/admin/").content.decode()
    clerk.user_permissions.add(Permission.objects.get(codename="view_alert"))
    assert "The provider has trouble: 5 of 10 calls failed. <" in browser_of(clerk).get("/admin/").content.decode()


def test_the_json_tells_kinds_of_alerts_to_all_and_their_words_to_whom_the_page_does(
    hire: Hire, olga: User, settings: Settings
) -> None:
    clerk = hire()
    secret = tokens.create_token(user=clerk, name="grafana", scopes=[tokens.COST_READ]).secret
    by_token = Client().get(ADDRESS, headers={"Authorization": f"Bearer {secret}"}).json()
    for said in (by_token, browser_of(clerk).get(ADDRESS).json()):
        assert [(one["kind"], one["detail"]) for one in said["alerts"]] == [("storage", "")]
        assert said["today"]["tasksCount"] == 1
    assert browser_of(olga).get(ADDRESS).json()["alerts"][0]["detail"] == "words of the disk"
    clerk.user_permissions.add(Permission.objects.get(codename="view_alert"))
    assert browser_of(clerk).get(ADDRESS).json()["alerts"][0]["detail"] == "words of the disk"


def test_nobody_is_offered_what_would_be_refused(hire: Hire, settings: Settings) -> None:
    clerk = hire()
    desk = browser_of(clerk)
    settings.DAILY_COST_LIMIT = Decimal(20)
    stopped = desk.get("/admin/").content.decode()
    assert "nothing is sent until it is raised" in stopped
    assert 'id="verdict-act"' not in stopped
    clerk.user_permissions.add(Permission.objects.get(codename="view_budget"))
    assert "Raise the budget…" in desk.get("/admin/").content.decode()
    settings.DAILY_COST_LIMIT = Decimal(0)
    assert 'id="verdict-act"' not in desk.get("/admin/").content.decode()
    clerk.user_permissions.add(Permission.objects.get(codename="change_provideraccount"))
    assert "Pause…" in desk.get("/admin/").content.decode()


def test_fewer_rights_cost_no_more_queries(hire: Hire) -> None:
    desk = browser_of(hire())
    desk.get("/admin/")
    with CaptureQueriesContext(connection) as captured:
        assert desk.get("/admin/").status_code == 200
    # A second factor's proof is one more.
    assert len(captured) <= 11, "\n".join(one["sql"] for one in captured.captured_queries)


def test_every_table_has_its_right_its_name_and_its_file() -> None:
    assert set(permissions.REQUIRED_PERMISSIONS) == set(exports.TABLE_BUILDERS) == set(view_model.EXPORT_TITLES)
    assert permissions.COST_TABLES == MONEY

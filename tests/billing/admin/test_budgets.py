"""Budgets in the admin: the limits in force, and limits that apply once an operator has saved them."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.budgets.limits import limits_for, set_limit
from billing.costs import spend
from billing.models import Budget, ProviderAccount, Spend
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db
NewSpend = Callable[..., Spend]
LIST, ADD = reverse("admin:billing_budget_changelist"), reverse("admin:billing_budget_add")


@pytest.fixture(autouse=True)
def _environment(settings: Settings) -> None:
    settings.HOURLY_COST_LIMIT, settings.DAILY_COST_LIMIT = Decimal(1000), Decimal(120)
    settings.MONTHLY_COST_LIMIT = settings.USER_DAILY_COST_LIMIT = Decimal(0)


def form_data(**changes: str) -> dict[str, str]:
    defaults = {"subject": "all", "period": "day", "email": "", "model": "", "limit": "500", "warn_percent": "80"}
    return defaults | changes


def form_errors(client: Client, **changes: str) -> dict[str, list[str]]:
    response = client.post(ADD, form_data(**changes))
    assert response.status_code == 200
    assert not Budget.objects.filter(limit=500).exclude(subject="model", model="veo3").exists()
    errors: dict[str, list[str]] = response.context["adminform"].form.errors
    return errors


def test_the_page_shows_the_limits_in_force_and_their_use(
    staff: Client, manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User, olga: User
) -> None:
    spend.promise(spend=new_spend(), account=account)
    set_limit(subject="user", period="day", user=alice, limit=Decimal(100), soft_share=Decimal("0.6"), actor=olga)
    set_limit(subject="user", period="hour", user=alice, limit=Decimal(60), actor=olga)
    set_limit(subject="model", period="month", model="veo3", limit=None, actor=None)
    set_limit(subject="each_user", period="month", limit=Decimal(0), actor=olga)
    set_limit(subject="all", period="month", limit=Decimal(0), actor=olga)
    page = staff.get(LIST).content.decode()
    rows = [" ".join(row.split()) for row in page.split("<tr")]
    all_day = next(row for row in rows if "All videos · Day" in row)
    assert "60 of 120 · 50 %" in all_day
    assert "from the environment" in all_day
    assert f"{ADD}?subject=all&amp;period=day&amp;limit=120" in all_day
    all_month = next(row for row in rows if "All videos · Month" in row)
    assert "60 of 0 · 100 %" in all_month
    assert "set here" in all_month
    each_user_day = next(row for row in rows if "Each user · Day" in row)
    assert "not set" in each_user_day
    alice_day = next(row for row in rows if "alice@example.com · Day" in row)
    assert "meter-warn" in alice_day
    assert "60 · 60 %" in alice_day
    assert "olga@example.com" in alice_day
    assert "meter-bad" in next(row for row in rows if "alice@example.com · Hour" in row)
    assert "veo3 · Month" in page
    assert "Each user · Month" in page


def test_the_number_of_queries_does_not_grow_with_the_budgets(
    staff: Client, manual_clock: ManualClock, django_assert_max_num_queries: Callable[[int], object]
) -> None:
    for n in range(20):
        set_limit(subject="model", period="day", model=f"model-{n}", limit=Decimal(n), actor=None)
    with django_assert_max_num_queries(25):  # type: ignore[attr-defined]
        assert staff.get(LIST).status_code == 200


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({}, "all:day"),
        ({"subject": "each_user", "period": "hour"}, "each_user:hour"),
        ({"subject": "model", "model": "veo3_fast"}, "model:veo3_fast:day"),
        ({"subject": "user", "email": "ALICE@example.com"}, "user:{alice}:day"),
    ],
)
def test_a_limit_that_is_saved_is_in_force(
    staff: Client, alice: User, olga: User, changes: dict[str, str], key: str
) -> None:
    response = staff.post(ADD, form_data(**changes))
    assert (response.status_code, response["Location"]) == (302, LIST)
    budget = Budget.objects.get()
    assert (budget.key, budget.limit, budget.soft_share) == (key.format(alice=alice.pk), 500, Decimal("0.8"))
    assert budget.changed_by == olga
    scope, _, period = budget.key.rpartition(":")
    scope = f"user:{alice.pk}" if scope == "each_user" else scope
    assert limits_for([scope])[scope, period].amount == 500
    assert LogEntry.objects.get().object_id == str(budget.pk)


def test_a_limit_is_changed_and_deleted_and_the_environment_limit_applies_again(staff: Client, olga: User) -> None:
    budget = set_limit(subject="all", period="day", limit=Decimal(500), actor=None)
    url = reverse("admin:billing_budget_change", args=[budget.pk])
    page = staff.get(url).content.decode()
    assert 'name="subject"' not in page
    assert 'value="80"' in page
    assert 'value="500"' in page
    assert "All videos · Day" in page
    assert staff.post(url, {"limit": "", "warn_percent": "55"}).status_code == 302
    budget.refresh_from_db()
    assert (budget.limit, budget.soft_share, budget.changed_by) == (None, Decimal("0.55"), olga)
    assert limits_for(["all"])["all", "day"].amount is None
    assert staff.post(reverse("admin:billing_budget_delete", args=[budget.pk]), {"post": "yes"}).status_code == 302
    assert limits_for(["all"])["all", "day"].amount == 120


def test_invalid_limits_are_reported(staff: Client) -> None:
    set_limit(subject="model", period="day", model="veo3", limit=Decimal(500), actor=None)
    assert form_errors(staff, subject="user") == {"email": ["Choose one."]}
    assert form_errors(staff, subject="model") == {"model": ["Choose one."]}
    message = "Leave this empty, or choose a limit for one user or one model."
    assert form_errors(staff, email="alice@example.com") == {"email": [message]}
    assert form_errors(staff, model="veo3") == {"model": [message]}
    assert form_errors(staff, subject="user", email="nobody@example.com") == {"email": ["No user has this address."]}
    assert form_errors(staff, limit="-1") == {"limit": ["A limit is zero or more."]}
    assert list(form_errors(staff, limit="a lot")) == ["limit"]
    assert list(form_errors(staff, warn_percent="0")) == ["warn_percent"]
    assert form_errors(staff, subject="model", model="veo3") == {
        "__all__": ["This limit already exists. Change it instead."]
    }


def test_the_form_of_a_general_limit_has_no_user_or_model_field(staff: Client) -> None:
    url = f"{ADD}?subject=each_user&period=day&limit=300"
    page = staff.get(url).content.decode()
    assert 'name="email"' not in page
    assert 'name="model"' not in page
    assert 'value="300"' in page
    assert staff.post(url, {"subject": "all", "period": "day", "limit": "300", "warn_percent": "80"}).status_code == 200
    form = {"subject": "each_user", "period": "day", "limit": "250", "warn_percent": "80"}
    assert staff.post(url, form).status_code == 302
    assert Budget.objects.get().key == "each_user:day"
    assert Budget.objects.get().limit == 250
    assert 'name="email"' in staff.get(f"{ADD}?subject=user").content.decode()


def test_a_viewer_is_offered_no_change(staff: Client, olga: User) -> None:
    olga.is_superuser = False
    olga.save()
    olga.user_permissions.add(Permission.objects.get(codename="view_budget"))
    page = staff.get(LIST).content.decode()
    assert "All videos · Day" in page
    assert "Set…" not in page
    assert staff.get(ADD).status_code == 403

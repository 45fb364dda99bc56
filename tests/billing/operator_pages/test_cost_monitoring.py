"""The figures of `GET /api/admin/cost-monitoring`."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import services as alerts
from billing.budgets import limits
from billing.budgets import usage as budget_usage
from billing.costs import rollups, spend
from billing.models import Budget, Measure, Period, ProviderAccount, Spend
from billing.provider import accounts as provider_accounts
from tests.billing.operator_pages.cost_monitoring_client import (
    ADDRESS,
    Json,
    create_secret,
    get_with_token,
    read_figures,
    read_figures_again,
)
from tests.clocks import ManualClock
from tests.people import make_person

pytestmark = pytest.mark.django_db


def test_a_new_site_has_zeros_and_no_balance(olga: User, settings: Settings) -> None:
    figures = read_figures(olga)
    zeros = {"tasksCount": 0, "estimatedCost": 0, "actualCost": 0, "settledEstimate": 0}
    assert figures["today"] == figures["thisHour"] == figures["thisMonth"] == zeros
    assert (figures["kieCreditsBalance"], figures["balanceReadAt"], figures["available"]) == (None, None, None)
    assert figures["alerts"] == []
    assert figures["generation"]["state"] == "working"
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    figures = read_figures_again(olga)
    assert figures["generation"] == {"state": "no_key"}
    assert figures["kieCreditsBalance"] is None


def test_each_window_sums_its_orders(
    olga: User, account: ProviderAccount, manual_clock: ManualClock, settings: Settings
) -> None:
    settings.TIME_ZONE = "UTC"

    def count_job(hours_ago: int, estimated: str, actual: str | None = None) -> None:
        known = [(Measure.SETTLED_ESTIMATE, Decimal(estimated)), (Measure.ACTUAL, Decimal(actual))] if actual else []
        rollups.record_counts(
            ordered_at=manual_clock.at - timedelta(hours=hours_ago),
            model="veo3_fast",
            user_id=olga.pk,
            counts=[(Measure.ORDERED, 1), (Measure.ESTIMATED, Decimal(estimated)), *known],
        )

    manual_clock.at += timedelta(days=13)
    count_job(0, "60")
    count_job(0, "37.5", "30.25")
    count_job(3, "250", "250")
    count_job(13, "60", "0.0001")  # yesterday
    count_job(15 * 24, "1000", "1000")  # last month
    expected = {
        "thisHour": {"tasksCount": 2, "estimatedCost": Decimal("97.5"), "actualCost": Decimal("30.25")},
        "today": {"tasksCount": 3, "estimatedCost": Decimal("347.5"), "actualCost": Decimal("280.25")},
        "thisMonth": {"tasksCount": 4, "estimatedCost": Decimal("407.5"), "actualCost": Decimal("280.2501")},
    }
    settled = {"thisHour": Decimal("37.5"), "today": Decimal("287.5"), "thisMonth": Decimal("347.5")}
    for is_folded in (False, True):
        if is_folded:
            rollups.fold_marks()
        figures = read_figures(olga) if not is_folded else read_figures_again(olga)
        for name, sums in expected.items():
            assert figures[name] == {**sums, "settledEstimate": settled[name]}, (name, is_folded)


def test_balance_and_available_credits(
    olga: User, account: ProviderAccount, new_spend: Callable[..., Spend], manual_clock: ManualClock
) -> None:
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal("2500.5"))
    job = new_spend()
    spend.promise(spend=job, account=account)
    figures = read_figures(olga)
    assert figures["kieCreditsBalance"] == Decimal("2500.5")
    assert figures["available"] == Decimal("2440.5")
    assert figures["balanceReadAt"] == "2026-09-01T12:00:00+00:00"
    assert (figures["lowBalanceThreshold"], figures["criticalBalanceThreshold"]) == (1000, 500)
    assert figures["generatedAt"] == "2026-09-01T12:00:00+00:00"


def test_the_forecast_gives_the_time_of_the_critical_balance(
    olga: User, account: ProviderAccount, manual_clock: ManualClock
) -> None:
    assert read_figures(olga)["balanceCriticalAt"] is None
    for hours in range(1, 25):
        at = manual_clock.at - timedelta(hours=hours)
        rollups.record_counts(ordered_at=at, model="m", user_id=1, counts=[(Measure.ESTIMATED, Decimal(1000))])
    critical_at = datetime.fromisoformat(read_figures_again(olga)["balanceCriticalAt"])
    assert timedelta(hours=4) < critical_at - manual_clock.at < timedelta(hours=5)


def test_limits_have_used_left_and_reset_time(
    olga: User, account: ProviderAccount, new_spend: Callable[..., Spend], manual_clock: ManualClock, settings: Settings
) -> None:
    settings.TIME_ZONE = "UTC"
    limits.set_limit(subject=Budget.Subject.ALL, period=Period.HOUR, limit=Decimal(75), actor=olga)
    limits.set_limit(subject=Budget.Subject.MODEL, period=Period.DAY, limit=Decimal(60), model="veo3_fast", actor=olga)
    spend.promise(spend=new_spend(), account=account)
    figures = {(limit["scope"], limit["period"]): limit for limit in read_figures(olga)["limits"]}
    hour = figures["all", "hour"]
    assert (hour["used"], hour["limit"], hour["left"], hour["softShare"]) == (60, 75, 15, Decimal("0.8"))
    # No video is as cheap as the 15 credits left.
    assert (hour["isSoft"], hour["isSpent"], hour["resetsAt"]) == (True, True, "2026-09-01T13:00:00+00:00")
    assert figures["all", "month"]["resetsAt"] == "2026-10-01T00:00:00+00:00"
    model = figures["model:veo3_fast", "day"]
    assert (model["isSpent"], model["left"], model["spentAt"]) == (True, 0, None)
    assert len(figures) == len(budget_usage.list_states(manual_clock.at))


def test_the_generation_state_gives_the_reason_why_nothing_is_sent(
    olga: User, account: ProviderAccount, manual_clock: ManualClock
) -> None:
    def read_generation() -> Json:
        return read_figures_again(olga)["generation"]  # type: ignore[no-any-return]

    assert read_figures(olga)["generation"] == {"state": "working", "account": "kie.ai", "breaker": "closed"}
    until = manual_clock.at + timedelta(hours=1)
    provider_accounts.pause_account(
        account_id=account.pk, actor=None, code=ProviderAccount.Pause.UNUSUAL_SPEND, reason="801 of 200", until=until
    )
    paused = read_generation()
    assert (paused["state"], paused["code"], paused["until"]) == (
        "paused",
        "unusual_spend",
        "2026-09-01T13:00:00+00:00",
    )
    assert "more is being spent than usual" in paused["reason"]
    provider_accounts.resume_account(account_id=account.pk)
    rows = ProviderAccount.objects.filter(pk=account.pk)
    rows.update(breaker="open", breaker_until=until)
    stopped = read_generation()
    assert (stopped["state"], stopped["until"], stopped["rested"]) == (
        "breaker",
        "2026-09-01T13:00:00+00:00",
        False,
    )
    rows.update(breaker_until=manual_clock.at)
    assert (read_generation()["state"], read_generation()["rested"]) == ("breaker", True)
    rows.update(balance=400)
    assert read_generation()["state"] == "critical_balance"
    rows.update(parked_as="out_of_credits", parked_at=manual_clock.at)
    assert (read_generation()["state"], read_generation()["code"]) == ("parked", "out_of_credits")


def test_open_alerts_are_listed_and_resolved_ones_are_not(
    olga: User, account: ProviderAccount, manual_clock: ManualClock
) -> None:
    alerts.raise_alert(alerts.Kind.LOW_BALANCE, cause="a", detail="balance 900")
    manual_clock.sleep(60)
    alerts.raise_alert(alerts.Kind.LOW_BALANCE, cause="a", detail="balance 800")
    alerts.raise_alert(alerts.Kind.BOOKS_UNBALANCED, cause="b")
    alerts.resolve_alerts(alerts.Kind.BOOKS_UNBALANCED)
    assert read_figures(olga)["alerts"] == [
        {
            "kind": "low_balance",
            "severity": "warning",
            "title": "Provider balance is low",
            "detail": "balance 800",
            "count": 2,
            "since": "2026-09-01T12:00:00+00:00",
            "lastAt": "2026-09-01T12:01:00+00:00",
            "acknowledged": False,
        }
    ]


def test_it_takes_at_most_twelve_queries_whatever_the_history(
    olga: User, staff: Client, account: ProviderAccount, settings: Settings
) -> None:
    for number in range(30):
        user = make_person(f"u{number}@example.com")
        limits.set_limit(subject=Budget.Subject.USER, period=Period.DAY, limit=Decimal(100), user=user, actor=olga)
        alerts.raise_alert(alerts.Kind.USER_BURST, cause=f"user {user.pk}")
        rollups.record_counts(
            ordered_at=account.created_at, model=f"m{number}", user_id=user.pk, counts=[(Measure.ESTIMATED, Decimal(1))]
        )
    secret = create_secret(olga)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert get_with_token(secret).status_code == 200
    assert len(queries) <= 12, "\n".join(query["sql"][:150] for query in queries)
    staff.get(ADDRESS)
    with CaptureQueriesContext(connection) as queries:
        assert len(staff.get(ADDRESS).json()["limits"]) >= 30
    assert len(queries) <= 12, "\n".join(query["sql"][:150] for query in queries)

"""The figures of the daily summary e-mail, and the schedule of its delivery."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import services as alerts
from billing.costs import rollups
from billing.credits import ledger
from billing.models import Alert, BooksRun, DailySummary, Measure, ProviderAccount
from billing.provider import accounts as provider_accounts
from billing.reports import daily_summary, summary_schedule
from tests.clocks import ManualClock
from tests.jobs import job_id
from tests.people import give_credits
from veoapp.operator_pages import cost_monitoring

pytestmark = pytest.mark.django_db
Kind = Alert.Kind
# The day before the date of `manual_clock`.
YESTERDAY = date(2026, 8, 31)
DAY = timedelta(days=1)


def record_counts(at: datetime, user: User, **counts: int) -> None:
    """Count measures of jobs ordered at that time."""
    counts_by_measure = [(Measure(name), amount) for name, amount in counts.items()]
    rollups.record_counts(ordered_at=at, model="veo3_fast", user_id=user.pk, counts=counts_by_measure)


def record_spending(manual_clock: ManualClock, user: User, *, days_ago: int, actual: int, jobs: int = 1) -> None:
    record_counts(
        manual_clock.at - days_ago * DAY,
        user,
        ordered=jobs,
        estimated=actual,
        settled=jobs,
        settled_estimate=actual,
        actual=actual,
    )


def test_the_balance_ends_at_the_time_shown_on_the_dashboard(
    manual_clock: ManualClock, account: ProviderAccount, alice: User
) -> None:
    for days_ago in range(1, 8):
        record_spending(manual_clock, alice, days_ago=days_ago, actual=100 * days_ago)
    balance = daily_summary.build_summary(YESTERDAY).balance
    assert balance is not None
    assert (balance.usual, balance.balance, balance.promised) == (400, 5000, 0)
    assert balance.is_being_spent
    # 4,500 credits above the critical threshold last 45 days at 100 a day. The first three hours use the recent pace, zero.
    assert balance.ends_at == manual_clock.at + timedelta(days=45, hours=3)
    assert not balance.is_low
    monitoring = cost_monitoring.build_figures(manual_clock.at)
    assert monitoring["balanceCriticalAt"] == balance.ends_at.isoformat()


def test_on_a_new_site_the_mean_starts_with_the_first_order(
    manual_clock: ManualClock, account: ProviderAccount, alice: User
) -> None:
    record_spending(manual_clock, alice, days_ago=2, actual=300)
    balance = daily_summary.build_summary(YESTERDAY).balance
    assert balance is not None
    assert balance.usual == 150


def test_without_spending_the_balance_has_no_end(manual_clock: ManualClock, account: ProviderAccount) -> None:
    balance = daily_summary.build_summary(YESTERDAY).balance
    assert balance is not None
    assert (balance.usual, balance.is_being_spent, balance.ends_at) == (0, False, None)


def test_without_a_key_there_is_no_balance(manual_clock: ManualClock, settings: Settings) -> None:
    settings.KIE_AI_API_KEY = ""
    assert daily_summary.build_summary(YESTERDAY).balance is None


def test_a_balance_that_was_never_read_has_no_figures(manual_clock: ManualClock, alice: User) -> None:
    record_spending(manual_clock, alice, days_ago=1, actual=300)
    balance = daily_summary.build_summary(YESTERDAY).balance
    assert balance is not None
    assert (balance.balance, balance.ends_at, balance.is_low) == (None, None, False)


def test_the_variance_compares_settled_estimates_and_actual_costs(
    manual_clock: ManualClock, alice: User, bob: User
) -> None:
    at = manual_clock.at - DAY
    record_counts(at, alice, ordered=3, estimated=180)
    record_counts(at, alice, settled=2, settled_estimate=120, actual=125)
    record_counts(at, bob, ordered=1, estimated=60)
    cost = daily_summary.build_summary(YESTERDAY).cost
    assert (cost.ordered, cost.settled, cost.still_open) == (4, 2, 2)
    assert (cost.estimated, cost.settled_estimate, cost.actual, cost.variance) == (240, 120, 125, 5)
    assert cost.variance_percent is not None
    assert round(cost.variance_percent, 2) == Decimal("4.17")
    assert (cost.top_user, cost.top_user_estimate) == (alice, 180)


def test_a_quiet_day_has_no_variance(manual_clock: ManualClock) -> None:
    cost = daily_summary.build_summary(YESTERDAY).cost
    assert (cost.ordered, cost.variance, cost.variance_percent, cost.top_user, cost.is_unusual) == (
        0,
        0,
        None,
        None,
        False,
    )


def test_the_day_is_that_of_the_site(manual_clock: ManualClock, settings: Settings, alice: User) -> None:
    settings.TIME_ZONE = "Asia/Shanghai"
    record_counts(datetime(2026, 8, 30, 16, tzinfo=UTC), alice, ordered=1)
    record_counts(datetime(2026, 8, 31, 15, tzinfo=UTC), alice, ordered=1)
    record_counts(datetime(2026, 8, 31, 16, tzinfo=UTC), alice, ordered=1)
    assert daily_summary.build_summary(YESTERDAY).cost.ordered == 2


def test_a_day_of_more_than_twice_the_usual_is_unusual(manual_clock: ManualClock, alice: User) -> None:
    for days_ago in range(2, 9):
        record_spending(manual_clock, alice, days_ago=days_ago, actual=100)
    record_spending(manual_clock, alice, days_ago=1, actual=200)
    assert not daily_summary.build_summary(YESTERDAY).cost.is_unusual
    record_counts(manual_clock.at - DAY, alice, ordered=1, estimated=1)
    cost = daily_summary.build_summary(YESTERDAY).cost
    assert (cost.is_unusual, cost.usual) == (True, 100)


def test_unusual_spending_alerts_of_the_day_are_listed(manual_clock: ManualClock) -> None:
    manual_clock.at -= DAY
    burst = alerts.raise_alert(Kind.USER_BURST, cause="user 1")
    alerts.raise_alert(Kind.STORAGE)
    manual_clock.at += DAY
    alerts.raise_alert(Kind.UNUSUAL_SPEND)
    summary = daily_summary.build_summary(YESTERDAY)
    assert summary.unusual == [burst]


def test_user_credits_are_compared_with_the_day_before(manual_clock: ManualClock, alice: User, bob: User) -> None:
    manual_clock.at -= 2 * DAY
    give_credits(alice, 100)
    manual_clock.at += DAY
    give_credits(alice, 30)
    give_credits(bob, 20)
    charge = ledger.charge(
        user=alice, user_credits=60, idempotency_key="charge:1", job_id=job_id("job:1"), reference="job:1"
    )
    ledger.refund(charge_key=charge.idempotency_key, idempotency_key="refund:1")
    manual_clock.at += DAY
    give_credits(bob, 500)
    trends = {
        trend.name: (trend.day, trend.before, trend.change) for trend in daily_summary.build_summary(YESTERDAY).credits
    }
    assert trends == {
        "Grant": (50, 100, -50),
        "Charge": (-60, 0, -60),
        "Refund": (60, 0, 60),
        "Held by all users": (150, 100, 50),
    }


def test_open_alerts_are_listed_the_most_severe_first(manual_clock: ManualClock, olga: User) -> None:
    critical = alerts.raise_alert(Kind.STORAGE)
    manual_clock.sleep(60)
    for n in range(9):
        alerts.raise_alert(Kind.UNCONFIRMED, cause=str(n))
    snoozed = alerts.raise_alert(Kind.WORKER)
    alerts.snooze(alert_id=snoozed.pk, actor=olga, until=manual_clock.at + DAY)
    summary = daily_summary.build_summary(YESTERDAY)
    assert summary.open_alerts[0] == critical
    assert (len(summary.open_alerts), summary.more_alerts, summary.snoozed_alerts) == (8, 2, 1)


def test_the_newest_audit_is_included(manual_clock: ManualClock) -> None:
    assert daily_summary.build_summary(YESTERDAY).books is None
    BooksRun.objects.create(at=manual_clock.at - DAY, took_s=1, problems=3)
    newest = BooksRun.objects.create(at=manual_clock.at, took_s=1, problems=0)
    assert daily_summary.build_summary(YESTERDAY).books == newest


# Delivery


@pytest.fixture
def _configured(settings: Settings, manual_clock: ManualClock) -> None:
    settings.COST_ALERT_EMAIL = ["olga@example.com", "otto@example.com"]
    settings.DAILY_SUMMARY_HOUR = 8
    manual_clock.at = datetime(2026, 9, 1, 7, 59, tzinfo=UTC)


@pytest.mark.usefixtures("_configured")
def test_the_mail_about_yesterday_is_due_from_the_configured_hour_on(
    manual_clock: ManualClock, settings: Settings
) -> None:
    assert (summary_schedule.due_day(), summary_schedule.is_due(), summary_schedule.claim()) == (None, False, None)
    manual_clock.sleep(60)
    assert (summary_schedule.due_day(), summary_schedule.is_due()) == (YESTERDAY, True)
    settings.TIME_ZONE = "America/New_York"
    assert summary_schedule.due_day() is None
    manual_clock.sleep(4 * 3600)
    assert summary_schedule.due_day() == YESTERDAY
    settings.COST_ALERT_EMAIL = []
    assert not summary_schedule.is_due()


@pytest.mark.usefixtures("_configured")
def test_the_mail_is_claimed_once_and_sent_when_all_addresses_received_it(manual_clock: ManualClock) -> None:
    manual_clock.sleep(60)
    summary = summary_schedule.claim()
    assert summary is not None
    assert summary.waiting == ["olga@example.com", "otto@example.com"]
    assert summary_schedule.claim() is None
    summary_schedule.record_delivery(summary, "olga@example.com")
    manual_clock.sleep(summary_schedule.RETRY_AFTER.total_seconds())
    assert summary_schedule.is_due()
    retry = summary_schedule.claim()
    assert retry is not None
    assert retry.waiting == ["otto@example.com"]
    summary_schedule.record_delivery(retry, "otto@example.com")
    manual_clock.sleep(summary_schedule.RETRY_AFTER.total_seconds())
    assert not summary_schedule.is_due()
    assert summary_schedule.claim() is None
    assert str(DailySummary.objects.get(sent_at__isnull=False)) == "2026-08-31"
    manual_clock.sleep(86_400)
    assert summary_schedule.is_due()


@pytest.mark.usefixtures("_configured")
def test_the_mail_is_given_up_after_the_last_attempt(manual_clock: ManualClock) -> None:
    manual_clock.sleep(60)
    for _ in range(summary_schedule.MAX_ATTEMPTS):
        assert summary_schedule.claim() is not None
        manual_clock.sleep(summary_schedule.RETRY_AFTER.total_seconds())
    assert not summary_schedule.is_due()
    assert summary_schedule.claim() is None


@pytest.mark.usefixtures("_configured")
def test_a_missed_mail_is_sent_late_unless_the_next_is_due(manual_clock: ManualClock) -> None:
    manual_clock.sleep(60)
    summary = summary_schedule.claim()
    assert summary is not None
    for address in list(summary.waiting):
        summary_schedule.record_delivery(summary, address)
    manual_clock.at = datetime(2026, 9, 3, 0, 30, tzinfo=UTC)
    assert (summary_schedule.due_day(), summary_schedule.is_due()) == (date(2026, 9, 1), True)
    late_summary = summary_schedule.claim()
    assert late_summary is not None
    assert late_summary.day == date(2026, 9, 1)
    for address in list(late_summary.waiting):
        summary_schedule.record_delivery(late_summary, address)
    assert not summary_schedule.is_due()
    manual_clock.at = datetime(2026, 9, 6, 8, tzinfo=UTC)
    assert summary_schedule.due_day() == date(2026, 9, 5), "older mails are not sent"


@pytest.mark.usefixtures("_configured")
def test_a_mail_given_up_raises_an_alert_until_one_is_delivered(manual_clock: ManualClock) -> None:
    manual_clock.sleep(60)
    for n in range(summary_schedule.MAX_ATTEMPTS):
        assert not Alert.objects.exists(), n
        summary = summary_schedule.claim()
        assert summary is not None
        summary_schedule.record_failure(summary, "the mail server cannot be reached (TimeoutError)")
        manual_clock.sleep(summary_schedule.RETRY_AFTER.total_seconds())
    alert = Alert.objects.get()
    assert (alert.kind, alert.severity, alert.facts["day"]) == ("summary_unsent", "warning", "2026-08-31")
    assert "in 12 attempts.\nthe mail server cannot be reached" in alert.detail
    manual_clock.at += DAY
    summary = summary_schedule.claim()
    assert summary is not None
    for address in list(summary.waiting):
        assert Alert.objects.filter(resolved_at=None).exists()
        summary_schedule.record_delivery(summary, address)
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_reserved_credits_are_subtracted_from_the_balance(
    manual_clock: ManualClock, account: ProviderAccount, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_spending(manual_clock, alice, days_ago=1, actual=100)
    monkeypatch.setattr(provider_accounts, "get_available_balance", lambda account: Decimal(500))
    balance = daily_summary.build_summary(YESTERDAY).balance
    assert balance is not None
    assert balance.ends_at == manual_clock.at

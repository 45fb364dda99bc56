"""The headline of the dashboard: whether videos are being generated, why not, and what to do."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.alerts import services as alerts
from billing.guard import circuit_breaker
from billing.models import Budget, ProviderAccount
from billing.provider import accounts as provider_accounts
from tests.billing.operator_pages.dashboard_page import AT, count_order, read_headline, use_budget
from tests.clocks import ManualClock
from videos.models import JobRequest

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fixed_time")]

Pause = ProviderAccount.Pause


def test_the_headline_says_that_videos_are_generated(staff: Client, working_account: ProviderAccount) -> None:
    assert read_headline(staff) == ("Generating normally. Nothing was ordered in the last 24 hours.", "Pause…")


def test_the_outlook_names_the_budget_that_ends_first_and_how_long_the_balance_lasts(
    staff: Client, working_account: ProviderAccount, settings: Settings
) -> None:
    settings.HOURLY_COST_LIMIT, settings.DAILY_COST_LIMIT, settings.MONTHLY_COST_LIMIT = 0, Decimal(10_000), 0
    for hours_ago in range(1, 5):
        count_order(AT - timedelta(hours=hours_ago), credits=600)
    use_budget(7_000)
    headline, action = read_headline(staff)
    # 3,000 credits are left and nearly 500 are spent in an hour.
    assert "At this pace, today's budget lasts until about" in headline
    assert "The provider balance lasts until about" in headline
    assert action == "Pause…"
    Budget.objects.all().delete()
    settings.DAILY_COST_LIMIT = Decimal(100_000)
    assert "At this pace, all budgets last." in read_headline(staff)[0]
    settings.DAILY_COST_LIMIT = 0
    assert "budget" not in read_headline(staff)[0]


def test_the_outlook_of_a_balance_that_lasts_for_weeks(staff: Client, working_account: ProviderAccount) -> None:
    count_order(AT - timedelta(hours=23), credits=1)
    assert "The provider balance lasts for weeks." in read_headline(staff)[0]


def test_without_a_key_the_headline_asks_for_one(staff: Client, settings: Settings) -> None:
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    headline, action = read_headline(staff)
    assert headline.startswith("Not generating. There is no provider key")
    assert action == "Add a key…"


def test_a_pause_is_described_with_person_time_reason_and_end(
    staff: Client, working_account: ProviderAccount, olga: User
) -> None:
    provider_accounts.pause_account(account_id=working_account.pk, actor=olga, reason="Prices are being changed.")
    headline, action = read_headline(staff)
    assert headline.startswith("Paused by olga@example.com since 12:20. Prices are being changed. It stays paused")
    assert "It stays paused until an operator resumes it." in headline
    assert action == "Resume…"
    until = AT + timedelta(hours=1)
    provider_accounts.pause_account(account_id=working_account.pk, actor=olga, code=Pause.MAINTENANCE, until=until)
    assert "It resumes automatically at 13:20." in read_headline(staff)[0]


def test_an_expired_pause_stops_nothing(
    staff: Client, working_account: ProviderAccount, olga: User, manual_clock: ManualClock
) -> None:
    provider_accounts.pause_account(
        account_id=working_account.pk, actor=olga, code=Pause.COST, until=AT + timedelta(minutes=1)
    )
    manual_clock.at += timedelta(minutes=1, seconds=5)
    assert read_headline(staff)[0].startswith("Generating normally.")


def test_a_pause_by_the_spending_monitor_shows_its_note(staff: Client, working_account: ProviderAccount) -> None:
    note = "2,000 credits ordered this hour, usual are 300"
    provider_accounts.pause_account(account_id=working_account.pk, actor=None, code=Pause.UNUSUAL_SPEND, reason=note)
    headline, action = read_headline(staff)
    assert headline.startswith(f"Paused by the spending monitor since 12:20. {note}")
    assert action == "Resume…"


@pytest.mark.parametrize(
    ("parked", "text", "action"),
    [
        ("out_of_credits", "The provider reports that our account has no credits left.", "Top up at the provider"),
        ("access_denied", "The provider rejects our key or IP address.", "View the key"),
    ],
)
def test_an_account_that_is_refused(
    staff: Client, working_account: ProviderAccount, parked: str, text: str, action: str
) -> None:
    ProviderAccount.objects.update(source=ProviderAccount.Source.ENVIRONMENT)
    provider_accounts.block_account(
        account_id=working_account.pk, parked_as=ProviderAccount.Parked(parked), detail="402"
    )
    headline, shown_action = read_headline(staff)
    assert headline.startswith(f"Not generating. {text}")
    assert shown_action in (action, "View the account")


def test_critical_and_low_balances(staff: Client, working_account: ProviderAccount) -> None:
    provider_accounts.record_balance(account_id=working_account.pk, balance=Decimal("499.5"))
    assert read_headline(staff)[0].startswith("Not generating. The provider balance is 499.5; new videos stop at 500.")
    provider_accounts.record_balance(account_id=working_account.pk, balance=Decimal(900))
    assert read_headline(staff)[0].startswith("Generating. The provider balance is low")


@pytest.mark.parametrize(
    ("period", "text"),
    [
        ("hour", "This hour's budget is spent: 1,000 of 1,000. The next one starts 13:00."),
        ("day", "Today's budget is spent: 10,000 of 10,000. The next one starts tomorrow 00:00."),
        ("month", "This month's budget is spent: 200,000 of 200,000. The next one starts 1 Oct."),
    ],
)
def test_a_spent_budget_shows_when_the_next_one_starts(
    staff: Client, working_account: ProviderAccount, settings: Settings, period: str, text: str
) -> None:
    name = {"hour": "HOURLY", "day": "DAILY", "month": "MONTHLY"}[period]
    use_budget(int(getattr(settings, f"{name}_COST_LIMIT")), period)
    headline, action = read_headline(staff)
    assert headline.startswith(f"Waiting for the next budget. {text}")
    assert action == "Raise the budget…"


def test_a_budget_that_is_almost_spent(staff: Client, working_account: ProviderAccount) -> None:
    use_budget(8_100)
    headline, action = read_headline(staff)
    assert headline.startswith("Generating; a budget is almost spent.")
    assert action == "Raise the budget…"


def test_without_a_worker(staff: Client, account: ProviderAccount) -> None:
    headline, action = read_headline(staff)
    assert headline.startswith("Not generating. No worker is running")
    assert "manage.py worker" in headline
    assert action == ""


def test_an_open_breaker_shows_its_reason_and_the_next_retry(staff: Client, working_account: ProviderAccount) -> None:
    ProviderAccount.objects.update(breaker="open", breaker_until=AT + timedelta(minutes=2))
    assert "The provider has problems. We retry automatically at 12:22" in read_headline(staff)[0]
    alerts.raise_alert(alerts.Kind.PROVIDER_TROUBLE, cause=working_account.cause, detail="5 of 10 calls failed.")
    headline, action = read_headline(staff)
    assert headline.startswith("Waiting for the provider. The provider has problems: 5 of 10 calls failed.")
    assert action == "View the account"
    ProviderAccount.objects.update(breaker="half_open")
    assert "We retry automatically, starting with a free request." in read_headline(staff)[0]
    circuit_breaker.record_success(working_account.pk)
    assert read_headline(staff)[0].startswith("Generating normally.")


def test_before_the_first_balance_reading_the_site_is_starting_up(staff: Client) -> None:
    provider_accounts.get_current_account()
    JobRequest.objects.create(name="canary", started_at=AT)
    assert read_headline(staff)[0].startswith("Starting up. The provider balance has not been read yet")

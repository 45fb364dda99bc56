"""Alerts about budgets: one for each window and limit, resolved when the window ends or has room."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from accounts.models import User
from billing.alerts import services as alerts
from billing.budgets import alerts as budget_alerts
from billing.budgets.limits import set_limit
from billing.costs import spend
from billing.models import Alert, ProviderAccount, Spend
from billing.pricing import prices
from tests.billing.budget_helpers import expect_refusal, list_alerts, set_test_limit
from tests.clocks import ManualClock
from tests.jobs import job_id

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("english", "unlimited")]
NewSpend = Callable[..., Spend]
Outcome = spend.Outcome


def test_the_warning_is_raised_once_per_window_and_ends_with_it(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_limit(subject="all", period="day", limit=Decimal(120), soft_share=Decimal("0.5"), actor=None)
    budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_soft") == []
    spend.promise(spend=new_spend(), account=account)
    for _ in range(3):
        budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_soft") == [("all:day 120", 1, True)]
    assert "60 of the day's 120 provider credits are used." in Alert.objects.get().detail
    manual_clock.sleep(24 * 3600)
    budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_soft") == [("all:day 120", 1, False)]
    spend.promise(spend=new_spend(), account=account)
    budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_soft") == [("all:day 120", 1, False), ("all:day 120", 1, True)]


def test_a_refusal_raises_one_alert_that_is_resolved_when_the_limit_is_raised(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_test_limit("60", subject="model", model="veo3_fast")
    spend.promise(spend=new_spend(), account=account)
    state = expect_refusal(new_spend(), account)
    for _ in range(3):
        budget_alerts.raise_spent_alert(state)
        budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_hard") == [("model:veo3_fast:day 60", 1, True)]
    assert Alert.objects.get(kind="budget_hard").severity == alerts.Severity.CRITICAL
    set_test_limit("600", subject="model", model="veo3_fast")
    budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_hard") == [("model:veo3_fast:day 60", 1, False)]
    assert list_alerts("budget_soft") == []


def test_the_spent_alert_replaces_the_warning_until_the_limit_is_raised(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_test_limit("70")
    spend.promise(spend=new_spend(), account=account)
    budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_soft") == [("all:day 70", 1, True)]
    state = expect_refusal(new_spend(), account)
    budget_alerts.raise_spent_alert(state)
    budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_soft") == [("all:day 70", 1, False)]
    assert list_alerts("budget_hard") == [("all:day 70", 1, True)]
    set_test_limit("75")
    budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_soft") == [("all:day 70", 1, False), ("all:day 75", 1, True)]
    assert list_alerts("budget_hard") == [("all:day 70", 1, False)]


def test_the_spent_alert_is_resolved_once_the_cheapest_video_fits(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_test_limit("100", period="month")
    job = new_spend()
    spend.promise(spend=job, account=account)
    spend.promise(spend=(lite := _create_lite_job(job.user)), account=account)
    state = expect_refusal(new_spend(), account)
    budget_alerts.raise_spent_alert(state)
    budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_hard") == [("all:month 100", 1, True)]
    spend.record_response(job_id=lite.job_id, outcome=spend.Outcome.REFUSED)
    spend.settle(job_id=lite.job_id, actual=Decimal(0), basis=Spend.Basis.NOT_SPENT)
    budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_hard") == [("all:month 100", 1, True)], "the waiting job has no room yet"
    Spend.objects.filter(state="estimated").delete()
    for _ in range(2):
        budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_hard") == [("all:month 100", 1, False)]
    assert list_alerts("budget_soft") == []
    budget_alerts.raise_spent_alert(expect_refusal(new_spend(), account))
    assert list_alerts("budget_hard") == [("all:month 100", 2, True)], "the same alert is reopened"


def _create_lite_job(user: User) -> Spend:
    quote = prices.get_quote(model="veo3_lite", resolution="720p")
    return spend.estimate(job_id=job_id("job:lite"), user=user, quote=quote)


def test_no_alert_is_raised_while_a_cheaper_waiting_job_has_room(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_test_limit("100")
    spend.promise(spend=new_spend(), account=account)
    _create_lite_job(User.objects.get(email="alice@example.com"))
    budget_alerts.raise_spent_alert(expect_refusal(new_spend(), account))
    assert list_alerts("budget_hard") == []


def test_the_warning_is_reopened_when_its_threshold_is_reached_again(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    set_limit(subject="all", period="day", limit=Decimal(120), soft_share=Decimal("0.5"), actor=None)
    job = new_spend()
    spend.promise(spend=job, account=account)
    budget_alerts.update_alerts(manual_clock.at)
    spend.record_response(job_id=job.job_id, outcome=spend.Outcome.REFUSED)
    spend.settle(job_id=job.job_id, actual=Decimal(0), basis=Spend.Basis.NOT_SPENT)
    budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_soft") == [("all:day 120", 1, False)]
    spend.promise(spend=new_spend(), account=account)
    for _ in range(2):
        budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_soft") == [("all:day 120", 2, True)]


def test_a_limit_lowered_below_the_usage_raises_a_warning(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    spend.promise(spend=new_spend(), account=account)
    set_test_limit("70", period="month")
    budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_soft") == [("all:month 70", 1, True)]


def test_the_limit_for_each_user_raises_no_alert(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend, alice: User
) -> None:
    set_test_limit("60", subject="each_user")
    spend.promise(spend=new_spend(), account=account)
    budget_alerts.raise_spent_alert(expect_refusal(new_spend(), account))
    budget_alerts.update_alerts(manual_clock.at)
    assert list_alerts("budget_hard") == list_alerts("budget_soft") == []
    set_test_limit("60", subject="user", user=alice)
    budget_alerts.raise_spent_alert(expect_refusal(Spend.objects.get(job_id=job_id("job:2")), account))
    assert list_alerts("budget_hard") == [(f"user:{alice.pk}:day 60", 1, True)]

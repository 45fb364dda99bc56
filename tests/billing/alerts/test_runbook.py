"""Every kind of alert has a runbook entry and links to a page."""

import pytest
from django.utils import translation

from accounts import user_actions
from accounts.models import User
from billing.alerts import runbook
from billing.alerts import services as alerts
from billing.alerts.runbook import RUNBOOK
from billing.models import Alert, ProviderAccount
from tests.billing import history
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db
Kind = Alert.Kind


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_three_short_sentences(kind: Alert.Kind) -> None:
    entry = RUNBOOK[kind]
    for sentence in (entry.meaning, entry.automatic_action, entry.operator_action):
        assert str(sentence)[0].isupper()
        assert str(sentence).endswith(".")
        assert len(str(sentence)) < 200


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_links_to_a_page(manual_clock: ManualClock, kind: Alert.Kind) -> None:
    alert = alerts.raise_alert(kind, cause="something")
    assert runbook.action_path(alert).startswith("/admin/")
    kinds_with_internal_causes = (Kind.STORAGE, Kind.WORKER, Kind.BAD_SIGNATURE, Kind.ORPHAN_CALLBACK, Kind.TEST)
    assert runbook.describe_subject(alert) == (
        "" if kind in (Kind.BUDGET_SOFT, Kind.BUDGET_HARD, *kinds_with_internal_causes) else "something"
    )


def test_an_alert_about_a_row_links_to_it_and_names_it(alice: User, account: ProviderAccount) -> None:
    task = history.make_waiting(alice)
    video = alerts.raise_alert(Kind.DELAYED, cause=task.reference, reference=task.reference)
    assert runbook.action_path(video) == f"/admin/videos/videotask/{task.pk}/change/"
    assert runbook.describe_subject(video) == f"Video {str(task.pk).partition('-')[0].upper()}"
    low = alerts.raise_alert(Kind.LOW_BALANCE, cause=account.cause)
    assert runbook.action_path(low) == f"/admin/billing/provideraccount/{account.pk}/change/"
    alert = alerts.raise_alert(Kind.UNEXPLAINED_SPEND, cause=account.cause)
    assert runbook.action_path(alert) == f"/admin/reconciliation/?account={account.pk}"
    assert runbook.describe_subject(low) == account.label
    burst = alerts.raise_alert(Kind.USER_BURST, cause=f"user {alice.pk}")
    assert runbook.action_path(burst) == f"/admin/accounts/user/{alice.pk}/change/"
    assert runbook.describe_subject(burst) == "alice@example.com"
    budget = alerts.raise_alert(Kind.BUDGET_HARD, cause=f"user:{alice.pk}:day 60")
    assert runbook.describe_subject(budget) == "alice@example.com"
    price_alert = alerts.raise_alert(Kind.PRICE_CHANGED, cause="veo3_fast 720p generate")
    with translation.override("zh-hans"):
        assert runbook.describe_subject(video) == f"视频 {str(task.pk).partition('-')[0].upper()}"
        assert runbook.describe_subject(price_alert) == "Veo 3.1 Fast 720p · 用文字或首尾帧生成视频"
    no_key = alerts.raise_alert(Kind.ACCESS_DENIED, cause="no key")
    assert runbook.describe_subject(no_key) == ""
    alert = alerts.raise_alert(Kind.LOW_BALANCE, cause=ProviderAccount.cause_of(999))
    assert runbook.describe_subject(alert) == "provider account 999"


def test_deleted_users_are_named_by_number(alice: User) -> None:
    burst = alerts.raise_alert(Kind.USER_BURST, cause=f"user {alice.pk}")
    user_actions.close_account(user=alice, actor=None)
    assert runbook.describe_subject(burst) == f"User {alice.pk}"
    alert = alerts.raise_alert(Kind.USER_BURST, cause="user 999999")
    assert runbook.describe_subject(alert) == "User 999999"


def test_an_alert_without_a_page_links_to_itself(manual_clock: ManualClock) -> None:
    alert = alerts.raise_alert(Kind.WORKER, cause="video:no-number")
    assert runbook.action_path(alert) == runbook.alert_path(alert) == f"/admin/billing/alert/{alert.pk}/change/"

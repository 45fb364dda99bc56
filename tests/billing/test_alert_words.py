"""Every kind of alert has plain words and leads somewhere."""

import pytest

from accounts.models import User
from billing import alert_words, alerts
from billing.alert_words import WORDS
from billing.models import Alert, ProviderAccount
from tests.billing import history
from tests.billing.conftest import SetClock

pytestmark = pytest.mark.django_db
Kind = Alert.Kind


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_says_what_it_means_what_was_done_and_what_to_do(kind: Alert.Kind) -> None:
    words = WORDS[kind]
    for sentence in (words.means, words.did, words.todo):
        assert str(sentence)[0].isupper()
        assert str(sentence).endswith(".")
        assert len(str(sentence)) < 200


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_leads_to_a_page(still: SetClock, kind: Alert.Kind) -> None:
    alert = alerts.raise_alert(kind, cause="something")
    assert alert_words.page_of(alert).startswith("/admin/")
    assert alert_words.about(alert) == ("" if kind in (Kind.BUDGET_SOFT, Kind.BUDGET_HARD, Kind.TEST) else "something")


def test_what_is_about_a_row_leads_to_it_and_names_it(alice: User, account: ProviderAccount) -> None:
    task = history.waiting(alice)
    video = alerts.raise_alert(Kind.DELAYED, cause=task.reference, reference=task.reference)
    assert alert_words.page_of(video) == f"/admin/videos/videotask/{task.pk}/change/"
    assert alert_words.about(video) == f"video {str(task.pk).partition('-')[0].upper()}"
    low = alerts.raise_alert(Kind.LOW_BALANCE, cause=account.cause)
    assert alert_words.page_of(low) == f"/admin/billing/provideraccount/{account.pk}/change/"
    assert alert_words.about(low) == account.label
    burst = alerts.raise_alert(Kind.USER_BURST, cause=f"user {alice.pk}")
    assert alert_words.page_of(burst) == f"/admin/accounts/user/{alice.pk}/change/"
    gone = alerts.raise_alert(Kind.LOW_BALANCE, cause=ProviderAccount.cause_of(999))
    assert alert_words.about(gone) == "provider account 999"


def test_what_leads_nowhere_leads_to_the_alert_itself(still: SetClock) -> None:
    alert = alerts.raise_alert(Kind.LATE_RESULT, cause="video:no-number")
    assert alert_words.page_of(alert) == alert_words.own_page(alert) == f"/admin/billing/alert/{alert.pk}/change/"

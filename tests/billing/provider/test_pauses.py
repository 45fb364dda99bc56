"""A pause of new videos: who may set it, the reason that users read in their language, and how it ends."""

from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.utils import translation

from accounts.models import User
from billing.common import formatting
from billing.guard import checks as guard_checks
from billing.models import ProviderAccount
from billing.provider import accounts as provider_accounts
from billing.provider.accounts import Pause
from tests.billing.conftest import NewSpend
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _english() -> object:
    with translation.override("en"):
        yield


def reload(account: ProviderAccount) -> ProviderAccount:
    return ProviderAccount.objects.get(pk=account.pk)


def test_an_operator_can_pause_with_a_text_and_resume(account: ProviderAccount, olga: User) -> None:
    with pytest.raises(ValueError, match="reason"):
        provider_accounts.pause_account(account_id=account.pk, actor=olga, reason=" ")
    assert provider_accounts.pause_account(account_id=account.pk, actor=olga, reason=" cleaning up ")
    paused = reload(account)
    assert (paused.paused_by, paused.pause_code, paused.pause_reason) == (olga, "own_words", "cleaning up")
    assert paused.paused_at is not None
    assert paused.is_paused_at(paused.paused_at)
    assert provider_accounts.resume_account(account_id=account.pk)
    resumed = reload(account)
    assert (resumed.paused_at, resumed.paused_by, resumed.pause_code, resumed.pause_reason) == (None, None, "", "")
    assert not provider_accounts.resume_account(account_id=account.pk)


@pytest.mark.parametrize("code", [code for code in Pause if code != Pause.OWN_WORDS])
def test_every_pause_code_but_own_words_has_a_text_for_users(account: ProviderAccount, olga: User, code: Pause) -> None:
    provider_accounts.pause_account(account_id=account.pk, actor=olga, code=code, reason="for operators' eyes")
    sentence = provider_accounts.format_pause_reason(reload(account))
    assert sentence == str(provider_accounts.PAUSE_TEXTS[code])
    assert sentence[0].islower()
    assert not sentence.endswith(".")


def test_a_custom_text_is_shown_in_the_reader_s_language_or_the_site_s(account: ProviderAccount, olga: User) -> None:
    provider_accounts.pause_account(
        account_id=account.pk, actor=olga, reason="We are migrating.", texts={"zh-hans": "我们在搬家。", "en": " "}
    )
    paused = reload(account)
    assert paused.pause_words == {"zh-hans": "我们在搬家。"}
    assert provider_accounts.format_pause_reason(paused, "zh-hans") == "我们在搬家"
    assert provider_accounts.format_pause_reason(paused) == "We are migrating"
    with translation.override(None):
        assert provider_accounts.format_pause_reason(paused) == "We are migrating"


def test_a_pause_with_an_end_time_ends_automatically(
    manual_clock: ManualClock, account: ProviderAccount, olga: User, new_spend: NewSpend
) -> None:
    until = manual_clock.at + timedelta(hours=1)
    provider_accounts.pause_account(account_id=account.pk, actor=olga, code=Pause.MAINTENANCE, until=until)
    job = new_spend()

    def check_dispatch() -> guard_checks.Wait | None:
        return guard_checks.check_dispatch(estimate=job, account=reload(account), running=0, running_of_user=0)

    assert check_dispatch() == guard_checks.Wait("paused", manual_clock.at + timedelta(seconds=15), ends_at=until)
    assert provider_accounts.end_expired_pauses() == 0
    manual_clock.at = until
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    assert check_dispatch() is None
    assert provider_accounts.end_expired_pauses() == 1
    assert (reload(account).paused_at, reload(account).paused_until) == (None, None)


def test_the_spending_monitor_never_replaces_an_operator_s_pause(
    manual_clock: ManualClock, account: ProviderAccount, olga: User
) -> None:
    until = manual_clock.at + timedelta(hours=1)
    pause_by_monitor = partial(
        provider_accounts.pause_account, account_id=account.pk, actor=None, code=Pause.UNUSUAL_SPEND
    )
    assert pause_by_monitor(until=until, reason="900 this hour, usually 40")
    assert pause_by_monitor(until=until + timedelta(hours=1)), "it may prolong its own pause"
    assert provider_accounts.pause_account(account_id=account.pk, actor=olga, reason="investigating", until=until)
    assert not pause_by_monitor()
    assert reload(account).pause_reason == "investigating"
    manual_clock.at = until
    assert pause_by_monitor(), "the operator's pause has expired"
    assert (reload(account).paused_by, reload(account).paused_until) == (None, None)


def test_a_refusal_shows_the_reason_and_the_end() -> None:
    at = ManualClock().at.replace(year=2031)
    assert str(guard_checks.Paused(reason="maintenance", until=None)) == (
        "New videos are paused (maintenance). Nothing was charged; please try again later."
    )
    assert str(guard_checks.Paused(reason="maintenance", until=at)) == (
        "New videos are paused until 1 Sep, 12:00 (maintenance). Nothing was charged."
    )


def test_a_time_of_today_is_formatted_without_its_day(manual_clock: ManualClock) -> None:
    assert formatting.format_moment(manual_clock.at) == "12:00"
    assert formatting.format_moment(manual_clock.at + timedelta(days=1)) == "2 Sep, 12:00"

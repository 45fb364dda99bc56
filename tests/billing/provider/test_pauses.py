"""A pause: who set it, what users read of it in their language, and how it ends."""

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


def now(account: ProviderAccount) -> ProviderAccount:
    return ProviderAccount.objects.get(pk=account.pk)


def test_a_person_can_pause_with_a_text_and_resume(account: ProviderAccount, olga: User) -> None:
    with pytest.raises(ValueError, match="reason"):
        provider_accounts.pause_account(account_id=account.pk, actor=olga, reason=" ")
    assert provider_accounts.pause_account(account_id=account.pk, actor=olga, reason=" cleaning up ")
    paused = now(account)
    assert (paused.paused_by, paused.pause_code, paused.pause_reason) == (olga, "own_words", "cleaning up")
    assert paused.paused_at is not None
    assert paused.is_paused_at(paused.paused_at)
    assert provider_accounts.resume_account(account_id=account.pk)
    going = now(account)
    assert (going.paused_at, going.paused_by, going.pause_code, going.pause_reason) == (None, None, "", "")
    assert not provider_accounts.resume_account(account_id=account.pk)


@pytest.mark.parametrize("code", [code for code in Pause if code != Pause.OWN_WORDS])
def test_every_pause_code_but_own_words_has_a_text_for_users(account: ProviderAccount, olga: User, code: Pause) -> None:
    provider_accounts.pause_account(account_id=account.pk, actor=olga, code=code, reason="for operators' eyes")
    sentence = provider_accounts.format_pause_reason(now(account))
    assert sentence == str(provider_accounts.PAUSE_TEXTS[code])
    assert sentence[0].islower()
    assert not sentence.endswith(".")


def test_an_own_text_is_shown_in_the_reader_s_language_or_the_site_s(account: ProviderAccount, olga: User) -> None:
    provider_accounts.pause_account(
        account_id=account.pk, actor=olga, reason="We move house.", texts={"zh-hans": "我们在搬家。", "en": " "}
    )
    paused = now(account)
    assert paused.pause_words == {"zh-hans": "我们在搬家。"}
    assert provider_accounts.format_pause_reason(paused, "zh-hans") == "我们在搬家"
    assert provider_accounts.format_pause_reason(paused) == "We move house"
    with translation.override(None):
        assert provider_accounts.format_pause_reason(paused) == "We move house"


def test_a_pause_with_an_end_ends_automatically(
    manual_clock: ManualClock, account: ProviderAccount, olga: User, new_spend: NewSpend
) -> None:
    until = manual_clock.at + timedelta(hours=1)
    provider_accounts.pause_account(account_id=account.pk, actor=olga, code=Pause.MAINTENANCE, until=until)
    job = new_spend()

    def wait() -> guard_checks.Wait | None:
        return guard_checks.check_dispatch(estimate=job, account=now(account), running=0, running_of_user=0)

    assert wait() == guard_checks.Wait("paused", manual_clock.at + timedelta(seconds=15), ends_at=until)
    assert provider_accounts.end_expired_pauses() == 0
    manual_clock.at = until
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    assert wait() is None
    assert provider_accounts.end_expired_pauses() == 1
    assert (now(account).paused_at, now(account).paused_until) == (None, None)


def test_the_spending_watch_never_replaces_a_person_s_pause(
    manual_clock: ManualClock, account: ProviderAccount, olga: User
) -> None:
    until = manual_clock.at + timedelta(hours=1)
    watch = partial(provider_accounts.pause_account, account_id=account.pk, actor=None, code=Pause.UNUSUAL_SPEND)
    assert watch(until=until, reason="900 this hour, usually 40")
    assert watch(until=until + timedelta(hours=1)), "its own it may prolong"
    assert provider_accounts.pause_account(account_id=account.pk, actor=olga, reason="looking", until=until)
    assert not watch()
    assert now(account).pause_reason == "looking"
    manual_clock.at = until
    assert watch(), "a person's pause that is over stops nobody"
    assert (now(account).paused_by, now(account).paused_until) == (None, None)


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

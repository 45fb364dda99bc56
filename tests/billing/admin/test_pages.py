"""What operators can and cannot do to credits and cost."""

import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts import user_actions
from accounts.models import User
from billing import admin as billing_admin
from billing.admin.base import acting_operator
from billing.alerts import services as alerts
from billing.costs import spend
from billing.credits import ledger
from billing.guard import circuit_breaker
from billing.models import (
    Alert,
    BalanceSnapshot,
    Budget,
    CreditAccount,
    LedgerEntry,
    PaidCall,
    Price,
    ProviderAccount,
    Spend,
)
from billing.provider import accounts as provider_accounts
from billing.provider import keys as provider_keys
from tests.accounts import steps
from tests.billing import history
from tests.billing.conftest import browser_of
from tests.jobs import job_id
from tests.people import give_credits, make_person
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db
PEOPLE = "/admin/accounts/user/"
ACCOUNTS = "/admin/billing/provideraccount/"
PRICES = "/admin/billing/price/"
LEDGER = "/admin/billing/ledgerentry/"
ALERTS = "/admin/billing/alert/"
SPEND = "/admin/billing/spend/"
CALLS = "/admin/billing/paidcall/"
KEY = "2f0f6f0e-58a5-4c0f-b0f8-6a2f0d5a7c11"


@pytest.fixture
def clerk(settings: Settings, db: None) -> Callable[..., Client]:
    """An operator with exactly these rights."""
    settings.STAFF_MFA_REQUIRED = False

    def hired(*rights: str) -> Client:
        user = make_person("clerk@example.com", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=rights))
        return browser_of(user)

    return hired


def act(desk: Client, url: str, action: str, *rows: Any, **more: Any) -> str:
    """Choose rows of a list and an action; what the page says then."""
    form = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return desk.post(url, form, follow=True).text


def move(desk: Client, *people_: User, amount: Any = 100, reason: str = "A gift", key: str = KEY) -> str:
    return act(desk, PEOPLE, "move_credits", *people_, confirmed="yes", amount=amount, reason=reason, key=key)


def journal() -> list[str]:
    return list(LogEntry.objects.order_by("id").values_list("change_message", flat=True))


def columns(text: str, name: str) -> list[str]:
    """The cells of a list's column, tags taken out."""
    cells = re.findall(rf'class="field-{name}[^"]*">(.*?)</t[dh]>', text, re.DOTALL)
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in cells]


# People and their credits


def test_people_are_listed_with_what_they_hold(desk: Client, alice: User, bob: User) -> None:
    give_credits(alice, 70)
    text = desk.get(PEOPLE, {"o": "-3"}).text
    assert columns(text, "balance")[0] == "70"
    assert set(columns(text, "balance")[1:]) == {"0"}
    page = desk.get(f"{PEOPLE}{alice.pk}/change/").text
    assert "1 entry" in page
    assert f"{LEDGER}?account__user={alice.pk}" in page
    assert 'value="move_credits"' in page


def test_credits_are_given_after_asking_how_many_and_why(desk: Client, alice: User, olga: User) -> None:
    asked = act(desk, PEOPLE, "move_credits", alice)
    assert "alice@example.com" in asked
    assert ledger.balance_of(alice) == 0
    key = re.search(r'name="key" value="([0-9a-f-]{36})"', asked)
    assert key
    done = move(desk, alice, key=key[1])
    assert "+100 credits for alice@example.com: the balance is 100 now." in done
    entry = ledger.statement(alice).get()
    assert (entry.kind, entry.amount, entry.note, entry.actor) == ("grant", 100, "A gift", olga)
    assert ledger.balance_of(alice) == 100
    assert journal() == ["+100 credits: A gift"]


def test_a_form_sent_twice_moves_once(desk: Client, alice: User) -> None:
    move(desk, alice)
    assert "nothing was changed, the balance is 100." in move(desk, alice)
    assert ledger.balance_of(alice) == 100
    assert [entry.amount for entry in ledger.statement(alice)] == [100]
    assert len(journal()) == 1


def test_a_form_sent_again_with_another_amount_is_refused(desk: Client, alice: User) -> None:
    move(desk, alice)
    assert "This form was already used" in move(desk, alice, amount=1000)
    assert ledger.balance_of(alice) == 100
    assert [entry.amount for entry in ledger.statement(alice)] == [100]


def test_credits_are_taken_away_as_an_adjustment(desk: Client, alice: User, olga: User) -> None:
    give_credits(alice, 100)
    assert "-30 credits for alice@example.com: the balance is 70 now." in move(
        desk, alice, amount=-30, reason="Counted twice"
    )
    assert ledger.balance_of(alice) == 70
    entry = ledger.statement(alice).latest("id")
    assert (entry.kind, entry.amount, entry.note, entry.actor) == ("adjustment", -30, "Counted twice", olga)


def test_of_several_people_all_or_none_are_moved(desk: Client, alice: User, bob: User) -> None:
    give_credits(alice, 100)
    give_credits(bob, 10)
    assert "only 10 credits; nothing was changed" in move(desk, alice, bob, amount=-50)
    assert (ledger.balance_of(alice), ledger.balance_of(bob)) == (100, 10)
    move(desk, alice, bob, amount=5)
    assert (ledger.balance_of(alice), ledger.balance_of(bob)) == (105, 15)
    assert LedgerEntry.objects.count() == 4


@pytest.mark.parametrize(
    "wrong", [{"amount": 0}, {"amount": ""}, {"amount": "1e3"}, {"amount": 10**10}, {"reason": " "}, {"key": "x"}]
)
def test_a_form_that_makes_no_sense_is_shown_again(desk: Client, alice: User, wrong: dict[str, Any]) -> None:
    text = move(desk, alice, **wrong)
    assert "errorlist" in text or "alice@example.com" in text
    assert ledger.balance_of(alice) == 0
    assert not LedgerEntry.objects.exists()


def test_a_closed_account_is_given_nothing(desk: Client, alice: User) -> None:
    user_actions.close_account(user=alice, actor=None)
    assert "Choose 1 to 200 users" in move(desk, alice)
    assert 'value="move_credits"' not in desk.get(f"{PEOPLE}{alice.pk}/change/").text
    assert not LedgerEntry.objects.exists()
    assert ledger.balance_of(alice) == 0


def test_who_may_only_look_is_offered_no_credits_and_moves_none(clerk: Callable[..., Client], alice: User) -> None:
    desk = clerk("view_user", "change_user", "view_ledgerentry")
    assert "Give or remove credits" not in desk.get(PEOPLE).text
    assert "Give or remove credits" not in desk.get(f"{PEOPLE}{alice.pk}/change/").text
    move(desk, alice)
    assert ledger.balance_of(alice) == 0
    assert not LedgerEntry.objects.exists()


# The ledger


def test_the_ledger_is_found_by_person_reference_kind_and_links_to_both(desk: Client, alice: User, bob: User) -> None:
    task = history.cancelled(alice)
    give_credits(bob, 5)
    text = desk.get(LEDGER).text
    assert f"{PEOPLE}{alice.pk}/change/" in text
    assert f'href="/admin/videos/videotask/{task.pk}/change/"' in text
    for query in ({"q": "bob@"}, {"account__user": str(bob.pk)}):
        text = desk.get(LEDGER, query).text
        assert columns(text, "credits") == ["+5"]
    assert columns(desk.get(LEDGER, {"q": task.reference}).text, "credits") == ["+60", "-60"]
    assert columns(desk.get(LEDGER, {"kind__exact": "refund"}).text, "credits") == ["+60"]
    ledger.charge(user=bob, user_credits=1, idempotency_key="k", job_id=job_id("film:1"), reference="film:1")
    assert columns(desk.get(LEDGER, {"q": "film:1"}).text, "about") == ["film:1"]
    assert columns(desk.get(LEDGER, {"account__balance": "5"}, follow=True).text, "credits") != ["+5"]


def test_an_entry_can_be_read_and_nothing_else(desk: Client, alice: User) -> None:
    history.cancelled(alice)
    charge = LedgerEntry.objects.get(kind="charge")
    text = desk.get(f"{LEDGER}{charge.pk}/change/").text
    assert "Refund +60" in text
    assert 'name="_save"' not in text
    for url in (f"{LEDGER}add/", f"{LEDGER}{charge.pk}/delete/"):
        assert desk.get(url).status_code == 403
        assert desk.post(url, {"post": "yes"}).status_code == 403
    assert desk.post(f"{LEDGER}{charge.pk}/change/", {"amount": "1"}).status_code == 403
    assert "delete_selected" not in desk.get(LEDGER).text
    assert ledger.balance_of(alice) == 60
    assert LedgerEntry.objects.count() == 3


# Prices


def new_price(desk: Client, **fields: Any) -> str:
    form = {
        "kind": "generate", "model": "veo3_fast", "resolution": "720p", "provider_credits": "37.5", "user_credits": "50",
        "valid_from_0": f"{timezone.localtime():%Y-%m-%d}", "valid_from_1": f"{timezone.localtime():%H:%M:%S}", **fields,
    }  # fmt: skip
    return desk.post(f"{PRICES}add/", form, follow=True).text


def test_prices_show_what_they_cost_and_what_they_earn(desk: Client) -> None:
    new_price(desk)
    text = desk.get(PRICES, {"when": "now", "model": "veo3_fast", "resolution": "720p", "kind__exact": "generate"}).text
    assert columns(text, "ours") == ["37.5"]
    assert columns(text, "usd") == ["0.1875"]
    assert columns(text, "theirs") == ["50"]
    assert columns(text, "margin") == ["+US$ 0.0625 (25 %)"]
    assert columns(text, "when") == ["In force"]
    assert "provider_credits=37.5" in text


def test_a_new_price_takes_over_and_the_former_stays(desk: Client) -> None:
    before = Price.objects.count()
    new_price(desk, provider_credits="70", user_credits="60")
    tomorrow = timezone.localtime() + timedelta(days=1)
    new_price(desk, user_credits="99", valid_from_0=f"{tomorrow:%Y-%m-%d}")
    assert Price.objects.count() == before + 2
    item = {"model": "veo3_fast", "resolution": "720p", "kind__exact": "generate"}
    assert columns(desk.get(PRICES, item).text, "when") == ["Later", "In force", "Former"]
    assert columns(desk.get(PRICES, item).text, "margin") == [
        "+US$ 0.3075 (62 %)",
        "−US$ 0.0500 (−17 %)",
        "US$ 0.0000 (0 %)",
    ]
    assert columns(desk.get(PRICES, {**item, "when": "later"}).text, "theirs") == ["99"]
    assert columns(desk.get(PRICES, {**item, "when": "former"}).text, "theirs") == ["60"]
    assert len(columns(desk.get(PRICES, {"when": "now"}).text, "item")) == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"provider_credits": "0"},
        {"provider_credits": "-1"},
        {"user_credits": "0"},
        {"user_credits": "1.5"},
        {"model": "Veo 3"},
        {"valid_from_0": "2026-01-01"},
        {"kind": "gift"},
    ],
)
def test_a_price_that_makes_no_sense_is_refused(desk: Client, wrong: dict[str, Any]) -> None:
    before = Price.objects.count()
    assert "errorlist" in new_price(desk, **wrong)
    assert Price.objects.count() == before


def test_a_price_is_never_edited_or_deleted(desk: Client) -> None:
    price = Price.objects.get(kind="generate", model="veo3_fast", resolution="720p")
    assert 'name="_save"' not in desk.get(f"{PRICES}{price.pk}/change/").text
    assert desk.post(f"{PRICES}{price.pk}/change/", {"user_credits": "1"}).status_code == 403
    assert desk.post(f"{PRICES}{price.pk}/delete/", {"post": "yes"}).status_code == 403
    price.refresh_from_db()
    assert price.user_credits == 60


# Provider accounts


FORMER = "former-key-1"


@pytest.fixture
def own_key(settings: Settings) -> ProviderAccount:
    """The account of a key that was added here and is in use; the environment has none."""
    settings.KIE_AI_API_KEY = ""
    account = provider_keys.add_key(api_key="admin-key-canary", label="Ours")
    provider_keys.activate_key(account_id=account.pk)
    return now(account)


def page(account: ProviderAccount) -> str:
    return f"{ACCOUNTS}{account.pk}/change/"


def now(account: ProviderAccount) -> ProviderAccount:
    return ProviderAccount.objects.get(pk=account.pk)


def test_a_pause_asks_for_its_reason_and_a_resume_ends_it(desk: Client, account: ProviderAccount, olga: User) -> None:
    asked = act(desk, ACCOUNTS, "pause", account)
    assert "refused with your reason" in asked
    assert "Maintenance: “maintenance; it will not take long”" in asked
    assert "Unusual spending" not in asked
    assert "errorlist" in act(desk, ACCOUNTS, "pause", account, confirmed="yes", code="own_words", words_en=" ")
    assert "errorlist" in act(desk, ACCOUNTS, "pause", account, confirmed="yes")
    assert now(account).paused_at is None
    words = {"words_en": "We move house.", "words_zh-hans": "我们在搬家"}
    done = act(desk, ACCOUNTS, "pause", account, confirmed="yes", code="own_words", **words)
    assert "Paused by olga@example.com since" in done
    assert "English: “We move house” · Simplified Chinese: “我们在搬家”" in done
    assert "It lasts until an operator resumes it." in done
    assert (now(account).pause_reason, now(account).paused_by) == ("We move house.", olga)
    assert "Paused" in columns(desk.get(ACCOUNTS).text, "state")
    act(desk, ACCOUNTS, "resume", account)
    assert now(account).paused_at is not None
    act(desk, ACCOUNTS, "resume", account, confirmed="yes")
    assert now(account).paused_at is None
    assert journal() == ["paused: We move house", "resumed"]


def test_a_pause_may_have_an_end_which_must_come(desk: Client, account: ProviderAccount) -> None:
    pause = {"confirmed": "yes", "code": "maintenance", "words_en": "not chosen, not kept"}
    assert "This time is in the past." in act(desk, ACCOUNTS, "pause", account, until="2020-01-01T00:00", **pause)
    assert now(account).paused_at is None
    done = act(desk, ACCOUNTS, "pause", account, until="2090-01-01T00:00", **pause)
    assert "It ends automatically at 1 Jan, 00:00." in done
    assert (now(account).pause_reason, now(account).pause_words) == ("", {})
    assert now(account).paused_until == datetime(2090, 1, 1, tzinfo=UTC)


def test_a_pause_of_the_watch_says_so_and_what_it_noted(desk: Client, account: ProviderAccount) -> None:
    code = ProviderAccount.Pause.UNUSUAL_SPEND
    provider_accounts.pause_account(account_id=account.pk, actor=None, code=code, reason="900 this hour, usually 40.")
    text = desk.get(page(account)).text
    assert "Paused by the spending monitor since" in text
    assert "Note: 900 this hour, usually 40." in text


def test_several_accounts_are_paused_and_resumed_together(
    desk: Client, account: ProviderAccount, own_key: ProviderAccount
) -> None:
    act(desk, ACCOUNTS, "pause", account, own_key, confirmed="yes", code="own_words", words_en="Both")
    assert ProviderAccount.objects.filter(pause_reason="Both").count() == 2
    act(desk, ACCOUNTS, "resume", account, own_key, confirmed="yes")
    assert ProviderAccount.objects.filter(paused_at=None).count() == 2


def test_the_page_tells_balance_history_and_state(
    desk: Client, account: ProviderAccount, new_spend: Callable[..., Spend]
) -> None:
    assert "polyline" not in desk.get(page(account)).text
    spend.promise(spend=new_spend(), account=account)
    for n in range(60):
        provider_accounts.record_balance(account_id=account.pk, balance=Decimal(4000 - n))
    text = desk.get(page(account)).text
    assert text.count('<td class="num nowrap">') == 50
    assert "3,941" in text
    assert "3,991" not in text
    assert "3,881" in text, "what is available: the balance less the promise"
    assert columns(desk.get(ACCOUNTS).text, "free") == ["3,881"]
    assert "polyline" in text
    assert "Used for new videos" in text
    assert "Working" in text
    assert desk.get(f"{ACCOUNTS}999999/change/").status_code == 404


def test_the_page_of_a_new_account_says_that_nothing_is_known_yet(desk: Client, own_key: ProviderAccount) -> None:
    text = desk.get(page(own_key)).text
    assert "Not read yet." in text
    assert "No calls in the last day." in text
    assert "Not tested yet: no call has been answered." in text
    assert columns(desk.get(ACCOUNTS).text, "state") == ["Not tested yet"]


def test_the_page_says_why_videos_wait_and_what_comes_next(desk: Client, account: ProviderAccount) -> None:
    parked = ProviderAccount.Parked
    provider_accounts.park_account(account_id=account.pk, parked_as=parked.OUT_OF_CREDITS, detail="402")
    text = desk.get(page(account)).text
    assert "Out of provider credits since" in text
    assert "Top it up there" in text
    assert "This is the sandbox" not in text
    provider_accounts.park_account(account_id=account.pk, parked_as=parked.ACCESS_DENIED, detail="401")
    text = desk.get(page(account)).text
    assert "Key or address refused since" in text
    assert "Correct the key" in text
    ProviderAccount.objects.update(parked_as="", parked_at=None)
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(500))
    text = desk.get(page(account)).text
    assert "The balance is at or below the critical threshold of 500" in text
    assert columns(desk.get(ACCOUNTS).text, "state") == ["Critical balance"]
    provider_accounts.park_account(account_id=account.pk, parked_as=parked.ACCESS_DENIED, detail="401")
    assert columns(desk.get(ACCOUNTS).text, "state") == ["Key or address refused"]


def test_the_sandboxes_page_says_how_it_is_filled(desk: Client, account: ProviderAccount) -> None:
    ProviderAccount.objects.update(source=ProviderAccount.Source.SANDBOX)
    assert "This is the sandbox" not in desk.get(page(account)).text
    provider_accounts.park_account(account_id=account.pk, parked_as=ProviderAccount.Parked.OUT_OF_CREDITS, detail="402")
    text = desk.get(page(account)).text
    assert "This is the sandbox" in text
    assert f"{account.base_url}/_sandbox/balance" in text


def test_the_page_explains_the_breaker_in_each_state(desk: Client, account: ProviderAccount) -> None:
    circuit_breaker.record_success(account.pk)
    circuit_breaker.record_failure(account.pk, detail="HTTP 502")
    text = desk.get(page(account)).text
    assert "Orders are sent, but 1 of the last ones failed." in text
    assert "5 failures among the last 10 orders within 5 minutes stop new ones." in text
    assert "HTTP 502" in text
    circuit_breaker.record_failure(account.pk, detail="455", at_once=True)
    text = desk.get(page(account)).text
    assert "Breaker: Open" in text
    assert "so nothing is sent until" in text
    ProviderAccount.objects.update(breaker_until=timezone.now())
    assert "The pause is over" in desk.get(page(account)).text
    with transaction.atomic():
        circuit_breaker.start_probe(provider_accounts.lock_account(account.pk))
    assert "One video was sent as a probe at" in desk.get(page(account)).text
    ProviderAccount.objects.update(breaker_at=None)
    assert "as a probe since –" in desk.get(page(account)).text


def test_a_history_of_nothing_draws_a_flat_line(desk: Client, account: ProviderAccount) -> None:
    for _ in range(2):
        provider_accounts.record_balance(account_id=account.pk, balance=Decimal(0))
    BalanceSnapshot.objects.filter(balance=5000).delete()
    BalanceSnapshot.objects.update(taken_at=timezone.now())
    assert 'points="0.0,100.0 0.0,100.0"' in desk.get(page(account)).text


def test_a_key_is_added_behind_a_password_and_never_shown_again(
    client: Client, olga: User, settings: Settings, new_sandbox: Callable[..., SandboxProcess]
) -> None:
    settings.STAFF_MFA_REQUIRED, settings.KIE_AI_API_KEY = False, ""
    client.force_login(olga)
    add = f"{ACCOUNTS}add/"
    assert "/reauthenticate/" in client.get(add)["Location"]
    assert "/reauthenticate/" in client.post(add, {"label": "Ours", "api_key": "canary-key-1"})["Location"]
    assert not ProviderAccount.objects.exists()
    assert "canary-key-1" not in str(dict(client.session))
    steps.reauthenticate(client, add)
    assert 'type="password"' in client.get(add).text
    shown = client.post(add, {"label": "", "api_key": "canary-key-1"})
    assert "errorlist" in shown.text
    sandbox = new_sandbox("--api-key", "canary-key-1")
    stored = client.post(add, {"label": "Ours", "api_key": "canary-key-1", "base_url": sandbox.url}, follow=True)
    account = ProviderAccount.objects.get()
    assert "The key is stored encrypted." in stored.text
    assert "the balance is 5,000. All new videos use this key from now on." in stored.text
    assert "Working" in stored.text
    assert provider_accounts.get_credentials(account).api_key == "canary-key-1"
    assert provider_accounts.get_current_account() == account
    assert (account.base_url, account.upload_base_url) == (sandbox.url, sandbox.url)
    assert sandbox.list_accepted() == []
    for text in (shown.text, stored.text, client.get(ACCOUNTS).text, *journal(), account.sealed_key):
        assert "canary-key-1" not in text


@pytest.fixture
def give(client: Client, olga: User, settings: Settings, sandbox: SandboxProcess) -> Callable[..., str]:
    """Adds a key as an operator does; what the next page says. The sandbox knows FORMER."""
    sandbox.settings(api_key=FORMER)
    settings.STAFF_MFA_REQUIRED, settings.KIE_AI_API_KEY = False, ""
    client.force_login(olga)
    steps.reauthenticate(client, f"{ACCOUNTS}add/")

    def add(key: str, base_url: str) -> str:
        form = {"label": key.title(), "api_key": key, "base_url": base_url}
        return client.post(f"{ACCOUNTS}add/", form, follow=True).text

    return add


def test_a_key_that_is_refused_is_kept_and_the_former_one_stays(
    client: Client, give: Callable[..., str], sandbox: SandboxProcess
) -> None:
    assert "If that succeeds, all new videos use this key" in client.get(f"{ACCOUNTS}add/").text
    give(FORMER, sandbox.url)
    former = provider_accounts.get_current_account()
    text = give("wrong-key-123", sandbox.url)
    assert "it refuses our key or address" in text
    assert "No new videos are sent to it." in text
    assert "Key or address refused since" in text
    assert "The breaker stops nothing now. The reason is shown above." in text
    for claim in ("Working", "Used for new videos", "The provider answers", "orders are sent"):
        assert claim not in text
    assert 'value="test_connection"' in text
    assert 'value="activate"' in text
    assert provider_accounts.get_current_account() == former
    assert not Alert.objects.exists(), "nothing was sent with it, so nobody is called"
    wrong = ProviderAccount.objects.exclude(pk=former.pk).get()
    assert "it refuses our key or address" in act(client, ACCOUNTS, "activate", wrong, confirmed="yes")
    assert provider_accounts.get_current_account() == former


def test_a_key_whose_address_nobody_reaches_is_kept_and_the_former_one_stays(
    client: Client, give: Callable[..., str], sandbox: SandboxProcess
) -> None:
    give(FORMER, sandbox.url)
    former = provider_accounts.get_current_account()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        text = give("far-away-key", f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert "it gives no usable answer" in text
    assert "Not reachable" in text
    assert "The last attempt to read the balance failed." in text
    assert "Working" not in text
    assert provider_accounts.get_current_account() == former


def test_a_key_that_answers_with_too_little_leaves_the_former_in_use(
    client: Client, give: Callable[..., str], sandbox: SandboxProcess, new_sandbox: Callable[..., SandboxProcess]
) -> None:
    give(FORMER, sandbox.url)
    former = provider_accounts.get_current_account()
    poor = new_sandbox("--api-key", "poor-key-1", "--balance", "80")
    assert "so new videos do not use this key yet" in give("poor-key-1", poor.url)
    assert provider_accounts.get_current_account() == former
    account = ProviderAccount.objects.get(base_url=poor.url)
    assert "All new videos use this key from now on." in act(client, ACCOUNTS, "activate", account, confirmed="yes")
    assert provider_accounts.get_current_account() == account


def test_a_key_that_was_tried_and_is_not_in_use_says_both(
    client: Client, give: Callable[..., str], sandbox: SandboxProcess, new_sandbox: Callable[..., SandboxProcess]
) -> None:
    give(FORMER, sandbox.url)
    former = provider_accounts.get_current_account()
    other = new_sandbox("--api-key", "other-key-1")
    give("other-key-1", other.url)
    assert "The provider answers. This account is not used for new videos." in client.get(page(former)).text


def test_a_key_added_beside_the_environments_waits_for_it_to_go(
    give: Callable[..., str], sandbox: SandboxProcess, settings: Settings
) -> None:
    settings.KIE_AI_API_KEY = "the-environments-key"
    assert "New videos use the key from the environment" in give(FORMER, sandbox.url)
    assert provider_accounts.get_current_account().source == ProviderAccount.Source.ENVIRONMENT


def test_without_a_vault_a_key_is_refused_in_words(client: Client, olga: User, settings: Settings) -> None:
    settings.STAFF_MFA_REQUIRED, settings.FIELD_ENCRYPTION_KEYS = False, []
    client.force_login(olga)
    steps.reauthenticate(client, f"{ACCOUNTS}add/")
    text = client.post(f"{ACCOUNTS}add/", {"label": "Ours", "api_key": "canary-key-1"}).text
    assert "FIELD_ENCRYPTION_KEYS is empty" in text
    assert "The environment sets a key" in text
    assert "canary-key-1" not in text
    assert not ProviderAccount.objects.exists()


def test_which_key_is_used_is_chosen_here(
    desk: Client, own_key: ProviderAccount, account: ProviderAccount, sandbox: SandboxProcess
) -> None:
    second = provider_keys.add_key(api_key="second-key", label="Second")
    provider_keys.activate_key(account_id=second.pk)
    sandbox.settings(api_key="admin-key-canary")
    ProviderAccount.objects.filter(pk=own_key.pk).update(base_url=sandbox.url)
    assert 'value="activate"' in desk.get(page(own_key)).text
    assert "unless the environment sets one" in act(desk, ACCOUNTS, "activate", own_key)
    assert provider_accounts.get_current_account() == second
    act(desk, ACCOUNTS, "activate", own_key, confirmed="yes")
    assert provider_accounts.get_current_account() == own_key
    assert 'value="deactivate"' in desk.get(page(own_key)).text
    act(desk, ACCOUNTS, "deactivate", own_key)
    assert provider_accounts.get_current_account() == own_key
    act(desk, ACCOUNTS, "deactivate", own_key, second, confirmed="yes")
    assert columns(desk.get(ACCOUNTS).text, "role") == ["–"] * ProviderAccount.objects.count()
    assert "Choose one key" in act(desk, ACCOUNTS, "activate", own_key, second, confirmed="yes")


def test_the_environments_key_is_not_chosen_here(desk: Client, account: ProviderAccount) -> None:
    assert 'value="activate"' not in desk.get(page(account)).text
    assert "Choose one key that was added here" in act(desk, ACCOUNTS, "activate", account, confirmed="yes")
    assert "Choose keys that were added here" in act(desk, ACCOUNTS, "deactivate", account, confirmed="yes")
    assert now(account).is_active


def test_the_connection_is_tested_by_reading_the_balance(
    desk: Client, sandbox: SandboxProcess, settings: Settings
) -> None:
    settings.KIE_AI_API_KEY, settings.KIE_AI_BASE_URL = sandbox.api_key, sandbox.url
    account = provider_accounts.get_current_account()
    assert re.search(
        r"it answers in \d+\.\d\d s, the balance is 5,000\.", act(desk, ACCOUNTS, "test_connection", account)
    )
    assert now(account).balance == 5000
    settings.KIE_AI_API_KEY = "a-wrong-key"
    wrong = provider_accounts.get_current_account()
    text = act(desk, ACCOUNTS, "test_connection", account, wrong)
    assert "it refuses our key or address" in text
    assert "a-wrong-key" not in text
    settings.FIELD_ENCRYPTION_KEYS = []
    settings.KIE_AI_API_KEY = ""
    assert "FIELD_ENCRYPTION_KEYS" in act(desk, ACCOUNTS, "test_connection", wrong)
    assert sandbox.list_accepted() == []


def test_a_provider_that_is_silent_is_said_to_be(desk: Client, account: ProviderAccount) -> None:
    assert "it gives no usable answer (after" in act(desk, ACCOUNTS, "test_connection", account)


# Alerts, spend, paid calls


def test_alerts_are_read_narrowed_down_and_marked_as_seen(desk: Client, alice: User, olga: User) -> None:
    task = history.waiting(alice)
    first = alerts.raise_alert(Alert.Kind.DELAYED, cause=task.reference, reference=task.reference)
    second = alerts.raise_alert(Alert.Kind.STORAGE, cause="media", detail="full")
    text = desk.get(ALERTS).text
    assert f"/admin/videos/videotask/{task.pk}/change/" in text
    assert "1 alert marked." in act(desk, ALERTS, "acknowledge", first)
    assert "1 alert marked." in act(desk, ALERTS, "acknowledge", first, second)
    alerts.resolve_alerts(Alert.Kind.STORAGE)
    first.refresh_from_db()
    assert first.acknowledged_by == olga
    third = alerts.raise_alert(Alert.Kind.WORKER, detail="killed")
    assert columns(desk.get(ALERTS, {"state": "open"}).text, "what") == [third.detail]
    assert columns(desk.get(ALERTS, {"state": "seen"}).text, "what") == ["–"]
    assert columns(desk.get(ALERTS, {"state": "over"}).text, "what") == ["full"]
    assert sorted(columns(desk.get(ALERTS).text, "state")) == ["Open", "Over", "Seen"]
    assert "full" in desk.get(f"{ALERTS}{second.pk}/change/").text


def test_spend_and_paid_calls_are_read(desk: Client, alice: User) -> None:
    task = history.ready(alice)
    history.waiting(alice)
    text = desk.get(SPEND).text
    assert columns(text, "real") == ["–", "60"]
    assert columns(text, "usd") == ["0.3000", "0.3000"]
    assert columns(text, "made_by") == ["–", "kie.ai"]
    assert columns(desk.get(SPEND, {"q": task.reference}).text, "status") == ["Settled"]
    assert columns(desk.get(CALLS, {"q": "alice@"}).text, "result") == ["Accepted"]
    PaidCall.objects.update(answered_at=None)
    assert columns(desk.get(CALLS).text, "answered") == ["–"]


# Rights


MODELS: list[Any] = [LedgerEntry, Price, ProviderAccount, Alert, Spend, PaidCall]


@pytest.fixture
def rows(alice: User, account: ProviderAccount) -> dict[Any, Any]:
    """A row of every table."""
    history.ready(alice)
    alerts.raise_alert(Alert.Kind.STORAGE)
    return {model: model.objects.first() for model in MODELS}


@pytest.mark.parametrize("model", MODELS)
def test_without_rights_nothing_is_seen(clerk: Callable[..., Client], rows: dict[Any, Any], model: Any) -> None:
    desk = clerk()
    url = f"/admin/billing/{model._meta.model_name}/"
    for path in (url, f"{url}{rows[model].pk}/change/", f"{url}{rows[model].pk}/history/"):
        assert desk.get(path).status_code == 403
        assert desk.post(path, {}).status_code == 403


@pytest.mark.parametrize("model", MODELS)
def test_who_may_look_may_only_look(clerk: Callable[..., Client], rows: dict[Any, Any], model: Any) -> None:
    name = model._meta.model_name
    desk = clerk(f"view_{name}")
    url, row = f"/admin/billing/{name}/", rows[model]
    before = list(model.objects.values())
    text = desk.get(url).text + desk.get(f"{url}{row.pk}/change/").text
    assert "…</button>" not in text
    for action in ("pause", "resume", "activate", "deactivate", "test_connection", "acknowledge", "delete_selected"):
        act(desk, url, action, row, confirmed="yes", reason="x")
    assert desk.post(f"{url}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert list(model.objects.values()) == before


def test_who_may_not_add_keys_or_prices_is_refused(clerk: Callable[..., Client]) -> None:
    desk = clerk("view_provideraccount", "change_provideraccount", "view_price", "change_price")
    for url in (f"{ACCOUNTS}add/", f"{PRICES}add/"):
        assert desk.get(url).status_code == 403
        assert desk.post(url, {"label": "x", "api_key": "canary-key-1"}).status_code == 403
    assert not ProviderAccount.objects.exists()


@pytest.mark.parametrize("stranger", ["nobody", "customer"])
def test_strangers_see_nothing(client: Client, alice: User, rows: dict[Any, Any], stranger: str) -> None:
    if stranger == "customer":
        client.force_login(alice)
    for url in (PEOPLE, LEDGER, PRICES, ACCOUNTS, ALERTS, SPEND, CALLS):
        assert client.get(url).status_code in {302, 403}
        assert client.post(url, {}).status_code in {302, 403}


def test_looking_changes_nothing(desk: Client, alice: User, rows: dict[Any, Any]) -> None:
    def everything() -> list[Any]:
        return [list(model.objects.values()) for model in (*MODELS, CreditAccount, BalanceSnapshot)]

    desk.get(PEOPLE)  # olga's own session row is written by the first look
    before = everything()
    for model, row in rows.items():
        url = f"/admin/billing/{model._meta.model_name}/"
        for query in ({}, {"action": "pause"}, {"action": "acknowledge", "_selected_action": "1", "confirmed": "yes"}):
            assert desk.get(url, query, follow=True).status_code == 200
        assert desk.get(f"{url}{row.pk}/change/").status_code == 200
    give = {"action": "move_credits", "_selected_action": str(alice.pk), "amount": "5", "confirmed": "yes"}
    assert desk.get(PEOPLE, give, follow=True).status_code == 200
    assert everything() == before


def test_nothing_in_billing_can_be_deleted_or_edited_by_hand(desk: Client, olga: User) -> None:
    class Request:
        user = olga
        method = "POST"

    for model, site in admin.site._registry.items():
        # A limit is a person's own word, kept by nobody's books: it may be changed and taken back.
        if model._meta.app_label == "billing" and model is not Budget:
            assert not site.has_delete_permission(Request())  # type: ignore[arg-type]
            assert not site.has_change_permission(Request())  # type: ignore[arg-type]
    assert isinstance(admin.site._registry[User], billing_admin.UserAdmin)


def test_an_act_needs_a_person() -> None:
    class Request:
        user = None

    with pytest.raises(TypeError):
        acting_operator(Request())  # type: ignore[arg-type]

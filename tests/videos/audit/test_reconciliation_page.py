"""The reconciliation page: its periods, sums and answers."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.audit import runner as audit_runner
from billing.models import Alert, BooksRun, CreditAccount, ProviderAccount, ProviderEntry
from billing.provider import accounts as provider_accounts
from billing.reconciliation import top_ups
from tests.billing.simulated_provider import SimulatedProvider
from tests.clocks import ManualClock
from tests.people import give_credits
from tests.videos.audit.reconciliation_page import PAGE, page_text

pytestmark = pytest.mark.django_db
KEY = "2f0f6f0e-58a5-4c0f-b0f8-6a2f0d5a7c11"


@pytest.fixture
def provider(manual_clock: ManualClock, alice: User, settings: Settings) -> SimulatedProvider:
    settings.HOURLY_COST_LIMIT = Decimal(100_000)
    return SimulatedProvider(manual_clock, alice)


def read_sums(html: str) -> dict[str, str]:
    """Label and amount of each line of the calculation."""
    table = html[html.index('class="sums') :]
    rows = re.findall(r'<th scope="row">([^<]*).*?</th>\s*<td>([^<]*)</td>', table[: table.index("</table>")], re.S)
    return dict(rows)


def lose_credits(provider: SimulatedProvider, amount: object = "12.5") -> None:
    provider.read_balance()
    provider.run_job()
    provider.balance -= Decimal(str(amount))
    provider.read_balance()


def post_answer(staff: Client, amount: object, *, key: str = KEY, reason: str = "Playground", query: str = "") -> Any:
    form = {"amount": str(amount), "reason": reason, "key": key}
    return staff.post(PAGE + query, form, follow=True)


def test_with_fewer_than_two_readings_nothing_is_compared(staff: Client, provider: SimulatedProvider) -> None:
    provider.read_balance()
    text = page_text(staff.get(PAGE).text)
    assert "Nothing to compare yet" in text
    assert "Books not checked yet" in text
    assert staff.post(PAGE, {}).status_code == 403


def test_without_an_account_the_page_explains_what_is_missing(staff: Client, settings: Settings) -> None:
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    assert "There is no provider account" in page_text(staff.get(PAGE).text)


def test_an_explained_difference_adds_up(staff: Client, provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.run_job()
    provider.run_job(model="veo3", actual="37.5", charged="-22.5")
    provider.balance += 1000
    provider.read_balance()
    provider.send_job()
    provider.read_balance()
    top_ups.reconcile_accounts()
    BooksRun.objects.create(took_s=1, problems=0, at=provider.clock.at)
    html = staff.get(PAGE).text
    text = page_text(html)
    assert "Everything explained. 1 video is not settled yet: up to 60 credits may have been charged for it." in text
    assert read_sums(html) == {
        "Balance at the beginning": "5,000",
        "Top-ups": "+1,000",
        "Returned by the provider": "0",
        "Videos whose cost is known": "−97.5",
        "Videos in progress": "−60",
        "Corrections by operators": "0",
        "Not explained": "0",
        "Balance at the end": "5,842.5",
    }
    assert "Veo 3.1 Fast 1 60 60" in text
    assert "Veo 3.1 Quality 1 250 37.5" in text
    assert "Compared with the estimates: −212.5" in text
    assert "Books balance" in text
    assert "Every balance is the sum of its entries." in text


def test_an_unexplained_loss_is_shown_with_its_time(staff: Client, provider: SimulatedProvider) -> None:
    lose_credits(provider)
    html = staff.get(PAGE).text
    text = page_text(html)
    assert "12.5 credits are missing that no video explains." in text
    assert read_sums(html)["Not explained"] == "−12.5"
    assert "between the readings of 12:03:00 and 12:07:01 −12.5" in text
    assert 'name="amount" value="-12.5"' in html


def test_failed_videos_that_may_explain_a_loss_are_listed(staff: Client, provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.run_job(actual=0, basis="assumed")
    provider.read_balance()
    assert "1 failed video was counted as free; charged, it would have cost 60" in page_text(staff.get(PAGE).text)


def test_a_surplus_is_first_shown_as_added_credits(staff: Client, provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.run_job(charged=-30, actual=60)
    provider.read_balance()
    provider_accounts.lock_account(provider.account.pk)
    text = page_text(staff.get(PAGE).text)
    assert "Credits were added." in text
    provider.advance(minutes=20)
    text = page_text(staff.get(PAGE).text)
    assert "There are 30 credits more than our books explain." in text


def test_a_top_up_being_measured_is_shown(staff: Client, provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.balance += 1000
    provider.read_balance()
    html = staff.get(PAGE).text
    assert "They are being measured" in page_text(html)
    # It must not be counted twice.
    assert "Wait for that, or they count twice" in page_text(html)
    assert 'value="1000"' not in html


def test_another_period_can_be_chosen(staff: Client, provider: SimulatedProvider) -> None:
    lose_credits(provider)
    provider.read_balance(days=5)
    assert "Everything explained." in page_text(staff.get(PAGE).text)
    for query in ("?stretch=week", "?stretch=month", "?begin=2026-09-01&end=2026-09-01"):
        assert "12.5 credits are missing" in page_text(staff.get(PAGE + query).text), query
    assert "The last day is before the first." in page_text(staff.get(f"{PAGE}?begin=2026-09-02&end=2026-09-01").text)
    assert "Enter a valid date." in page_text(staff.get(f"{PAGE}?begin=soon&end=2026-09-01").text)
    assert "Nothing to compare yet" in page_text(staff.get(f"{PAGE}?begin=2026-01-01&end=2026-01-02").text)


def test_each_account_has_its_own_page(staff: Client, provider: SimulatedProvider, settings: Settings) -> None:
    lose_credits(provider)
    other = ProviderAccount.objects.create(
        label="Other", source="admin", base_url="https://other.example", upload_base_url="", key_fingerprint="o"
    )
    assert "Nothing to compare yet" in page_text(staff.get(f"{PAGE}?account={other.pk}").text)
    assert "12.5 credits are missing" in page_text(staff.get(f"{PAGE}?account={provider.account.pk}").text)
    assert "12.5 credits are missing" in page_text(staff.get(f"{PAGE}?account=nonsense").text)
    assert "12.5 credits are missing" in page_text(staff.get(f"{PAGE}?account=99999").text)
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    other.delete()
    assert "12.5 credits are missing" in page_text(staff.get(PAGE).text), "the newest account, when none is current"


def test_consistency_problems_are_listed(staff: Client, provider: SimulatedProvider) -> None:
    lose_credits(provider)
    give_credits(provider.user, 10)
    CreditAccount.objects.update(balance=11)
    problem = next(problem for problem in audit_runner.run_audit().problems if problem.invariant == "I1")
    text = page_text(staff.get(PAGE).text)
    assert "Not every balance is the sum of its entries" in text
    assert problem.text in text


def test_a_difference_is_answered_on_the_page(staff: Client, provider: SimulatedProvider, olga: User) -> None:
    lose_credits(provider)
    top_ups.reconcile_accounts()
    response = post_answer(staff, "-12.5")
    assert response.redirect_chain == [(PAGE, 302)]
    assert "Correction saved: −12.5 credits." in response.text
    assert "Everything explained." in page_text(response.text)
    assert "Playground · olga@example.com" in page_text(response.text)
    entry = ProviderEntry.objects.get()
    assert (entry.kind, entry.amount, entry.reason, entry.actor) == ("correction", Decimal("-12.5"), "Playground", olga)
    assert LogEntry.objects.get().change_message == "-12.5: Playground"
    assert Alert.objects.get(kind="unexplained_spend").resolved_at is not None


def test_a_double_click_answers_once(staff: Client, provider: SimulatedProvider) -> None:
    lose_credits(provider)
    post_answer(staff, "-12.5")
    post_answer(staff, "-12.5")
    assert ProviderEntry.objects.count() == 1
    assert "This form was already used" in post_answer(staff, "-12").text
    assert ProviderEntry.objects.count() == 1


@pytest.mark.parametrize("changes", [{"amount": "0"}, {"amount": "much"}, {"reason": " "}])
def test_an_invalid_answer_is_refused(staff: Client, provider: SimulatedProvider, changes: dict[str, str]) -> None:
    lose_credits(provider)
    assert "errorlist" in post_answer(staff, **{"amount": "-12.5", **changes}).text
    assert not ProviderEntry.objects.exists()


def test_without_a_difference_no_amount_is_asked_for(staff: Client, provider: SimulatedProvider) -> None:
    provider.read_balance()
    provider.read_balance()
    html = staff.get(PAGE).text
    keys = {re.search(r'name="key" value="([^"]+)"', staff.get(PAGE).text)[1] for _ in range(2)}  # type: ignore[index]
    assert len(keys) == 2
    assert not re.search(r'name="amount"[^>]*value=', html)


def test_the_answer_form_needs_its_permission(
    staff_browser: Callable[..., Client], provider: SimulatedProvider
) -> None:
    lose_credits(provider)
    assert get_page(staff_browser("view_videotask")).status_code == 403
    reader = staff_browser("view_providerentry")
    assert "12.5 credits are missing" in page_text(get_page(reader).text)
    assert "Record a correction" not in get_page(reader).text
    assert post_answer(reader, "-12.5").status_code == 403
    assert not ProviderEntry.objects.exists()
    assert Client().get(PAGE).status_code == 302


def get_page(browser: Client) -> Any:
    return browser.get(PAGE)


def test_a_period_has_limits_and_typed_values_are_kept(staff: Client, provider: SimulatedProvider) -> None:
    lose_credits(provider)
    assert "choose at most" not in staff.get(f"{PAGE}?begin=2026-06-02&end=2026-09-01").text
    html = staff.get(f"{PAGE}?begin=2026-06-01&end=2026-09-01").text
    assert "This is too long to compare at once: choose at most 92 days." in html
    assert 'value="2026-06-01"' in html
    assert 'value="2026-09-01"' in html
    for query in ("begin=2026-01-01&end=9999-12-31", "begin=0001-01-01&end=2026-01-01", "end=2026-01-01"):
        assert "errorlist" in staff.get(f"{PAGE}?{query}").text, query
    for account_id in ("²", "9" * 30, "9" * 5000):
        assert staff.get(PAGE, {"account": account_id}).status_code == 200

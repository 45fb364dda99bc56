"""Voucher codes: they give credits once to each user, and guessing is limited."""

import re
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from pytest_django.fixtures import Settings

from accounts import rate_limits
from accounts.models import User
from billing.credits import ledger, lots, vouchers
from billing.credits.vouchers import Reason
from billing.models import CreditLot, Voucher, VoucherUse
from tests.clocks import ManualClock
from tests.people import make_person

pytestmark = pytest.mark.django_db
PAGE = "/credits/"


def new_voucher(**fields: object) -> Voucher:
    return vouchers.create_vouchers(**{"user_credits": 50, "actor": None, **fields})[0]  # type: ignore[arg-type]


def refusal_reason(user: User, typed: str) -> Reason:
    with pytest.raises(vouchers.NotRedeemed) as error:
        vouchers.redeem(user=user, typed=typed)
    return error.value.reason


def balance_and_entries(user: User) -> tuple[int, list[tuple[str, int]]]:
    return ledger.balance_of(user), list(ledger.statement(user).order_by("id").values_list("kind", "amount"))


# Creating


def test_codes_are_readable_grouped_and_never_the_same(olga: User) -> None:
    created = vouchers.create_vouchers(user_credits=5, number=50, actor=olga, note=" Fair ")
    codes = {voucher.code for voucher in created}
    assert len(codes) == 50
    assert all(re.fullmatch(r"([2-9A-HJ-NP-Z]{4}-){3}[2-9A-HJ-NP-Z]{4}", code) for code in codes)
    assert len(set("".join(codes)) - {"-"}) == len(vouchers.ALPHABET) == 32
    assert Voucher.objects.filter(note="Fair", created_by=olga, max_uses=1, uses=0).count() == 50
    assert str(created[0]) == created[0].code


@pytest.mark.parametrize("number", [0, 1001])
def test_a_batch_of_codes_has_an_upper_bound(number: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000"):
        vouchers.create_vouchers(user_credits=5, number=number, actor=None)
    assert not Voucher.objects.exists()


def test_the_database_refuses_worthless_and_overused_vouchers() -> None:
    voucher = new_voucher()
    for invalid in ({"user_credits": 0}, {"max_uses": 0}, {"uses": 2}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Voucher.objects.filter(pk=voucher.pk).update(**invalid)


# Redeeming


def test_a_code_is_accepted_in_any_spelling(alice: User) -> None:
    code = new_voucher().code
    use = vouchers.redeem(user=alice, typed=f"  {code.lower().replace('-', ' – ')}\t")
    assert use.entry.idempotency_key == f"voucher:{use.voucher_id}:{alice.pk}"
    assert (use.entry.note, use.entry.reference) == ("Voucher", f"voucher:{use.voucher_id}")
    assert str(use) == f"{use.voucher_id} by {alice.pk}"
    assert Voucher.objects.get().uses == 1
    assert CreditLot.objects.get().expires_at is None
    assert balance_and_entries(alice) == (50, [("grant", 50)])


def test_full_width_characters_and_missing_dashes_are_accepted() -> None:
    assert vouchers.normalise_code("ａｂｃｄ２３４５EFGH6789") == "ABCD-2345-EFGH-6789"
    assert vouchers.normalise_code("abcd2") == "ABCD-2"
    assert vouchers.normalise_code(" -- ") == ""


def test_the_credits_of_a_code_last_as_long_as_set(alice: User, manual_clock: ManualClock) -> None:
    vouchers.redeem(user=alice, typed=new_voucher(credits_last_days=30).code)
    assert CreditLot.objects.get().expires_at == lots.days_from_now(30)
    assert balance_and_entries(alice) == (50, [("grant", 50)])


def test_a_code_is_used_once_per_user_up_to_its_maximum(alice: User, bob: User, olga: User) -> None:
    code = new_voucher(max_uses=2).code
    vouchers.redeem(user=alice, typed=code)
    assert refusal_reason(alice, code) == Reason.USED_BEFORE
    vouchers.redeem(user=bob, typed=code)
    assert refusal_reason(olga, code) == Reason.USED_UP
    assert refusal_reason(alice, code) == Reason.USED_BEFORE
    assert Voucher.objects.get().uses == VoucherUse.objects.count() == 2
    assert (balance_and_entries(alice), balance_and_entries(bob), balance_and_entries(olga)) == (
        (50, [("grant", 50)]),
        (50, [("grant", 50)]),
        (0, []),
    )


def test_a_code_expires(alice: User, manual_clock: ManualClock) -> None:
    code = new_voucher(valid_until=manual_clock.at + timedelta(days=1)).code
    manual_clock.sleep(86400)
    assert refusal_reason(alice, code) == Reason.EXPIRED
    assert balance_and_entries(alice) == (0, [])


def test_a_withdrawn_code_counts_as_unknown_and_redeemed_credits_stay(alice: User, bob: User) -> None:
    voucher = new_voucher(max_uses=5)
    vouchers.redeem(user=alice, typed=voucher.code)
    assert [vouchers.withdraw(voucher_id=voucher.pk), vouchers.withdraw(voucher_id=voucher.pk)] == [True, False]
    assert refusal_reason(bob, voucher.code) == refusal_reason(bob, "ABCD-EFGH-JKLM-NPQR") == Reason.UNKNOWN
    assert (balance_and_entries(alice)[0], balance_and_entries(bob)[0]) == (50, 0)


# Guessing


def test_after_too_many_guesses_even_a_valid_code_is_refused(alice: User, bob: User, manual_clock: ManualClock) -> None:
    code = new_voucher().code
    for n in range(rate_limits.WRONG_VOUCHERS_BY_USER.amount):
        assert refusal_reason(alice, f"ABCD-{n}") == Reason.UNKNOWN
    manual_clock.sleep(60)
    with pytest.raises(vouchers.TooManyWrongCodes, match="again in 14 min") as error:
        vouchers.redeem(user=alice, typed=code)
    assert error.value.minutes == 14
    vouchers.redeem(user=bob, typed=new_voucher().code)
    manual_clock.sleep(14 * 60)
    vouchers.redeem(user=alice, typed=code)
    assert (balance_and_entries(alice)[0], balance_and_entries(bob)[0]) == (50, 50)


def test_one_client_address_is_limited_across_users(alice: User, bob: User, manual_clock: ManualClock) -> None:
    for number in range(rate_limits.WRONG_VOUCHERS_BY_CLIENT.amount // rate_limits.WRONG_VOUCHERS_BY_USER.amount):
        guesser = make_person(f"guesser{number}@example.com")
        for _ in range(rate_limits.WRONG_VOUCHERS_BY_USER.amount):
            with pytest.raises(vouchers.NotRedeemed):
                vouchers.redeem(user=guesser, typed="ABCD", client="192.0.2.1")
    with pytest.raises(vouchers.TooManyWrongCodes):
        vouchers.redeem(user=bob, typed=new_voucher().code, client="192.0.2.1")
    vouchers.redeem(user=bob, typed=new_voucher().code, client="192.0.2.2")
    assert balance_and_entries(bob) == (50, [("grant", 50)])


def test_valid_and_already_used_codes_do_not_count_as_guesses(alice: User) -> None:
    codes = [voucher.code for voucher in vouchers.create_vouchers(user_credits=1, number=12, actor=None)]
    for code in codes:
        vouchers.redeem(user=alice, typed=code)
        assert refusal_reason(alice, code) == Reason.USED_BEFORE
    assert balance_and_entries(alice)[0] == 12


# On the page


@pytest.fixture
def credits_page(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


def test_the_page_redeems_a_code_and_shows_the_credits(credits_page: Client, alice: User) -> None:
    done = credits_page.post(PAGE, {"code": new_voucher(credits_last_days=30).code.lower()}, follow=True)
    assert done.redirect_chain == [(PAGE, 302)]
    assert "50 credits added." in done.text
    assert "Voucher" in done.text
    assert balance_and_entries(alice) == (50, [("grant", 50)])


def test_the_page_shows_why_a_code_is_refused_and_keeps_the_input(
    credits_page: Client, alice: User, bob: User, manual_clock: ManualClock
) -> None:
    expired, used = new_voucher(valid_until=manual_clock.at), new_voucher()
    withdrawn, used_before = new_voucher(), new_voucher(max_uses=2)
    vouchers.withdraw(voucher_id=withdrawn.pk)
    vouchers.redeem(user=bob, typed=used.code)
    vouchers.redeem(user=alice, typed=used_before.code)
    errors = {}
    for name, code in {
        "expired": expired.code, "used": used.code, "withdrawn": withdrawn.code, "used_before": used_before.code,
        "unknown": "<b>odd", "empty": " ",
    }.items():  # fmt: skip
        response = credits_page.post(PAGE, {"code": code})
        assert response.status_code == 422
        form = response.context["voucher_form"]
        assert form["code"].value() == code
        errors[name] = form.errors["code"][0]
        assert "&lt;b&gt;odd" in response.text if name == "unknown" else code in response.text
    assert errors["expired"].startswith("This code has expired")
    assert errors["used"].startswith("This code has no uses left")
    assert errors["used_before"].startswith("You have already used this code")
    assert errors["withdrawn"] == errors["unknown"]
    assert errors["empty"] == "Enter a code."
    assert all(first != second for first, second in pairwise(sorted(set(errors.values()))))
    assert balance_and_entries(alice) == (50, [("grant", 50)])


def test_the_page_shows_when_to_try_again(credits_page: Client, alice: User, manual_clock: ManualClock) -> None:
    for _ in range(rate_limits.WRONG_VOUCHERS_BY_USER.amount):
        credits_page.post(PAGE, {"code": "ABCD"})
    manual_clock.sleep(60)
    response = credits_page.post(PAGE, {"code": new_voucher().code})
    assert "Try again in 14 minutes." in response.text
    assert balance_and_entries(alice) == (0, [])


def test_a_code_is_redeemed_when_the_client_address_is_unknown(
    credits_page: Client, alice: User, settings: Settings
) -> None:
    credits_page.get(PAGE)
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    response = credits_page.post(PAGE, {"code": new_voucher().code}, REMOTE_ADDR="")
    assert response.status_code == 302
    assert balance_and_entries(alice) == (50, [("grant", 50)])

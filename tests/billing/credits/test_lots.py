"""Credit lots: those that expire first are spent first, and refunds return to the lots that were charged."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.audit import runner as audit_runner
from billing.credits import ledger, lots
from billing.credits.lots import Holding
from billing.models import CreditAccount, CreditLot, LedgerEntry, LotUse
from tests.clocks import ManualClock
from tests.jobs import job_id

pytestmark = pytest.mark.django_db

grant_count = 0


def grant_lot(
    user: User, user_credits: int, *, days: float | None = None, clock: ManualClock | None = None
) -> CreditLot:
    """The lot of a new grant, which expires after `days` by `clock` (default: never)."""
    global grant_count
    grant_count += 1
    expires_at = clock.at + timedelta(days=days) if clock and days else None
    entry = ledger.grant(
        user=user,
        user_credits=user_credits,
        idempotency_key=f"lot:{grant_count}",
        note="for a test",
        expires_at=expires_at,
    )
    return entry.lot


def charge(user: User, user_credits: int, key: str = "charge:1") -> LedgerEntry:
    return ledger.charge(
        user=user, user_credits=user_credits, idempotency_key=key, job_id=job_id(f"job:{key}"), reference=f"job:{key}"
    )


def refund(key: str = "charge:1") -> LedgerEntry:
    return ledger.refund(charge_key=key, idempotency_key=f"refund:{key}")


def remaining_credits(*credit_lots: CreditLot) -> list[int]:
    by_pk = dict(CreditLot.objects.values_list("pk", "remaining"))
    return [by_pk[lot.pk] for lot in credit_lots]


def balance_and_entries(user: User) -> tuple[int, list[tuple[str, int]]]:
    """The balance and the entries, oldest first; also checks that the lots add up to the balance."""
    held = sum(CreditLot.objects.filter(account__user=user).values_list("remaining", flat=True))
    assert held == ledger.balance_of(user)
    assert {problem for problem in audit_runner.find_problems() if problem.invariant == "I1"} == set()
    return held, list(ledger.statement(user).order_by("id").values_list("kind", "amount"))


# Grants


def test_a_grant_opens_a_lot_with_its_expiry(alice: User, olga: User, manual_clock: ManualClock) -> None:
    dated = grant_lot(alice, 50, days=30, clock=manual_clock)
    assert (dated.granted, dated.remaining, dated.is_grace) == (50, 50, False)
    assert dated.expires_at == manual_clock.at + timedelta(days=30)
    assert str(dated) == "50 of 50"
    ledger.grant(
        user=alice, user_credits=500, idempotency_key="p", reference="payment:1", kind=LedgerEntry.Kind.PURCHASE
    )
    ledger.adjust(user=alice, user_credits=7, idempotency_key="a", note="counted wrongly", actor=olga)
    assert list(CreditLot.objects.values_list("granted", "expires_at")) == [
        (50, dated.expires_at), (500, None), (7, None)
    ]  # fmt: skip
    assert balance_and_entries(alice) == (557, [("grant", 50), ("purchase", 500), ("adjustment", 7)])


def test_credits_cannot_be_granted_with_a_past_expiry(alice: User, manual_clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="must expire in the future"):
        ledger.grant(user=alice, user_credits=5, idempotency_key="g", note="late", expires_at=manual_clock.at)
    assert balance_and_entries(alice) == (0, [])


def test_a_repeated_grant_keeps_its_first_expiry(alice: User, manual_clock: ManualClock) -> None:
    first = ledger.grant(user=alice, user_credits=5, idempotency_key="g", note="x", expires_at=lots.days_from_now(30))
    manual_clock.sleep(86400)
    again = ledger.grant(user=alice, user_credits=5, idempotency_key="g", note="x", expires_at=lots.days_from_now(30))
    assert again == first
    assert CreditLot.objects.get().expires_at == datetime(2026, 10, 1, 12, tzinfo=UTC)
    assert balance_and_entries(alice) == (5, [("grant", 5)])


def test_a_day_ends_with_its_last_second_in_the_site_s_zone(settings: Settings, manual_clock: ManualClock) -> None:
    settings.TIME_ZONE = "Asia/Shanghai"
    assert lots.end_of_day(date(2026, 12, 31)) == datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC)
    settings.TIME_ZONE = "Europe/Berlin"
    # The day on which clocks are set back has 25 hours, and credits are valid to its end.
    assert lots.end_of_day(date(2026, 10, 25)) == datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC)
    assert lots.days_from_now(0) is None
    assert lots.days_from_now(2) == manual_clock.at + timedelta(days=2)


# Charges


def test_credits_that_expire_first_are_spent_first_and_those_without_expiry_last(
    alice: User, manual_clock: ManualClock
) -> None:
    never = grant_lot(alice, 100)
    late = grant_lot(alice, 40, days=30, clock=manual_clock)
    soon = grant_lot(alice, 30, days=3, clock=manual_clock)
    entry = charge(alice, 60)
    assert remaining_credits(soon, late, never) == [0, 10, 100]
    assert [(use.lot_id, use.amount) for use in LotUse.objects.filter(entry=entry).order_by("id")] == [
        (soon.pk, 30), (late.pk, 30)
    ]  # fmt: skip
    assert str(LotUse.objects.earliest("id")) == f"30 of lot {soon.pk}"
    charge(alice, 11, "charge:2")
    assert remaining_credits(soon, late, never) == [0, 0, 99]
    assert balance_and_entries(alice)[0] == 99


def test_of_lots_with_the_same_expiry_the_older_is_spent_first(alice: User, manual_clock: ManualClock) -> None:
    older, younger = grant_lot(alice, 10, days=5, clock=manual_clock), grant_lot(alice, 10, days=5, clock=manual_clock)
    charge(alice, 10)
    assert remaining_credits(older, younger) == [0, 10]
    assert balance_and_entries(alice)[0] == 10


def test_a_negative_adjustment_takes_credits_that_expire_first(
    alice: User, olga: User, manual_clock: ManualClock
) -> None:
    never, soon = grant_lot(alice, 10), grant_lot(alice, 10, days=5, clock=manual_clock)
    ledger.adjust(user=alice, user_credits=-15, idempotency_key="a", note="counted twice", actor=olga)
    assert remaining_credits(soon, never) == [0, 5]
    assert balance_and_entries(alice) == (5, [("grant", 10), ("grant", 10), ("adjustment", -15)])


def test_a_refused_charge_changes_no_lot(alice: User) -> None:
    lot = grant_lot(alice, 10)
    with pytest.raises(ledger.InsufficientCredits):
        charge(alice, 11)
    assert remaining_credits(lot) == [10]
    assert not LotUse.objects.exists()
    assert balance_and_entries(alice) == (10, [("grant", 10)])


def test_a_charge_is_refused_if_the_lots_hold_less_than_the_balance(alice: User) -> None:
    grant_lot(alice, 10)
    CreditLot.objects.update(remaining=4)
    with pytest.raises(lots.LotsInsufficient, match="lack 1 of 5"):
        charge(alice, 5)
    assert ledger.balance_of(alice) == 10
    assert not LotUse.objects.exists()
    assert [entry.amount for entry in ledger.statement(alice)] == [10]


def test_a_lot_cannot_hold_less_than_zero_or_more_than_was_granted(alice: User) -> None:
    grant_lot(alice, 10)
    for invalid in (-1, 11):
        with pytest.raises(IntegrityError), transaction.atomic():
            CreditLot.objects.update(remaining=invalid)
    assert balance_and_entries(alice) == (10, [("grant", 10)])


# Refunds


def test_a_refund_goes_back_to_the_lots_it_came_from(alice: User, manual_clock: ManualClock) -> None:
    soon, never = grant_lot(alice, 30, days=3, clock=manual_clock), grant_lot(alice, 100)
    charge(alice, 60)
    later = grant_lot(alice, 5, days=1, clock=manual_clock)
    refund()
    assert remaining_credits(soon, never, later) == [30, 100, 5]
    assert CreditLot.objects.count() == 3
    assert balance_and_entries(alice) == (
        135,
        [("grant", 30), ("grant", 100), ("charge", -60), ("grant", 5), ("refund", 60)],
    )


def test_a_refund_of_expired_credits_opens_a_grace_lot(alice: User, manual_clock: ManualClock) -> None:
    soon, never = grant_lot(alice, 30, days=3, clock=manual_clock), grant_lot(alice, 100)
    charge(alice, 60)
    manual_clock.sleep(3 * 86400)
    entry = refund()
    assert remaining_credits(soon, never) == [0, 100]
    grace = CreditLot.objects.get(is_grace=True)
    assert (grace.entry, grace.granted, grace.remaining) == (entry, 30, 30)
    assert grace.expires_at == manual_clock.at + timedelta(days=7)
    assert balance_and_entries(alice)[0] == 130
    charge(alice, 40, "charge:2")
    assert remaining_credits(grace, never) == [0, 90]


def test_grace_days_is_a_setting(alice: User, manual_clock: ManualClock, settings: Settings) -> None:
    settings.GRACE_DAYS = 2
    grant_lot(alice, 30, days=3, clock=manual_clock)
    charge(alice, 30)
    manual_clock.sleep(5 * 86400)
    refund()
    assert CreditLot.objects.get(is_grace=True).expires_at == manual_clock.at + timedelta(days=2)
    assert balance_and_entries(alice) == (30, [("grant", 30), ("charge", -30), ("refund", 30)])


def test_an_expired_grace_lot_gets_a_new_grace_lot_on_refund(alice: User, manual_clock: ManualClock) -> None:
    grant_lot(alice, 30, days=1, clock=manual_clock)
    for n in range(3):
        charge(alice, 30, f"charge:{n}")
        manual_clock.sleep(8 * 86400)
        refund(f"charge:{n}")
    assert CreditLot.objects.filter(is_grace=True).count() == 3
    assert balance_and_entries(alice)[0] == 30


def test_a_charge_that_used_no_lot_is_refunded_without_expiry(alice: User) -> None:
    grant_lot(alice, 100)
    charge(alice, 60)
    # The migration leaves one lot with the balance of an account, and no record of which lots earlier charges used.
    LotUse.objects.all().delete()
    CreditLot.objects.all().delete()
    CreditLot.objects.create(account=CreditAccount.objects.get(), granted=40, remaining=40)
    refund()
    assert list(CreditLot.objects.values_list("remaining", "expires_at", "is_grace")) == [
        (40, None, False), (60, None, False)
    ]  # fmt: skip
    assert balance_and_entries(alice) == (100, [("grant", 100), ("charge", -60), ("refund", 60)])


# What users see


def test_holdings_are_listed_in_the_order_they_are_spent(alice: User, bob: User, manual_clock: ManualClock) -> None:
    grant_lot(bob, 1)
    grant_lot(alice, 100)
    grant_lot(alice, 50)
    grant_lot(alice, 10, days=9, clock=manual_clock)
    grant_lot(alice, 20, days=9, clock=manual_clock)
    grant_lot(alice, 5, days=2, clock=manual_clock)
    charge(alice, 6)
    assert lots.list_holdings(alice) == [
        Holding(29, manual_clock.at + timedelta(days=9), is_grace=False), Holding(150, None, is_grace=False)
    ]  # fmt: skip
    assert balance_and_entries(alice)[0] == 179

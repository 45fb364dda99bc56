"""A held user's orders are refused with a reason and their waiting jobs stay queued; other users are not affected."""

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from billing.credits import ledger
from billing.guard import checks as guard_checks
from billing.guard import user_holds, wait_reasons
from billing.models import ProviderAccount, Spend, UserHold
from tests.billing.conftest import browser_of
from tests.clocks import ManualClock
from tests.people import give_credits
from videos.models import VideoTask
from videos.ordering import availability, orders
from videos.ordering.orders import VideoOrder
from videos.pipeline import dispatch

pytestmark = pytest.mark.django_db


def order(user: User, key: str = "k") -> VideoTask:
    return orders.create(user=user, order=VideoOrder(prompt="a kite"), idempotency_key=key)


def hold(user: User, **options: Any) -> bool:
    return user_holds.hold(user=user, **{"code": user_holds.Code.BURST, **options})


def expect_refusal(user: User) -> str:
    give_credits(user, 60)
    with pytest.raises(guard_checks.Held) as error:
        order(user)
    assert error.value.code == "held"
    assert ledger.balance_of(user) == 60
    return str(error.value)


def test_a_burst_is_refused_until_a_time(account: ProviderAccount, alice: User, manual_clock: ManualClock) -> None:
    hold(alice, until=manual_clock.at + timedelta(hours=1))
    assert expect_refusal(alice) == (
        "You ordered unusually many videos in a short time; you can order again from 13:00, or as soon as an operator has "
        "reviewed this. Nothing was charged, and your existing videos are not affected."
    )


def test_a_burst_without_an_end_waits_for_an_operator(account: ProviderAccount, alice: User) -> None:
    hold(alice)
    assert "an operator has to review this first. Nothing was charged" in expect_refusal(alice)


@pytest.mark.parametrize(
    ("hours", "sentence"),
    [
        (None, "An operator holds your new videos (please call us). Nothing was charged."),
        (1, "An operator holds your new videos until 13:00 (please call us). Nothing was charged."),
    ],
)
def test_an_operator_s_hold_refuses_with_its_reason(
    account: ProviderAccount, alice: User, olga: User, manual_clock: ManualClock, hours: int | None, sentence: str
) -> None:
    until = manual_clock.at + timedelta(hours=hours) if hours else None
    hold(alice, code=user_holds.Code.OPERATOR, reason=" please call us. ", actor=olga, until=until)
    assert expect_refusal(alice) == sentence


def test_an_expired_or_released_hold_refuses_no_order(
    account: ProviderAccount, alice: User, manual_clock: ManualClock
) -> None:
    hold(alice, until=manual_clock.at + timedelta(minutes=1))
    manual_clock.sleep(60)
    assert user_holds.find_active_hold(alice.pk) is None
    assert user_holds.delete_expired() == 1
    hold(alice)
    assert user_holds.delete_expired() == 0
    assert user_holds.release(user_id=alice.pk)
    assert not user_holds.release(user_id=alice.pk)
    give_credits(alice, 60)
    assert order(alice).status == "queued"
    assert ledger.balance_of(alice) == 0


def test_an_operator_s_hold_needs_a_reason_and_is_not_replaced_by_the_monitor(alice: User, olga: User) -> None:
    with pytest.raises(ValueError, match="reason"):
        hold(alice, code=user_holds.Code.OPERATOR, reason="  ", actor=olga)
    assert hold(alice)
    assert hold(alice, code=user_holds.Code.OPERATOR, reason="stop", actor=olga)
    assert not hold(alice)
    row = UserHold.objects.get()
    assert (row.code, row.reason, row.held_by) == ("person", "stop", olga)
    assert str(row) == f"{alice.pk} person"


def test_waiting_jobs_of_a_held_user_stay_queued_and_other_jobs_are_sent(
    account: ProviderAccount, alice: User, bob: User
) -> None:
    for user in (alice, bob):
        give_credits(user, 60)
    first, second = order(alice), order(bob)
    hold(alice)
    claim = dispatch.claim_next(account.pk)
    assert isinstance(claim, dispatch.Claim)
    assert claim.task.pk == second.pk
    assert dispatch.claim_next(account.pk) is None
    first.refresh_from_db()
    assert first.status == "queued"
    wait = guard_checks.check_dispatch(
        estimate=Spend.objects.get(job_id=first.pk), account=account, running=0, running_of_user=0
    )
    assert wait is not None
    assert (wait.code, str(wait_reasons.OWNER_TEXTS[wait.code])) == (
        "held",
        "an operator is reviewing your orders",
    )
    user_holds.release(user_id=alice.pk)
    claim = dispatch.claim_next(account.pk)
    assert isinstance(claim, dispatch.Claim)
    assert claim.task.pk == first.pk
    assert ledger.balance_of(alice) == 0


def test_the_studio_shows_the_hold_only_to_the_held_user(
    account: ProviderAccount, alice: User, bob: User, manual_clock: ManualClock
) -> None:
    hold(alice, until=manual_clock.at + timedelta(hours=1))
    pages = {user: browser_of(user).get("/").text for user in (alice, bob)}
    assert "Your new videos are on hold" in pages[alice]
    assert "you can order again from" in pages[alice]
    assert "Your new videos are on hold" not in pages[bob]
    assert availability.check_availability(user=bob, quote=None).restriction is None

"""The ledger and its lots compared with a plain model, under random sequences of movements."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)  # fmt: skip

from accounts.models import User
from accounts.seams import clock
from billing.audit import checks
from billing.credits import expired_lots, ledger, lots
from tests.clocks import ManualClock
from tests.jobs import job_id
from tests.people import make_person

pytestmark = pytest.mark.django_db

CHECKS = (
    checks.check_account_balances,
    checks.check_running_balances,
    checks.check_lot_remainders,
    checks.check_entry_lots,
    checks.check_refund_amounts,
)
GRACE = timedelta(days=7)
AMOUNTS = st.integers(1, 60)


@dataclass
class PlainLot:
    """The simplest model of a lot."""

    left: int
    until: datetime | None
    is_grace: bool = False

    @property
    def order(self) -> tuple[bool, float]:
        return (self.until is None, self.until.timestamp() if self.until else 0)


@dataclass
class PlainAccount:
    """The simplest model of an account: its lots, and what each charge took from them."""

    lots: list[PlainLot] = field(default_factory=list)
    uses_by_charge: dict[str, list[tuple[PlainLot, int]]] = field(default_factory=dict)

    @property
    def balance(self) -> int:
        return sum(lot.left for lot in self.lots)

    def take(self, amount: int) -> list[tuple[PlainLot, int]]:
        uses = []
        for lot in sorted(self.lots, key=lambda lot: lot.order):
            used = min(amount, lot.left)
            if used:
                lot.left -= used
                amount -= used
                uses.append((lot, used))
        assert amount == 0
        return uses

    def refund(self, key: str, at: datetime) -> None:
        grace_credits = 0
        for lot, used in self.uses_by_charge.pop(key):
            if lot.until is not None and lot.until <= at:
                grace_credits += used
            else:
                lot.left += used
        if grace_credits:
            self.lots.append(PlainLot(grace_credits, at + GRACE, is_grace=True))

    def expire(self, at: datetime) -> int:
        expired = [lot for lot in self.lots if lot.until is not None and lot.until <= at and lot.left]
        for lot in expired:
            lot.left = 0
        return len(expired)


class Ledger(RuleBasedStateMachine):
    """Grants with and without expiry, charges, refunds, adjustments and expiries, at random times."""

    charges: Bundle[str] = Bundle("charges")

    def __init__(self) -> None:
        super().__init__()
        self.time = ManualClock()
        self.clock_replaced = clock.replaced(self.time)
        self.clock_replaced.__enter__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.user: User = make_person("alice@example.com")
        self.plain = PlainAccount()
        self.steps = self.count_up()

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)
        self.clock_replaced.__exit__(None, None, None)

    @staticmethod
    def count_up() -> Iterator[int]:
        n = 0
        while True:
            n += 1
            yield n

    @rule(amount=AMOUNTS, days=st.none() | st.integers(1, 20))
    def grant(self, amount: int, days: int | None) -> None:
        until = self.time.at + timedelta(days=days) if days else None
        key = f"grant:{next(self.steps)}"
        for _ in range(2):
            ledger.grant(user=self.user, user_credits=amount, idempotency_key=key, note="x", expires_at=until)
        self.plain.lots.append(PlainLot(amount, until))

    @rule(target=charges, amount=AMOUNTS)
    def charge(self, amount: int) -> str | MultipleResults[str]:
        key = f"charge:{next(self.steps)}"
        is_affordable = amount <= self.plain.balance
        try:
            for _ in range(2):
                ledger.charge(
                    user=self.user,
                    user_credits=amount,
                    idempotency_key=key,
                    job_id=job_id(f"job:{key}"),
                    reference=f"job:{key}",
                )
        except ledger.InsufficientCredits:
            assert not is_affordable
            return multiple()
        assert is_affordable
        self.plain.uses_by_charge[key] = self.plain.take(amount)
        return key

    @rule(key=charges)
    def refund(self, key: str) -> None:
        ledger.refund(charge_key=key, idempotency_key=f"refund:{key}:{next(self.steps)}")
        if key in self.plain.uses_by_charge:
            self.plain.refund(key, self.time.at)

    @rule(amount=st.integers(-60, 60).filter(bool))
    def adjust(self, amount: int) -> None:
        is_affordable = self.plain.balance + amount >= 0
        try:
            ledger.adjust(
                user=self.user, user_credits=amount, idempotency_key=f"a:{next(self.steps)}", note="x", actor=None
            )
        except ledger.InsufficientCredits:
            assert not is_affordable
            return
        assert is_affordable
        if amount > 0:
            self.plain.lots.append(PlainLot(amount, None))
        else:
            self.plain.take(-amount)

    @rule(hours=st.integers(1, 24 * 9))
    def wait(self, hours: int) -> None:
        self.time.sleep(hours * 3600)

    @precondition(lambda self: self.plain.lots)
    @rule()
    def expire(self) -> None:
        assert expired_lots.expire_due() == self.plain.expire(self.time.at)

    @invariant()
    def ledger_and_model_agree(self) -> None:
        assert ledger.balance_of(self.user) == self.plain.balance
        expected: dict[tuple[datetime | None, bool], int] = {}
        for lot in self.plain.lots:
            if lot.left:
                expected[lot.until, lot.is_grace] = expected.get((lot.until, lot.is_grace), 0) + lot.left
        assert {
            (holding.expires_at, holding.is_grace): holding.user_credits for holding in lots.list_holdings(self.user)
        } == expected
        entries = ledger.statement(self.user)
        assert sum(entry.amount for entry in entries) == self.plain.balance
        assert [problem for check in CHECKS for problem in check(deep=False)] == []


def test_the_ledger_matches_a_plain_model() -> None:
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

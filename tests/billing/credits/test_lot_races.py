"""Concurrent processes on PostgreSQL: lots that expire while they are spent, and the last use of a voucher."""

import subprocess
import sys
from datetime import timedelta

import pytest

from accounts.models import User
from accounts.seams import clock
from billing.audit import runner as audit_runner
from billing.credits import expired_lots, ledger, vouchers
from billing.models import CreditLot, LedgerEntry, LotUse, Voucher, VoucherUse
from tests.billing.credits.test_races import run_simultaneously
from tests.jobs import job_id
from tests.people import make_person

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

PROCESSES = 8


def run_processes(environment: dict[str, str], *commands: tuple[object, ...]) -> list[str]:
    """Run each command in a separate process, all at the same moment; returns what each printed."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.billing.race_charges", *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment, "DJANGO_SETTINGS_MODULE": "veoapp.settings"},
        )
        for command in commands
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [process.communicate(timeout=180)[0].strip() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def lot_problems() -> list[audit_runner.Problem]:
    return [problem for problem in audit_runner.find_problems() if problem.invariant == "I1"]


def test_a_lot_that_expires_while_eight_processes_spend_it_loses_no_credit(
    alice: User, process_environment: dict[str, str]
) -> None:
    tomorrow = clock.now() + timedelta(days=1)
    dated = ledger.grant(user=alice, user_credits=100, idempotency_key="g1", note="race", expires_at=tomorrow)
    ledger.grant(user=alice, user_credits=50, idempotency_key="g2", note="race")
    lot = CreditLot.objects.get(entry=dated)
    CreditLot.objects.filter(pk=lot.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    outputs = run_processes(
        process_environment,
        *[("charge", alice.email, 40, f"p{n}") for n in range(PROCESSES - 2)],
        *[("expire", lot.pk, 3)] * 2,
    )
    charged = sum(int(output.split()[0]) for output in outputs[:-2])
    refused = sum(int(output.split()[1]) for output in outputs[:-2])
    expired = -sum(LedgerEntry.objects.filter(kind="expiry").values_list("amount", flat=True))
    assert sum(map(int, outputs[-2:])) == LedgerEntry.objects.filter(kind="expiry").count() <= 1
    assert charged + refused == 40 * (PROCESSES - 2)
    assert charged + expired == 150, "no credits are left, and none were spent twice"
    assert ledger.balance_of(alice) == 0
    assert set(CreditLot.objects.values_list("remaining", flat=True)) == {0}
    assert sum(LotUse.objects.values_list("amount", flat=True)) == 150
    assert lot_problems() == []


def test_refunds_race_the_expiry_of_their_lot_and_lose_nothing(alice: User) -> None:
    entry = ledger.grant(
        user=alice, user_credits=80, idempotency_key="g", note="race", expires_at=clock.now() + timedelta(days=1)
    )
    for n in range(8):
        ledger.charge(
            user=alice, user_credits=8, idempotency_key=f"c{n}", job_id=job_id(f"job:{n}"), reference=f"job:{n}"
        )
    CreditLot.objects.filter(entry=entry).update(expires_at=clock.now() - timedelta(seconds=1))
    lot = CreditLot.objects.get()
    refunds = [lambda n=n: ledger.refund(charge_key=f"c{n}", idempotency_key=f"r{n}") for n in range(8)]
    outputs = run_simultaneously(*refunds, *[lambda: ledger.expire(lot_id=lot.pk)] * 4)
    assert [output for output in outputs if isinstance(output, Exception)] == []
    assert ledger.balance_of(alice) == 64
    assert CreditLot.objects.filter(is_grace=True, remaining=8).count() == 8
    assert [entry.amount for entry in ledger.statement(alice).filter(kind="expiry")] == [-16]
    assert lot_problems() == []


def test_one_of_eight_processes_gets_the_last_use_of_a_code(process_environment: dict[str, str]) -> None:
    users = [make_person(f"p{n}@example.com") for n in range(PROCESSES)]
    (voucher,) = vouchers.create_vouchers(user_credits=50, max_uses=3, actor=None)
    for user in users[:2]:
        vouchers.redeem(user=make_person(f"early-{user.email}"), typed=voucher.code)
    outputs = run_processes(process_environment, *[("redeem", user.email, voucher.code) for user in users])
    assert sorted(outputs) == ["50", *["used_up"] * (PROCESSES - 1)]
    assert Voucher.objects.get().uses == VoucherUse.objects.count() == 3
    assert sum(ledger.balance_of(user) for user in users) == 50
    assert LedgerEntry.objects.count() == 3
    assert lot_problems() == []


def test_one_code_form_sent_eight_times_at_once_grants_once(alice: User) -> None:
    (voucher,) = vouchers.create_vouchers(user_credits=50, max_uses=5, actor=None)
    outputs = run_simultaneously(*[lambda: vouchers.redeem(user=alice, typed=voucher.code)] * 8)
    refused = [output.reason for output in outputs if isinstance(output, vouchers.NotRedeemed)]
    assert refused == [vouchers.Reason.USED_BEFORE] * 7
    assert Voucher.objects.get().uses == 1
    assert ledger.balance_of(alice) == 50
    assert [entry.amount for entry in ledger.statement(alice)] == [50]


def test_concurrent_runs_send_one_mail_and_expire_each_lot_once(alice: User, mailoutbox: list[object]) -> None:
    soon = clock.now() + timedelta(hours=5)
    for n in range(4):
        ledger.grant(user=alice, user_credits=10, idempotency_key=f"g{n}", note="race", expires_at=soon)
    expired = ledger.grant(user=alice, user_credits=7, idempotency_key="expired", note="race", expires_at=soon)
    CreditLot.objects.filter(entry=expired).update(expires_at=clock.now() - timedelta(seconds=1))
    assert run_simultaneously(*[expired_lots.run] * PROCESSES) == [None] * PROCESSES
    assert len(mailoutbox) == 1
    assert ledger.balance_of(alice) == 40
    assert [entry.amount for entry in ledger.statement(alice)] == [-7, 7, 10, 10, 10, 10]

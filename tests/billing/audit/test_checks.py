"""Consistent books have no problems, and problems are reported."""

from io import StringIO

import pytest
from django.core.management import call_command

from accounts.models import User
from billing.audit import runner as audit_runner
from billing.credits import ledger
from billing.models import Alert, CreditAccount
from tests.billing import history
from tests.billing.audit.breakage import (
    media,
)
from tests.people import give_credits

__all__ = ["media"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


NOTHING_TO_CHECK = ["images: 0 of 0 checked", "video files: 0 of 0 checked"]


def test_videos_in_every_state_cause_no_problems(alice: User, bob: User, olga: User) -> None:
    for create_task in (
        history.make_ready, history.make_failed, history.make_cancelled, history.make_requeued, history.make_unconfirmed,
        history.make_generating, history.make_downloading, history.make_waiting,
    ):  # fmt: skip
        create_task(alice)
    history.make_submitting(bob)
    ledger.adjust(user=bob, user_credits=5, idempotency_key="a", note="a gift", actor=olga)
    assert audit_runner.find_problems(deep=True) == []
    for user in (alice, bob):
        assert ledger.balance_of(user) == sum(entry.amount for entry in ledger.statement(user))


def test_empty_books_have_no_problems() -> None:
    assert audit_runner.find_problems(deep=True) == []


def test_problems_raise_one_alert_that_is_resolved_with_them(alice: User) -> None:
    give_credits(alice, 10)
    CreditAccount.objects.update(balance=11)
    (problem,) = audit_runner.find_problems()
    audit_runner.find_problems()
    alert = Alert.objects.get()
    assert (alert.kind, alert.count, alert.resolved_at) == ("books", 2, None)
    assert str(problem) in alert.detail
    CreditAccount.objects.update(balance=10)
    assert audit_runner.find_problems() == []
    assert Alert.objects.get().resolved_at is not None


def test_the_command_prints_a_line_for_each_problem_and_a_summary(alice: User) -> None:
    out = StringIO()
    call_command("check_books", stdout=out)
    assert out.getvalue().splitlines() == [*NOTHING_TO_CHECK, "0 problems"]
    give_credits(alice, 10)
    account = CreditAccount.objects.get()
    CreditAccount.objects.update(balance=11)
    out = StringIO()
    with pytest.raises(SystemExit) as exit_info:
        call_command("check_books", "--deep", stdout=out)
    assert exit_info.value.code == 1
    assert out.getvalue().splitlines() == [
        f"I1 credit account {account.pk}: balance 11, entries sum to 10, the last says 10, lots hold 10",
        *NOTHING_TO_CHECK,
        "1 problems",
    ]


def test_an_app_can_register_a_check() -> None:
    problem = audit_runner.Problem("I99", "thing 1", "is odd")

    @audit_runner.register_check
    def report_problem(*, deep: bool) -> list[audit_runner.Problem]:
        return [problem]

    try:
        assert audit_runner.find_problems() == [problem]
    finally:
        audit_runner._checks.pop(f"{__name__}.report_problem")
    assert audit_runner.find_problems() == []

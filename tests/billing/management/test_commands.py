"""The commands `grant_credits` and `check_credits`."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from accounts import user_actions
from accounts.models import User
from accounts.seams import clock
from billing.common.formatting import format_plain
from billing.costs import rollups, spend
from billing.credits import ledger
from billing.models import Measure, ProviderAccount, Spend
from billing.provider import accounts as provider_accounts
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db


def run_command(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue().strip()


def test_a_grant_prints_the_new_balance(alice: User) -> None:
    assert run_command("grant_credits", "Alice@Example.com", "120", reason="For the demo") == (
        "Gave 120 credits. alice@example.com has 120 credits."
    )
    entry = ledger.statement(alice).get()
    assert (entry.kind, entry.amount, entry.note, entry.actor) == ("grant", 120, "For the demo", None)
    assert ledger.balance_of(alice) == 120


def test_each_run_grants_again_but_a_key_grants_once(alice: User) -> None:
    run_command("grant_credits", alice.email, "10", reason="one")
    run_command("grant_credits", alice.email, "10", reason="two")
    run_command("grant_credits", alice.email, "10", reason="three", key="batch-7")
    again = run_command("grant_credits", alice.email, "10", reason="three", key="batch-7")
    assert again == "Given before with this key; nothing was given now. alice@example.com has 30 credits."
    assert [entry.amount for entry in ledger.statement(alice)] == [10, 10, 10]
    assert ledger.balance_of(alice) == 30


@pytest.mark.parametrize(
    ("email", "credits", "options", "message"),
    [
        ("nobody@example.com", "5", {"reason": "x"}, "No user has the address nobody@example.com"),
        ("alice@example.com", "0", {"reason": "x"}, "at least 1 credit"),
        ("alice@example.com", "-5", {"reason": "x"}, "at least 1 credit"),
        ("alice@example.com", str(10**12), {"reason": "x"}, "at most 1000000000"),
        ("alice@example.com", "5", {"reason": "  "}, "Give a reason"),
        ("alice@example.com", "5", {"reason": "x", "key": "k" * 101}, "1 to 100 characters"),
        ("alice@example.com", "5", {"reason": "x", "key": ""}, "1 to 100 characters"),
        ("alice@example.com", "many", {"reason": "x"}, "invalid int value"),
        ("alice@example.com", "5", {}, "--reason"),
    ],
)
def test_an_invalid_grant_is_refused_with_a_message(
    alice: User, email: str, credits: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        run_command("grant_credits", "--", email, credits) if not options else call_command(
            "grant_credits", *[f"--{name}={value}" for name, value in options.items()], "--", email, credits
        )
    assert ledger.balance_of(alice) == 0
    assert not ledger.statement(alice).exists()


def test_a_key_of_a_different_grant_gives_nothing(alice: User) -> None:
    run_command("grant_credits", alice.email, "10", reason="x", key="k")
    with pytest.raises(CommandError, match="was already used for another grant"):
        run_command("grant_credits", alice.email, "11", reason="x", key="k")
    assert ledger.balance_of(alice) == 10
    assert [entry.amount for entry in ledger.statement(alice)] == [10]


def test_a_closed_account_receives_no_credits(alice: User) -> None:
    user_actions.close_account(user=alice, actor=None)
    alice.refresh_from_db()
    with pytest.raises(CommandError, match="No user has"):
        run_command("grant_credits", alice.email, "10", reason="x")
    assert ledger.balance_of(alice) == 0
    assert not ledger.statement(alice).exists()


# The provider's balance


@pytest.fixture
def provider(sandbox: SandboxProcess, settings: Settings) -> SandboxProcess:
    settings.KIE_AI_API_KEY, settings.KIE_AI_BASE_URL = sandbox.api_key, sandbox.url
    return sandbox


def run_check_credits(*options: str) -> tuple[int, str]:
    """The exit code and the output, which is at most one line."""
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_credits", *options, stdout=out)
    text = out.getvalue()
    assert text.count("\n") == bool(text)
    return int(ended.value.code or 0), text.strip()


@pytest.mark.parametrize(
    ("balance", "exit_code", "status"),
    [
        ("5000", 0, "OK"),
        ("1000.25", 0, "OK"),
        ("1000", 1, "LOW"),
        ("560.5", 1, "LOW"),
        ("560", 2, "CRITICAL"),  # 60 of them are promised to a job, so new videos wait
        ("500", 2, "CRITICAL"),
        ("0", 2, "CRITICAL"),
    ],
)
def test_the_balance_command_prints_one_line_and_sets_the_exit_code(
    provider: SandboxProcess, new_spend: Callable[[], Spend], balance: str, exit_code: int, status: str
) -> None:
    provider.balance(balance)
    spend.promise(spend=new_spend(), account=provider_accounts.get_current_account())
    code, line = run_check_credits()
    assert code == exit_code
    available = format_plain(Decimal(balance) - 60)
    assert line.startswith(
        f"{status} kie.ai: balance {balance}, available {available}, low at 1000, critical at 500, days "
    )
    assert provider_accounts.get_current_account().balance == Decimal(balance)


def test_the_balance_command_prints_how_long_the_balance_lasts(
    provider: SandboxProcess, new_spend: Callable[[], Spend]
) -> None:
    provider.balance(5000)
    assert run_check_credits()[1].endswith(", days left >60")
    hour = clock.now()
    for hours in range(1, 25):
        counts = [(Measure.ESTIMATED, Decimal(100))]
        rollups.record_counts(ordered_at=hour - timedelta(hours=hours), model="veo3_fast", user_id=1, counts=counts)
    days = float(run_check_credits()[1].rpartition(" ")[2])
    assert 1.7 < days < 2.1
    provider.balance(500)
    assert run_check_credits()[1].endswith(", days left 0.0")


def test_the_balance_command_prints_nothing_with_quiet_while_the_balance_is_sufficient(
    provider: SandboxProcess,
) -> None:
    provider.balance(5000)
    assert run_check_credits("--quiet") == (0, "")
    provider.balance(900)
    assert run_check_credits("--quiet")[0] == 1
    assert run_check_credits("--quiet")[1].startswith("LOW kie.ai: balance 900, ")


def test_the_balance_command_reports_a_blocked_account(provider: SandboxProcess) -> None:
    provider.balance(5000)
    account = provider_accounts.get_current_account()
    parked = ProviderAccount.Parked.OUT_OF_CREDITS
    provider_accounts.block_account(account_id=account.pk, parked_as=parked, detail="402")
    code, line = run_check_credits("--quiet")
    assert code == 2
    assert line.startswith("PARKED (out_of_credits) kie.ai: balance 5000, available 5000, ")


def test_the_balance_command_reports_a_provider_that_does_not_respond(account: ProviderAccount) -> None:
    code, line = run_check_credits("--quiet")
    assert code == 2
    assert line.startswith(
        f"UNREACHABLE kie.ai at {account.base_url}: balance 5000 at {account.balance_at:%Y-%m-%d %H:%M} UTC, available 5000"
    )


def test_the_balance_command_reports_a_balance_never_read(settings: Settings) -> None:
    assert run_check_credits() == (
        2,
        f"UNREACHABLE kie.ai at {settings.KIE_AI_BASE_URL}: "
        "balance unknown, available unknown, low at 1000, critical at 500, days left unknown",
    )


def test_the_balance_command_reports_a_missing_key(settings: Settings) -> None:
    settings.KIE_AI_API_KEY = ""
    code, line = run_check_credits("--quiet")
    assert code == 2
    assert line.startswith("UNKNOWN No provider key")

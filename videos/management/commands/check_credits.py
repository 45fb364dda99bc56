import sys
from argparse import ArgumentParser
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts.seams import clock
from billing.common.formatting import format_plain
from billing.models import ProviderAccount
from billing.provider import accounts as provider_accounts
from billing.provider import encryption
from billing.reports import current_costs, forecasts
from videos.pipeline import balances as provider_balances
from videos.pipeline.clients import client_for

HEALTHY, LOW, CRITICAL = 0, 1, 2  # exit codes
UNREACHABLE = "UNREACHABLE"


class Command(BaseCommand):
    help = (
        "Asks the provider for our balance (free) and prints one line, for cron: the balance, how much of it is not "
        "reserved for videos in progress, the thresholds, and in how many days it becomes critical at the current rate. "
        "Exit code 0: healthy, 1: low, 2: critical, or new videos wait for it, or the provider did not answer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--quiet", action="store_true", help="print nothing if the balance is healthy, so that cron sends no mail"
        )

    def handle(self, *args: Any, quiet: bool, **options: Any) -> None:
        try:
            account = provider_accounts.get_current_account()
            is_read = provider_balances.read(account, client_for(account)).error is None
        except (provider_accounts.NoProviderKey, encryption.EncryptionError) as problem:
            self.stdout.write(f"UNKNOWN {problem}")
            sys.exit(CRITICAL)
        account.refresh_from_db()
        available = provider_accounts.get_available_balance(account)
        code, status = _classify(account, available, is_read=is_read)
        if code != HEALTHY or not quiet:
            # The URL helps to find out why the provider cannot be reached.
            name = f"{account.label} at {account.base_url}" if status == UNREACHABLE else account.label
            self.stdout.write(f"{status} {name}: {_format_figures(account, available, is_read=is_read)}")
        sys.exit(code)


def _classify(account: ProviderAccount, available: Decimal | None, *, is_read: bool) -> tuple[int, str]:
    """The exit code and the status that is printed.

    An account is parked while the provider accepts no new videos: it refuses our key, or our credits there are used up.
    """
    if account.parked_as:
        return CRITICAL, f"PARKED ({account.parked_as})"
    if not is_read or account.balance is None or available is None:
        return CRITICAL, UNREACHABLE
    if provider_accounts.is_critical(account) or available <= settings.CRITICAL_BALANCE_THRESHOLD:
        return CRITICAL, "CRITICAL"
    return (LOW, "LOW") if account.balance <= settings.LOW_BALANCE_THRESHOLD else (HEALTHY, "OK")


def _format_figures(account: ProviderAccount, available: Decimal | None, *, is_read: bool) -> str:
    balance = "unknown" if account.balance is None else format_plain(account.balance)
    if not is_read and account.balance_at is not None:
        balance += f" at {account.balance_at:%Y-%m-%d %H:%M} UTC"
    return ", ".join(
        [
            f"balance {balance}",
            f"available {'unknown' if available is None else format_plain(available)}",
            f"low at {format_plain(settings.LOW_BALANCE_THRESHOLD)}",
            f"critical at {format_plain(settings.CRITICAL_BALANCE_THRESHOLD)}",
            f"days left {'unknown' if available is None else _days_left(available)}",
        ]
    )


def _days_left(available: Decimal) -> str:
    """The number of days until the critical threshold is reached at the rate of the last hours, as text."""
    at = clock.now()
    remaining = available - settings.CRITICAL_BALANCE_THRESHOLD
    ends_at = forecasts.estimate_end(remaining, forecasts.measure_pace(current_costs.read(at).hours, at=at), at=at)
    if ends_at is None:
        return f">{forecasts.HORIZON.days}"
    return f"{(ends_at - at) / timedelta(days=1):.1f}"

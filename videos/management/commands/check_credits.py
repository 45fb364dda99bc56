import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from billing import guard, provider_accounts, vault
from billing.amounts import plain
from billing.models import ProviderAccount
from videos import balances
from videos.provider_clients import client_for

HEALTHY, LOW, CRITICAL = 0, 1, 2


class Command(BaseCommand):
    help = (
        "Asks the provider for our balance (free) and prints one line, for cron. "
        "Exit code 0: healthy, 1: low, 2: critical, or the provider did not say."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            account = provider_accounts.current()
            is_read = balances.read(account, client_for(account)).trouble is None
        except (provider_accounts.NoProviderKey, vault.VaultError) as problem:
            self.stdout.write(f"UNKNOWN {problem}")
            sys.exit(CRITICAL)
        account.refresh_from_db()
        code = _code(account, is_read)
        word = ("OK", "LOW", "CRITICAL")[code] if is_read else "UNREACHABLE"
        balance = "unknown" if account.balance is None else plain(account.balance)
        if not is_read and account.balance_at is not None:
            balance += f" at {account.balance_at:%Y-%m-%d %H:%M} UTC"
        self.stdout.write(
            f"{word} {account.label}: balance {balance}, promised {plain(provider_accounts.promised(account.pk))}, "
            f"low at {plain(settings.LOW_BALANCE_THRESHOLD)}, critical at {plain(settings.CRITICAL_BALANCE_THRESHOLD)}"
        )
        sys.exit(code)


def _code(account: ProviderAccount, is_read: bool) -> int:
    if not is_read or account.balance is None or guard.is_critical(account):
        return CRITICAL
    return LOW if account.balance <= settings.LOW_BALANCE_THRESHOLD else HEALTHY

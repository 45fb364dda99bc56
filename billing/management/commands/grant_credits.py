from argparse import ArgumentParser, ArgumentTypeError
from datetime import date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.models import User
from accounts.seams import clock, randomness
from billing.credits import ledger, lots

MAX_DAYS = 36_500


class Command(BaseCommand):
    help = "Grants credits to a user, with a reason shown in their statement, and prints the new balance."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the user's e-mail address")
        parser.add_argument("credits", type=int, help="the number of credits, at least 1")
        parser.add_argument("--reason", required=True, help="the reason, shown to the user")
        expiry = parser.add_mutually_exclusive_group()
        expiry.add_argument(
            "--expires", metavar="YYYY-MM-DD", type=_parse_day, help="the last day on which they can be used"
        )
        expiry.add_argument("--days", type=int, help="for how many days from now they can be used; default: no expiry")
        parser.add_argument("--key", help="of several runs with the same key only the first grants credits")

    def handle(self, *args: Any, email: str, credits: int, reason: str, key: str | None, **options: Any) -> None:
        expires_at = _expiry_of(options["expires"], options["days"])
        user = User.objects.filter(email=email.strip().lower(), anonymised_at=None).first()
        if user is None:
            raise CommandError(f"No user has the address {email}.")
        if not 1 <= credits <= ledger.MAX_ENTRY_AMOUNT:
            raise CommandError(f"Give at least 1 credit and at most {ledger.MAX_ENTRY_AMOUNT}, not {credits}.")
        if not reason.strip():
            raise CommandError("Give a reason with --reason TEXT. It is shown in the user's statement.")
        if key is not None and not 1 <= len(key) <= 100:
            raise CommandError("A key has 1 to 100 characters.")
        idempotency_key = f"grant:command:{key or randomness.new_uuid()}"
        is_repeated = ledger.statement(user).filter(idempotency_key=idempotency_key).exists()
        try:
            ledger.grant(
                user=user, user_credits=credits, idempotency_key=idempotency_key, note=reason, expires_at=expires_at
            )
        except ledger.KeyReused:
            raise CommandError(f"The key {key} was already used for another grant. Nothing was given.") from None
        until = f" until {timezone.localtime(expires_at):%Y-%m-%d %H:%M}" if expires_at else ""
        result = (
            "Given before with this key; nothing was given now" if is_repeated else f"Gave {credits} credits{until}"
        )
        self.stdout.write(f"{result}. {user.email} has {ledger.balance_of(user)} credits.")


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text} is not a date; write it as 2026-12-31") from None


def _expiry_of(last_day: date | None, days: int | None) -> datetime | None:
    if days is not None:
        if not 1 <= days <= MAX_DAYS:
            raise CommandError(f"Credits can be valid for 1 to {MAX_DAYS} days.")
        return lots.days_from_now(days)
    if last_day is None:
        return None
    if lots.end_of_day(last_day) <= clock.now():
        raise CommandError(f"{last_day} is in the past, so the credits could not be used.")
    return lots.end_of_day(last_day)

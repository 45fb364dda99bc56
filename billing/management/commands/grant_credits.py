from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.doors import chance
from accounts.models import User
from billing import ledger


class Command(BaseCommand):
    help = "Gives credits to a person, with a reason that stands in their statement, and prints the new balance."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="whose")
        parser.add_argument("credits", type=int, help="how many, at least 1")
        parser.add_argument("--reason", required=True, help="why; the person can read it")
        parser.add_argument("--key", help="of several runs with the same key only the first gives anything")

    def handle(self, *args: Any, email: str, credits: int, reason: str, key: str | None, **options: Any) -> None:
        user = User.objects.filter(email=email.strip().lower(), anonymised_at=None).first()
        if user is None:
            raise CommandError(f"Nobody here has the address {email}.")
        if not 1 <= credits <= ledger.MOST_AT_ONCE:
            raise CommandError(f"Give at least 1 credit and at most {ledger.MOST_AT_ONCE}, not {credits}.")
        if not reason.strip():
            raise CommandError("Say why: --reason TEXT. It stands in the person's statement.")
        if key is not None and not 1 <= len(key) <= 100:
            raise CommandError("A key has 1 to 100 characters.")
        idempotency_key = f"grant:command:{key or chance.new_uuid()}"
        given_before = ledger.statement(user).filter(idempotency_key=idempotency_key).exists()
        try:
            ledger.grant(user=user, user_credits=credits, idempotency_key=idempotency_key, note=reason)
        except ledger.KeyReused:
            raise CommandError(f"The key {key} already stands for another grant. Nothing was given.") from None
        done = "Given before with this key; nothing was given now" if given_before else f"Gave {credits} credits"
        self.stdout.write(f"{done}. {user.email} has {ledger.balance_of(user)} credits.")

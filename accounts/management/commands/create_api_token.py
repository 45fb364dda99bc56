from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from accounts.seams import clock
from accounts.tokens import services as tokens

LONGEST_DAYS = 3650


class Command(BaseCommand):
    help = "Makes a token for a program of this person's, and prints it once: only its digest is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="whose; the token may do what they may, within its scopes")
        parser.add_argument("--name", default="command line", help="what it is for; stands in the list")
        parser.add_argument(
            "--scope",
            action="append",
            choices=list(tokens.SCOPES),
            help=f"what it may do; several are possible (default {tokens.COST_READ})",
        )
        parser.add_argument("--days", type=int, default=365, help="how long it works; 0: until it is revoked")

    def handle(self, *args: Any, email: str, name: str, scope: list[str] | None, days: int, **options: Any) -> None:
        user = User.objects.filter(email=email.strip().lower(), anonymised_at=None).first()
        if user is None:
            raise CommandError(f"Nobody here has the address {email}.")
        if not 0 <= days <= LONGEST_DAYS:
            raise CommandError(f"A token works for 1 to {LONGEST_DAYS} days, or with 0 until it is revoked.")
        expires_at = clock.now() + timedelta(days=days) if days else None
        try:
            made = tokens.make(user=user, name=name, scopes=scope or [tokens.COST_READ], expires_at=expires_at)
        except ValueError as problem:
            raise CommandError(f"No token was made: {problem}.") from None
        self.stdout.write(made.secret)
        until = f"until {expires_at:%Y-%m-%d %H:%M} UTC" if expires_at else "until it is revoked"
        self.stderr.write(
            f"Made for {user.email}: {', '.join(made.token.scopes)}, {until}. It is not shown again: keep it now."
        )
        if not user.is_staff:
            self.stderr.write(f"{user.email} is no operator: what only operators may see refuses this token.")

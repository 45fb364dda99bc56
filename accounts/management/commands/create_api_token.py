from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from accounts.seams import clock
from accounts.tokens import services as tokens

MAX_DAYS = 3650


class Command(BaseCommand):
    help = "Create an API token for a user and print it. It cannot be shown again: only its hash is stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the owner; the token may do what they may, within its scopes")
        parser.add_argument("--name", default="command line", help="what the token is for")
        parser.add_argument(
            "--scope",
            action="append",
            choices=list(tokens.SCOPES),
            help=f"what the token may do; can be repeated (default {tokens.COST_READ})",
        )
        parser.add_argument("--days", type=int, default=365, help="days until the token expires; 0: never")

    def handle(self, *args: Any, email: str, name: str, scope: list[str] | None, days: int, **options: Any) -> None:
        user = User.objects.filter(email=email.strip().lower(), anonymised_at=None).first()
        if user is None:
            raise CommandError(f"No user has the address {email}.")
        if not 0 <= days <= MAX_DAYS:
            raise CommandError(f"--days must be 1 to {MAX_DAYS}, or 0 for a token that does not expire.")
        expires_at = clock.now() + timedelta(days=days) if days else None
        try:
            new_token = tokens.create_token(
                user=user, name=name, scopes=scope or [tokens.COST_READ], expires_at=expires_at
            )
        except ValueError as error:
            raise CommandError(f"No token was created: {error}.") from None
        self.stdout.write(new_token.secret)
        expiry = f"expires {expires_at:%Y-%m-%d %H:%M} UTC" if expires_at else "does not expire"
        scopes = ", ".join(new_token.token.scopes)
        self.stderr.write(f"Created for {user.email}: {scopes}, {expiry}. Store it now: it is not shown again.")
        if not user.is_staff:
            self.stderr.write(f"{user.email} is not an operator: pages for operators refuse this token.")

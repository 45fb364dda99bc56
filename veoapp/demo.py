"""The demo account of a development machine. It is never created in production, which must have no default accounts."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_noop

from accounts import user_actions
from accounts.models import User
from billing.credits import ledger

EMAIL = "demo@example.com"
CREDITS = 1_000
# No letters or digits that look alike.
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class DemoAccount:
    """The demo account and its password, which is None if the user has changed it."""

    user: User
    password: str | None


def ensure_demo_account() -> DemoAccount:
    """Create the demo account if it is missing: an operator with a confirmed address and credits. Only with DEBUG."""
    if not settings.DEBUG:
        raise RuntimeError("the demo account exists only with DEBUG")
    password = _read_or_create_password(settings.VAR_DIR / "demo-password")
    with transaction.atomic():
        user = User.objects.filter(email=EMAIL).first()
        if user is None:
            user = User.objects.create_superuser(EMAIL, password, display_name="Demo")
            user_actions.confirm_address(user=user)
        ledger.grant(
            user=user,
            user_credits=CREDITS,
            idempotency_key=f"grant:demo:{user.pk}",
            note=gettext_noop("Credits to try things out"),
        )
    return DemoAccount(user=user, password=password if user.check_password(password) else None)


def _read_or_create_password(file: Path) -> str:
    """The password stored in the file, which only its owner can read; a random one is created if there is no file."""
    file.parent.mkdir(exist_ok=True)
    if not file.exists():
        groups = ["".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(3)]
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            handle.write("-".join(groups))
    return file.read_text().strip()

"""Receives the signals of accounts: grants sign-up credits, and removes the hold of an account that is closed.

A hold keeps a user from making new videos (see `billing.guard.user_holds`).
"""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed
from django.conf import settings
from django.dispatch import receiver
from django.utils.translation import gettext_noop

from accounts.models import User
from accounts.signals import account_closing
from billing.credits import ledger, lots
from billing.guard import anomalies

# Translated when the statement is shown.
WELCOME_NOTE = gettext_noop("Welcome")


@receiver(email_confirmed, dispatch_uid="billing.signup")
def grant_signup_credits(email_address: EmailAddress, **kwargs: Any) -> None:
    """Grant the sign-up credits once, when the user's first e-mail address is confirmed."""
    other_addresses = EmailAddress.objects.filter(user_id=email_address.user_id, verified=True).exclude(
        pk=email_address.pk
    )
    if settings.SIGNUP_CREDITS <= 0 or other_addresses.exists():
        return
    user = email_address.user
    key = f"grant:signup:{user.pk}"
    # Only the key is checked, because `ledger.grant` would raise KeyReused if SIGNUP_CREDITS had changed.
    if not ledger.statement(user).filter(idempotency_key=key).exists():
        ledger.grant(
            user=user,
            user_credits=settings.SIGNUP_CREDITS,
            idempotency_key=key,
            note=WELCOME_NOTE,
            expires_at=lots.days_from_now(settings.SIGNUP_CREDITS_DAYS),
        )


@receiver(account_closing, dispatch_uid="billing.guard.anomalies")
def release_hold_of_closing_account(user: User, **kwargs: Any) -> None:
    """Remove the hold of an account that is being closed, in the transaction that closes it."""
    anomalies.release_user(user)

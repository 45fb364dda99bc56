"""What credits do when something happens to a person."""

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

# The statement shows it in the reader's language.
WELCOME = gettext_noop("Welcome")


@receiver(email_confirmed, dispatch_uid="billing.signup")
def welcome(email_address: EmailAddress, **kwargs: Any) -> None:
    """The first credits, once, when a person's first address is confirmed; a later address brings nothing."""
    others = EmailAddress.objects.filter(user_id=email_address.user_id, verified=True).exclude(pk=email_address.pk)
    if settings.SIGNUP_CREDITS <= 0 or others.exists():
        return
    user = email_address.user
    key = f"grant:signup:{user.pk}"
    # The amount may have been set anew since: who was welcomed before keeps what they were given.
    if not ledger.statement(user).filter(idempotency_key=key).exists():
        ledger.grant(
            user=user,
            user_credits=settings.SIGNUP_CREDITS,
            idempotency_key=key,
            note=WELCOME,
            expires_at=lots.in_days(settings.SIGNUP_CREDITS_DAYS),
        )


@receiver(account_closing, dispatch_uid="billing.guard.anomalies")
def forget_the_leaving(user: User, **kwargs: Any) -> None:
    """Within the closing's own transaction: a hold ends, and alerts name them no longer."""
    anomalies.forget(user)

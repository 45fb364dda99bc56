"""The second factor: whether a user has one, and whether they used it in this session.

`veoapp.operator_pages.admin_site` imports this module, which connects the receiver below.
"""

from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from allauth.mfa.utils import is_mfa_enabled
from django.contrib.auth.models import AnonymousUser
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.models import User

# Recovery codes do not count, because they only replace one of these.
FACTORS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]


def has_second_factor(user: User | AnonymousUser) -> bool:
    """Whether the user has an authenticator app or a passkey."""
    return bool(is_mfa_enabled(user, FACTORS))


def has_used_second_factor(request: HttpRequest) -> bool:
    """Whether the user has used or set up a second factor in this session, and has one now."""
    records = get_authentication_records(request, request.user)
    if not any(record["method"] == "mfa" for record in records):
        return False
    # One page calls this several times, so the result is cached on the request.
    cached = vars(request)
    if "has_second_factor" not in cached:
        cached["has_second_factor"] = has_second_factor(request.user)
    return bool(cached["has_second_factor"])


@receiver(authenticator_added, dispatch_uid="accounts.mfa")
def record_new_factor(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    """Count the setup of a factor as its use, so that the next page does not ask for another code."""
    if authenticator.type in FACTORS:
        record_authentication(request, user, method="mfa", id=authenticator.pk, type=authenticator.type)

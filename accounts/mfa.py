"""The second factor: who has one, and whether this session was opened with it.

The operators' site (`veoapp.operator_pages.admin_site`), which asks, loads this module and so connects its receiver.
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

# Recovery codes alone are no second factor: they are the spare key of one.
FACTORS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]


def has_second_factor(user: User | AnonymousUser) -> bool:
    """Whether the person set up an authenticator app or a passkey."""
    return bool(is_mfa_enabled(user, FACTORS))


def is_strong(request: HttpRequest) -> bool:
    """Whether a second factor was shown in this session (at login, when asked again, when set up) and still exists."""
    records = get_authentication_records(request, request.user)
    if not any(record["method"] == "mfa" for record in records):
        return False
    # Asked several times for one page: one query answers them all.
    known = vars(request)
    if "has_second_factor" not in known:
        known["has_second_factor"] = has_second_factor(request.user)
    return bool(known["has_second_factor"])


@receiver(authenticator_added, dispatch_uid="accounts.mfa")
def remember_set_up(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    """Who has just set up a factor has shown it: the session is strong without asking for another code."""
    if authenticator.type in FACTORS:
        record_authentication(request, user, method="mfa", id=authenticator.pk, type=authenticator.type)

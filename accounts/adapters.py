"""The adapter through which allauth (sign-up, sign-in, second factors) uses our error texts, e-mails and users."""

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.signup import prevent_enumeration
from allauth.account.models import EmailAddress
from allauth.core import context as allauth_context
from allauth.core.exceptions import ImmediateHttpResponse
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.forms import Form
from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from accounts.mail import sending as mail
from accounts.mail.security_notices import NOTICES
from accounts.models import User

log = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Sends allauth's e-mails from our templates; a new user keeps the language they signed up in."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": _("The address or the password is wrong. Check both, or reset the password."),
        "incorrect_code": _("This code is wrong. Use the one from the newest e-mail."),
        "incorrect_password": _("This password is wrong."),
        "too_many_login_attempts": _("Too many attempts. Wait five minutes, then try again."),
        "account_inactive": _("This account is disabled."),
    }

    def save_user(self, request: HttpRequest, user: User, form: Form, commit: bool = True) -> User:
        # A worker that sends mail later has no browser to read the language from.
        user.language = translation.get_language() or ""
        try:
            with transaction.atomic():
                saved_user: User = super().save_user(request, user, form, commit)
        except IntegrityError:
            # Two simultaneous sign-ups with one address: the second gets the response for an existing account.
            response = prevent_enumeration(request, email=form.cleaned_data["email"])
            raise ImmediateHttpResponse(response) from None
        return saved_user

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Confirm the address. A first address shares its transaction with receivers such as sign-up credits."""
        if EmailAddress.objects.filter(user_id=email_address.user_id).exclude(pk=email_address.pk).exists():
            # Changing the address sends an e-mail to the old one, which must not happen inside a transaction.
            return bool(super().confirm_email(request, email_address))
        with transaction.atomic():
            return bool(super().confirm_email(request, email_address))

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        super().send_notification_mail(template_prefix, user, {**(context or {}), "user": user}, email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send one of allauth's e-mails from our templates. If the mail server fails, the page shows a message instead."""
        # Confirming an address at sign-up and confirming a changed address use the same e-mail.
        name = template_prefix.rpartition("/")[2].replace("_signup", "")
        user = context.get("user") or User.objects.filter(email=email.lower()).first()
        values = {**context, "email": email}
        if name in NOTICES:
            values["notice"] = NOTICES[name]
            name = "notice"
        try:
            mail.send(user or email, name, values, address=email)
        except OSError as error:
            log.error("mail %s was not sent: %s", name, type(error).__name__)
            messages.error(
                allauth_context.request,
                _("We could not send the e-mail. Wait a minute, then request another one."),
            )

"""How allauth treats our people."""

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

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Allauth's own behaviour, with our mails, and a person who keeps the language they signed up in."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": _("Address or password is wrong. Check both, or reset the password."),
        "incorrect_code": _("That is not the code. Check the newest mail."),
        "incorrect_password": _("That is not your password."),
        "too_many_login_attempts": _("Too many attempts. Wait five minutes, then try again."),
        "account_inactive": _("This account is disabled."),
    }

    def save_user(self, request: HttpRequest, user: User, form: Form, commit: bool = True) -> User:
        # Mails that a worker sends later have no browser to ask for a language.
        user.language = translation.get_language() or ""
        try:
            with transaction.atomic():
                saved: User = super().save_user(request, user, form, commit)
        except IntegrityError:
            # Two forms for one address at once: the second is answered as if the account had been there before.
            answer = prevent_enumeration(request, email=form.cleaned_data["email"])
            raise ImmediateHttpResponse(answer) from None
        return saved

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Confirm; for a person's first address together with all that hangs on it (their first credits)."""
        if EmailAddress.objects.filter(user_id=email_address.user_id).exclude(pk=email_address.pk).exists():
            # A changed address sends a mail to the old one: never inside a transaction.
            return bool(super().confirm_email(request, email_address))
        with transaction.atomic():
            return bool(super().confirm_email(request, email_address))

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        super().send_notification_mail(template_prefix, user, {**(context or {}), "user": user}, email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send allauth's mail in our words. A mail server that is away is said on the page, and never breaks it."""
        # Confirming at sign-up and confirming a changed address say the same.
        name = template_prefix.rpartition("/")[2].replace("_signup", "")
        person = context.get("user") or User.objects.filter(email=email.lower()).first()
        values = {**context, "email": email}
        if name in NOTICES:
            values["notice"] = NOTICES[name]
            name = "notice"
        try:
            mail.send(person or email, name, values, address=email)
        except OSError as error:
            logger.error("mail %s was not sent: %s", name, type(error).__name__)
            messages.error(
                allauth_context.request,
                _("We could not send the mail just now. Wait a minute, then ask for another one."),
            )

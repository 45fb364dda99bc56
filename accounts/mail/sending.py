"""Sends every e-mail: in the reader's language and time zone, as plain text and HTML."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import timezone, translation

from accounts.models import User
from accounts.time_zones import get_zone


def send(
    to: User | str,
    template: str,
    context: Mapping[str, Any] | None = None,
    language: str = "",
    *,
    address: str = "",
) -> None:
    """Send `templates/mail/<template>.{subject.txt,txt,html}` to a user or to an address.

    If both are given, the e-mail goes to `address`, in the user's language. An empty `language` means the user's
    language, or the active one if the user has chosen none. Templates get `app_url` (without a trailing slash),
    `recipient` (a user or None) and `LANGUAGE_CODE`. Raises OSError when the mail server does not accept the e-mail.
    Never call this function inside a transaction, which would keep its locks while the mail server answers.
    """
    user = to if isinstance(to, User) else None
    code = language or (user.language if user else "") or translation.get_language() or settings.LANGUAGE_CODE
    with translation.override(code), timezone.override(get_zone(user.time_zone if user else "")):
        values = {**(context or {}), "app_url": settings.APP_URL, "recipient": user, "LANGUAGE_CODE": code}
        subject = " ".join(render_to_string(f"mail/{template}.subject.txt", values).split())
        message = EmailMultiAlternatives(
            subject,
            render_to_string(f"mail/{template}.txt", values).strip() + "\n",
            settings.DEFAULT_FROM_EMAIL,
            [address or (user.email if user else str(to))],
            # Keeps automatic responders from replying.
            headers={"Auto-Submitted": "auto-generated"},
        )
        message.attach_alternative(render_to_string(f"mail/{template}.html", values), "text/html")
        message.send()

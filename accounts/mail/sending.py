"""The one way mail leaves: one thing said, in the reader's language and time zone, as plain text and as a page."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import timezone, translation

from accounts.models import User
from accounts.time_zones import zone_named


def send(
    to: User | str,
    template: str,
    context: Mapping[str, Any] | None = None,
    language: str = "",
    *,
    address: str = "",
) -> None:
    """Mail `templates/mail/<template>.{subject.txt,txt,html}` to a person (at another `address` of theirs, if given).

    The language is the one given, else the person's, else the one spoken now. Templates know `app_url` (no slash at
    the end), `person` (or None) and `LANGUAGE_CODE`. Raises OSError when the mail server does not take the mail; never
    call it inside a transaction.
    """
    person = to if isinstance(to, User) else None
    spoken = language or (person.language if person else "") or translation.get_language() or settings.LANGUAGE_CODE
    with translation.override(spoken), timezone.override(zone_named(person.time_zone if person else "")):
        values = {**(context or {}), "app_url": settings.APP_URL, "person": person, "LANGUAGE_CODE": spoken}
        subject = " ".join(render_to_string(f"mail/{template}.subject.txt", values).split())
        message = EmailMultiAlternatives(
            subject,
            render_to_string(f"mail/{template}.txt", values).strip() + "\n",
            settings.DEFAULT_FROM_EMAIL,
            [address or (person.email if person else str(to))],
            # Machines do not answer us with "I am on holiday".
            headers={"Auto-Submitted": "auto-generated"},
        )
        message.attach_alternative(render_to_string(f"mail/{template}.html", values), "text/html")
        message.send()

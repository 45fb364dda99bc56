"""Steps of signing up and signing in, and what the e-mails contain."""

import re
import time
from email.message import EmailMessage
from typing import TYPE_CHECKING

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import Client

from accounts.models import User
from tests.people import PASSWORD

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Response

CODE = re.compile(r"\b[B-Z]{4}-[B-Z]{4}\b")


def sign_up(client: Client, email: str, password: str = PASSWORD, **headers: str) -> "Response":
    """Fill in the sign-up form."""
    return client.post("/accounts/signup/", {"email": email, "password1": password}, headers=headers)


def sign_in(client: Client, email: str, password: str = PASSWORD, path: str = "/accounts/login/") -> "Response":
    """Fill in the sign-in form."""
    return client.post(path, {"login": email, "password": password})


def reauthenticate(client: Client, path: str, password: str = PASSWORD) -> "Response":
    """Open a page that asks for the password again, and enter it."""
    redirect = client.get(path)
    assert redirect["Location"].startswith("/accounts/reauthenticate/"), redirect
    return client.post(redirect["Location"], {"password": password, "next": path}, follow=True)


def enter_code(client: Client, code: str, path: str = "/accounts/confirm-email/") -> "Response":
    """Enter a code from an e-mail."""
    return client.post(path, {"code": code})


def find_code(message: EmailMessage | EmailMultiAlternatives) -> str:
    """The code in an e-mail's plain text."""
    text = str(message.body) if isinstance(message, EmailMultiAlternatives) else get_text(message)
    match = CODE.search(text)
    assert match, text
    return match.group()


def last_mail() -> EmailMultiAlternatives:
    """The newest e-mail in Django's outbox."""
    message = mail.outbox[-1]
    assert isinstance(message, EmailMultiAlternatives)
    return message


def get_text(message: EmailMessage) -> str:
    """The plain text of an e-mail received by SMTP."""
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def get_html(message: EmailMessage) -> str:
    """The HTML of an e-mail received by SMTP."""
    part = message.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def totp_code(secret: str, delay_s: int = 0) -> str:
    """The code that an authenticator app with this secret shows in `delay_s` seconds."""
    return str(format_hotp_value(hotp_value(secret, int(time.time() + delay_s) // 30)))


def is_signed_in(client: Client) -> bool:
    """Whether this browser's next request is signed in."""
    return client.get("/settings/").status_code == 200


def list_personal_data(user: User) -> str:
    """The columns of the user's row that could identify them, as one text."""
    return " ".join([user.email, user.display_name, user.language, user.time_zone])


def get_html_alternative(message: EmailMultiAlternatives) -> str:
    """The HTML of an e-mail in Django's outbox."""
    [(page, content_type)] = message.alternatives
    assert content_type == "text/html"
    return str(page)

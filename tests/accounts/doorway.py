"""How a person comes in, for tests: the steps of signing up and in, and what the mails say."""

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
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

CODE = re.compile(r"\b[B-Z]{4}-[B-Z]{4}\b")


def sign_up(client: Client, email: str, password: str = PASSWORD, **headers: str) -> "Answer":
    """Fill in the sign-up form."""
    return client.post("/accounts/signup/", {"email": email, "password1": password}, headers=headers)


def sign_in(client: Client, email: str, password: str = PASSWORD, path: str = "/accounts/login/") -> "Answer":
    """Fill in the sign-in form."""
    return client.post(path, {"login": email, "password": password})


def prove(client: Client, path: str, password: str = PASSWORD) -> "Answer":
    """Go to a page that guards the account, type the password that it asks for, and be there."""
    asked = client.get(path)
    assert asked["Location"].startswith("/accounts/reauthenticate/"), asked
    return client.post(asked["Location"], {"password": password, "next": path}, follow=True)


def enter(client: Client, code: str, path: str = "/accounts/confirm-email/") -> "Answer":
    """Type a code that came by mail."""
    return client.post(path, {"code": code})


def code_in(message: EmailMessage | EmailMultiAlternatives) -> str:
    """The code that a mail's plain text carries."""
    text = str(message.body) if isinstance(message, EmailMultiAlternatives) else plain(message)
    found = CODE.search(text)
    assert found, text
    return found.group()


def last_mail() -> EmailMultiAlternatives:
    """The newest mail of Django's outbox."""
    message = mail.outbox[-1]
    assert isinstance(message, EmailMultiAlternatives)
    return message


def plain(message: EmailMessage) -> str:
    """The plain text of a mail that came over SMTP."""
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def page_of(message: EmailMessage) -> str:
    """The HTML of a mail that came over SMTP."""
    part = message.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def app_code(secret: str, later_s: int = 0) -> str:
    """What an authenticator app with this secret shows, now or a little later."""
    return str(format_hotp_value(hotp_value(secret, int(time.time() + later_s) // 30)))


def is_signed_in(client: Client) -> bool:
    """Whether the next request of this browser knows the person."""
    return client.get("/settings/").status_code == 200


def names(user: User) -> str:
    """Everything of the row that could still name the person."""
    return " ".join([user.email, user.display_name, user.language, user.time_zone])


def html_of(message: EmailMultiAlternatives) -> str:
    """The page that a mail of Django's outbox carries."""
    [(page, kind)] = message.alternatives
    assert kind == "text/html"
    return str(page)

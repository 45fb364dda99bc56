"""E-mails: in the reader's language and time zone, as plain text and HTML."""

import re
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import get_template
from django.test import override_settings
from django.utils import translation

from accounts.mail import sending as mail
from accounts.mail.console_backend import EmailBackend
from accounts.mail.security_notices import NOTICES, Notice
from accounts.models import User
from tests.accounts import steps

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REQUEST_VALUES = {"ip": "192.0.2.1", "user_agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0", "timestamp": NOON}


def send_notice(user: User | str, notice: Notice = NOTICES["password_changed"], **values: object) -> None:
    mail.send(user, "notice", {**REQUEST_VALUES, "notice": notice, **values})


def test_an_e_mail_has_plain_text_html_and_a_subject_on_one_line(alice: User) -> None:
    send_notice(alice)
    message = steps.last_mail()
    assert message.to == ["alice@example.com"]
    assert message.subject == "Your password was changed"
    assert "Your password was changed." in message.body
    assert "Your password was changed." in steps.get_html_alternative(message)
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"


def test_times_are_in_the_reader_s_time_zone(alice: User) -> None:
    alice.time_zone = "Asia/Shanghai"
    send_notice(alice)
    assert "20:00" in steps.last_mail().body


def test_the_language_is_the_reader_s_whatever_language_is_active(alice: User) -> None:
    alice.language = "zh-hans"
    send_notice(alice)
    assert '<html lang="zh-hans">' in steps.get_html_alternative(steps.last_mail())
    assert translation.get_language() == "en"


def test_a_given_language_and_address_replace_those_of_the_user(alice: User) -> None:
    alice.language = "zh-hans"
    values = {**REQUEST_VALUES, "notice": NOTICES["password_changed"]}
    mail.send(alice, "notice", values, language="en", address="old@example.com")
    message = steps.last_mail()
    assert message.to == ["old@example.com"]
    assert message.subject == "Your password was changed"


def test_only_html_is_escaped(alice: User) -> None:
    send_notice(alice, NOTICES["email_deleted"], deleted_email="o'neil&co@example.com")
    message = steps.last_mail()
    assert "o'neil&co@example.com" in message.body
    assert "o&#x27;neil&amp;co@example.com" in steps.get_html_alternative(message)


@override_settings(APP_URL="https://veo.example")
def test_links_in_e_mails_use_the_site_s_address(alice: User) -> None:
    send_notice(alice)
    assert "https://veo.example/accounts/password/reset/" in steps.last_mail().body
    assert "testserver" not in steps.last_mail().body


@pytest.mark.parametrize("name", sorted(NOTICES))
def test_the_placeholders_of_every_notice_are_filled(alice: User, name: str) -> None:
    values = {"to_email": "new@example.com", "from_email": "old@example.com", "deleted_email": "x@example.com"}
    send_notice(alice, NOTICES[name], **values)
    assert "%(" not in steps.last_mail().body


def test_every_e_mail_has_a_subject_and_uses_the_base_templates() -> None:
    folder = Path(settings.BASE_DIR) / "templates" / "mail"
    names = {path.name.removesuffix(".subject.txt") for path in folder.glob("*.subject.txt")}
    assert {"email_confirmation", "password_reset_code", "notice"} <= names
    for name in names:
        assert 'extends "mail/base.txt"' in (folder / f"{name}.txt").read_text()
        assert 'extends "mail/base.html"' in (folder / f"{name}.html").read_text()
        get_template(f"mail/{name}.html")


def test_html_e_mails_load_nothing_from_the_network(alice: User) -> None:
    send_notice(alice)
    assert not re.search(r"<img|<script|<link|url\(", steps.get_html_alternative(steps.last_mail()))


def test_the_console_backend_prints_address_subject_and_text(alice: User) -> None:
    send_notice(alice)
    output = StringIO()
    EmailBackend(stream=output).send_messages([steps.last_mail()])
    assert "Mail to alice@example.com: Your password was changed\n" in output.getvalue()
    assert "Your password was changed." in output.getvalue()
    assert "<" not in output.getvalue()

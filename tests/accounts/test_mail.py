"""Mails: one thing said, in the reader's language and time zone, as text and as a page."""

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
from tests.accounts import doorway

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
FROM = {"ip": "192.0.2.1", "user_agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0", "timestamp": NOW}


def notice_to(user: User | str, notice: Notice = NOTICES["password_changed"], **more: object) -> None:
    mail.send(user, "notice", {**FROM, "notice": notice, **more})


def test_a_mail_is_plain_text_and_a_page_with_a_subject_on_one_line(alice: User) -> None:
    notice_to(alice)
    message = doorway.last_mail()
    assert message.to == ["alice@example.com"]
    assert message.subject == "Your password was changed"
    assert "Your password was changed." in message.body
    assert "Your password was changed." in doorway.html_of(message)
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"


def test_times_are_the_reader_s(alice: User) -> None:
    alice.time_zone = "Asia/Shanghai"
    notice_to(alice)
    assert "20:00" in doorway.last_mail().body


def test_the_language_is_the_reader_s_whatever_is_spoken_around(alice: User) -> None:
    alice.language = "zh-hans"
    notice_to(alice)
    assert '<html lang="zh-hans">' in doorway.html_of(doorway.last_mail())
    assert translation.get_language() == "en"


def test_a_given_language_wins_and_another_address_of_theirs_may_be_named(alice: User) -> None:
    alice.language = "zh-hans"
    values = {**FROM, "notice": NOTICES["password_changed"]}
    mail.send(alice, "notice", values, language="en", address="old@example.com")
    message = doorway.last_mail()
    assert message.to == ["old@example.com"]
    assert message.subject == "Your password was changed"


def test_text_is_not_escaped_and_the_page_is(alice: User) -> None:
    notice_to(alice, NOTICES["email_deleted"], deleted_email="o'neil&co@example.com")
    message = doorway.last_mail()
    assert "o'neil&co@example.com" in message.body
    assert "o&#x27;neil&amp;co@example.com" in doorway.html_of(message)


@override_settings(APP_URL="https://veo.example")
def test_addresses_in_mails_are_the_site_s_own_never_the_request_s(alice: User) -> None:
    notice_to(alice)
    assert "https://veo.example/accounts/password/reset/" in doorway.last_mail().body
    assert "testserver" not in doorway.last_mail().body


@pytest.mark.parametrize("name", sorted(NOTICES))
def test_every_notice_can_be_said(alice: User, name: str) -> None:
    values = {"to_email": "new@example.com", "from_email": "old@example.com", "deleted_email": "x@example.com"}
    notice_to(alice, NOTICES[name], **values)
    assert "%(" not in doorway.last_mail().body


def test_every_mail_has_a_subject_a_text_and_a_page_of_one_layout() -> None:
    folder = Path(settings.BASE_DIR) / "templates" / "mail"
    names = {path.name.removesuffix(".subject.txt") for path in folder.glob("*.subject.txt")}
    assert {"email_confirmation", "password_reset_code", "notice"} <= names
    for name in names:
        assert 'extends "mail/base.txt"' in (folder / f"{name}.txt").read_text()
        assert 'extends "mail/base.html"' in (folder / f"{name}.html").read_text()
        get_template(f"mail/{name}.html")


def test_pages_of_mails_load_nothing_from_anywhere(alice: User) -> None:
    notice_to(alice)
    assert not re.search(r"<img|<script|<link|url\(", doorway.html_of(doorway.last_mail()))


def test_without_a_mail_server_mail_is_printed_as_a_person_reads_it(alice: User) -> None:
    notice_to(alice)
    paper = StringIO()
    EmailBackend(stream=paper).send_messages([doorway.last_mail()])
    assert "Mail to alice@example.com: Your password was changed\n" in paper.getvalue()
    assert "Your password was changed." in paper.getvalue()
    assert "<" not in paper.getvalue()

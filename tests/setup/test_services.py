"""The services of the tests: database, SMTP, S3, PostgreSQL and Chromium."""

from email.message import EmailMessage
from pathlib import Path
from smtplib import SMTP

import psycopg
import pytest
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction
from playwright.sync_api import Browser

from accounts.models import User
from billing.credits import ledger
from billing.models import LedgerEntry, Price
from tests import chromium, postgres, services
from tests.mail import Mailbox
from tests.people import give_credits
from tests.s3 import S3


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("repetition", [1, 2])
def test_a_transactional_test_starts_with_an_empty_ledger_and_the_migrations_prices(
    alice: User, repetition: int
) -> None:
    assert Price.objects.exists()
    assert cache.get("repetition") is None
    assert ledger.balance_of(alice) == 0
    cache.set("repetition", repetition)
    give_credits(alice, 10)
    Price.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_the_ledger_refuses_changes_within_a_test(alice: User) -> None:
    give_credits(alice, 10)
    with pytest.raises(DatabaseError), transaction.atomic():
        LedgerEntry.objects.update(amount=1000)
    with pytest.raises(DatabaseError), transaction.atomic():
        LedgerEntry.objects.all().delete()
    assert ledger.balance_of(alice) == 10
    assert [entry.amount for entry in ledger.statement(alice)] == [10]


@pytest.mark.postgres
@pytest.mark.django_db
def test_postgres_tests_run_on_postgres() -> None:
    assert connection.vendor == "postgresql"


def test_an_e_mail_arrives_at_the_smtp_server(smtp_server: Mailbox) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "Bonjour"
    message.set_content("été")
    with SMTP("127.0.0.1", smtp_server.port) as client:
        client.send_message(message)
    assert [mail["Subject"] for mail in smtp_server.messages] == ["Bonjour"]


def test_an_object_is_stored_at_the_s3_server(s3_server: S3) -> None:
    s3_server.client.put_object(Bucket=s3_server.bucket, Key="a", Body=b"b")
    assert s3_server.client.get_object(Bucket=s3_server.bucket, Key="a")["Body"].read() == b"b"


@pytest.mark.parametrize(("ci", "outcome"), [(True, pytest.fail.Exception), (False, pytest.skip.Exception)])
def test_a_missing_browser_fails_in_ci_and_skips_elsewhere(
    monkeypatch: pytest.MonkeyPatch, ci: bool, outcome: type[BaseException]
) -> None:
    def fail() -> str:
        raise chromium.NoChromium("no Chromium here")

    monkeypatch.setattr(chromium, "find_or_download", fail)
    monkeypatch.setattr(services, "CI", ci)
    with pytest.raises(outcome, match="no Chromium here"):
        services.find_chromium()


def test_a_missing_postgresql_fails_in_ci_and_is_reported_elsewhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> postgres.Server:
        raise postgres.NoPostgres("no PostgreSQL here")

    monkeypatch.setattr(postgres, "start", fail)
    monkeypatch.setattr(services, "CI", True)
    with pytest.raises(pytest.UsageError, match="CI needs PostgreSQL: no PostgreSQL here"):
        services.start_postgres()
    monkeypatch.setattr(services, "CI", False)
    monkeypatch.setenv(services.NO_POSTGRES, "")
    assert services.start_postgres() == ""
    assert "!!! NO POSTGRESQL: no PostgreSQL here." in capsys.readouterr().out


@pytest.mark.parametrize("binaries", ["system", "wheel"])
def test_a_postgresql_server_removes_its_folder(monkeypatch: pytest.MonkeyPatch, binaries: str) -> None:
    if binaries == "wheel":
        monkeypatch.setattr(postgres, "_system_binaries", lambda: None)
    server = postgres.start()
    folder = Path(server.url.partition("?host=")[2])
    with psycopg.connect(server.url.replace("postgres:", "postgresql:", 1)) as server_connection:
        assert server_connection.execute("SELECT 1").fetchone() == (1,)
    server.stop()
    assert not folder.exists()


@pytest.mark.browser
def test_a_browser_plays_h264(browser: Browser) -> None:
    page = browser.new_page()
    support = page.evaluate(
        """document.createElement("video").canPlayType('video/mp4; codecs="avc1.64001F, mp4a.40.2"')"""
    )
    assert support == "probably"
    page.close()

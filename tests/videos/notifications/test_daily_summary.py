"""The operators' daily mail with every question on their checklist, over a real mail server."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils.module_loading import import_string
from pytest_django.fixtures import Settings

from accounts.models import User
from accounts.seams import clock
from billing.alerts import services as alerts
from billing.costs import rollups
from billing.models import Alert, BooksRun, DailySummary, LedgerEntry, LotUse, Measure
from billing.provider import accounts as provider_accounts
from tests.accounts import steps
from tests.billing import history
from tests.billing.conftest import without_history_protection
from tests.clocks import ManualClock
from tests.mail import Mailbox, free_port
from tests.people import give_credits
from videos import job_queue
from videos.notifications import daily_summary, summary_text
from videos.notifications.daily_failures import find_failures
from videos.notifications.summary_text import Section
from videos.worker import sweep

pytestmark = pytest.mark.django_db
OLGA, OTTO = "olga@example.com", "otto@example.com"
MORNING = datetime(2026, 9, 2, 8, tzinfo=UTC)
YESTERDAY = date(2026, 9, 1)
DAY = timedelta(days=1)


@pytest.fixture
def manual_clock() -> Iterator[ManualClock]:
    """A stopped clock at noon of YESTERDAY."""
    stopped_clock = ManualClock()
    with clock.replaced(stopped_clock):
        yield stopped_clock


@pytest.fixture
def mail_server(smtp_server: Mailbox, settings: Settings) -> Mailbox:
    """A real mail server for the operators' addresses."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", smtp_server.port
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.COST_ALERT_EMAIL = [OLGA, OTTO]
    return smtp_server


def record_balance(credits: int) -> None:
    account = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(credits))


def record_counts(at: datetime, user: User, **counts: int) -> None:
    rollups.record_counts(
        ordered_at=at, model="veo3_fast", user_id=user.pk, counts=[(Measure(m), n) for m, n in counts.items()]
    )


def build_sections() -> dict[str, Section]:
    return {section.title: section for section in daily_summary.template_values(YESTERDAY)["sections"]}


def answer_of(title: str) -> tuple[str, str]:
    section = build_sections()[title]
    return section.answer, section.tone


def test_a_busy_day_is_summarised_to_every_address_once(
    mail_server: Mailbox, manual_clock: ManualClock, settings: Settings, alice: User
) -> None:
    settings.APP_URL = "https://veo.example"
    for _ in range(2):
        history.make_ready(alice)
    history.make_failed(alice)
    history.make_cancelled(alice)
    alerts.raise_alert(Alert.Kind.STORAGE, cause="media")
    manual_clock.at = MORNING
    record_balance(900)
    BooksRun.objects.create(at=manual_clock.at, took_s=1, problems=0)
    assert "summary" in sweep.enqueue_due()
    import_string(job_queue.JOBS["summary"])()
    assert sorted(str(message["To"]) for message in mail_server.messages) == [OLGA, OTTO]
    message = mail_server.messages[0]
    text, page = steps.get_text(message), steps.get_html(message)
    for expected in (
        "Refunds for failed videos: all refunded",
        "Open alerts: 2, 1 of them critical",
        "Books: they balance",
        "Balance at the provider: 900",
        "https://veo.example/admin/",
    ):
        assert expected in text
    assert "Media storage has trouble" in page
    assert page.count('class="button"') == 1
    assert "Open alerts" in str(message["Subject"])
    assert daily_summary.send_due() == 0
    manual_clock.sleep(3600)
    assert "summary" not in sweep.enqueue_due()
    assert DailySummary.objects.get().sent_at == MORNING


def test_only_failed_addresses_are_retried(
    smtp_server: Mailbox, mail_server: Mailbox, manual_clock: ManualClock, settings: Settings
) -> None:
    manual_clock.at = MORNING
    settings.EMAIL_PORT = free_port()
    assert daily_summary.send_due() == 0
    settings.EMAIL_PORT = smtp_server.port
    assert daily_summary.send_due() == 0
    manual_clock.sleep(900)
    assert daily_summary.send_due() == 2
    manual_clock.sleep(900)
    assert daily_summary.send_due() == 0
    assert len(mail_server.messages) == 2


def test_a_quiet_day_has_only_good_answers(mail_server: Mailbox, manual_clock: ManualClock, alice: User) -> None:
    record_counts(manual_clock.at, alice, ordered=10, estimated=700, settled=10, settled_estimate=700, actual=700)
    manual_clock.at = MORNING
    record_balance(7000)
    BooksRun.objects.create(at=manual_clock.at, took_s=1, problems=0)
    assert daily_summary.send_due() == 2
    assert str(mail_server.messages[0]["Subject"]).endswith(" · Everything is in order · 7 days left")
    assert {section.tone for section in build_sections().values()} == {"good"}


def test_the_summary_is_in_the_readers_language(
    mail_server: Mailbox, manual_clock: ManualClock, olga: User, settings: Settings
) -> None:
    olga.language = "zh-hans"
    olga.save()
    settings.COST_ALERT_EMAIL = [OLGA]
    manual_clock.at = MORNING
    assert daily_summary.send_due() == 1
    assert '<html lang="zh-hans">' in steps.get_html(mail_server.messages[0])


@pytest.mark.parametrize(
    ("credits", "per_day", "answer"),
    [
        (10_000, 0, ("nothing is being spent", "good")),
        (900, 0, ("nothing is being spent", "warn")),
        # Until the critical threshold of 500, at the rate of the last 20 hours.
        (10_000, 1000, ("8 days left", "good")),
        (2_900, 1000, ("2 days left", "warn")),
        (900, 100, ("3 days left", "warn")),
        (1_000_000, 1, ("more than 60 days left", "good")),
        (400, 100, ("0 days left", "bad")),
        (400, 0, ("0 days left", "bad")),
    ],
)
def test_the_answer_about_the_balance(
    manual_clock: ManualClock, alice: User, credits: int, per_day: int, answer: tuple[str, str]
) -> None:
    if per_day:
        record_counts(manual_clock.at, alice, ordered=1, estimated=per_day)
    manual_clock.at = MORNING
    record_balance(credits)
    assert answer_of("Balance") == answer


def test_the_answer_without_a_key_or_a_balance_reading(manual_clock: ManualClock, settings: Settings) -> None:
    assert "never read" in [line.note for line in build_sections()["Balance"].lines]
    settings.KIE_AI_API_KEY = ""
    assert answer_of("Balance") == ("no provider key", "bad")


@pytest.mark.parametrize(
    ("actual", "answer"),
    [
        (120, ("as estimated", "good")),
        (121, ("1 provider credits more", "good")),
        (125, ("5 provider credits more", "warn")),
        (110, ("10 provider credits less", "warn")),
    ],
)
def test_the_answer_about_the_variance(
    manual_clock: ManualClock, alice: User, actual: int, answer: tuple[str, str]
) -> None:
    record_counts(manual_clock.at, alice, ordered=3, estimated=180, settled=2, settled_estimate=120, actual=actual)
    assert answer_of("Estimate against actual") == answer
    assert build_sections()["Estimate against actual"].lines[1].note == "2 videos · 1 still open"


def test_the_answer_about_unusual_spend(manual_clock: ManualClock, alice: User) -> None:
    assert answer_of("Unusual spend") == ("none", "good")
    record_counts(manual_clock.at - DAY, alice, ordered=1, estimated=100)
    record_counts(manual_clock.at, alice, ordered=1, estimated=300)
    assert answer_of("Unusual spend") == ("needs a look", "warn")
    assert build_sections()["Unusual spend"].lines[1].note == alice.email


def test_unusual_spend_with_an_alert_is_listed(manual_clock: ManualClock) -> None:
    alerts.raise_alert(Alert.Kind.USER_BURST, cause="user 1")
    section = build_sections()["Unusual spend"]
    assert (section.tone, section.lines[-1].name) == ("warn", "One user ordered unusually many videos")


def test_the_answer_about_users_credits(manual_clock: ManualClock, alice: User) -> None:
    give_credits(alice, 1500)
    assert answer_of("Users’ credits") == ("+1,500 held", "good")


def test_a_failed_video_without_a_refund_is_listed(manual_clock: ManualClock, alice: User) -> None:
    assert answer_of("Refunds for failed videos") == ("none needed", "good")
    history.make_failed(alice)
    assert answer_of("Refunds for failed videos") == ("all refunded", "good")
    task = history.make_cancelled(alice)
    with without_history_protection():
        refund = LedgerEntry.objects.filter(idempotency_key=task.refund_key)
        LotUse.objects.filter(entry__in=refund).delete()
        refund.delete()
    failures = find_failures(YESTERDAY)
    assert (failures.failed, failures.cancelled, failures.refunded, failures.missing_refunds) == (1, 1, 1, 1)
    assert answer_of("Refunds for failed videos") == ("1 is missing", "bad")
    assert str(task.pk) in [line.value for line in build_sections()["Refunds for failed videos"].lines]
    assert find_failures(YESTERDAY - DAY).total == 0


def test_the_answer_about_open_alerts(manual_clock: ManualClock, olga: User) -> None:
    assert answer_of("Open alerts") == ("none", "good")
    for n in range(9):
        alert = alerts.raise_alert(Alert.Kind.UNCONFIRMED, cause=f"{n}")
    assert answer_of("Open alerts") == ("9", "warn")
    alerts.snooze(alert_id=alert.pk, actor=olga, until=manual_clock.at + DAY)
    alerts.raise_alert(Alert.Kind.STORAGE)
    section = build_sections()["Open alerts"]
    assert (section.answer, section.tone) == ("9, 1 of them critical", "bad")
    assert [line.name for line in section.lines[-2:]] == ["and others", "Snoozed"]


@pytest.mark.parametrize(
    ("problems", "answer"), [(0, ("they balance", "good")), (1, ("1 problem", "bad")), (7, ("7 problems", "bad"))]
)
def test_the_answer_about_the_books(manual_clock: ManualClock, problems: int, answer: tuple[str, str]) -> None:
    assert answer_of("Books") == ("not checked yet", "warn")
    BooksRun.objects.create(at=manual_clock.at, took_s=1, problems=problems)
    assert answer_of("Books") == answer


def test_the_headline_shows_the_worst_answers() -> None:
    good, warn = Section("A", "fine", "good"), Section("B", "so so", "warn")
    bad = [Section(name, "broken", "bad") for name in "CDE"]
    assert summary_text.format_headline([good, warn, *bad]) == "C: broken · D: broken"
    assert summary_text.format_headline([good, warn]) == "B: so so"


def run_command(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("send_daily_summary", *arguments, stdout=out)
    except SystemExit as stop:
        return int(str(stop.code)), out.getvalue()
    return 0, out.getvalue()


def test_the_command_prints_or_sends_any_day(
    mail_server: Mailbox, manual_clock: ManualClock, settings: Settings
) -> None:
    manual_clock.at = MORNING
    code, output = run_command("--print")
    assert code == 0
    assert output.startswith("Summary of 1 Sep 2026")
    assert "Summary of 15 Aug 2026" in run_command("--date", "2026-08-15", "--print")[1]
    assert mail_server.messages == []
    assert run_command() == (0, f"{OLGA}: sent\n{OTTO}: sent\n")
    settings.EMAIL_PORT = free_port()
    assert run_command() == (
        1,
        "".join(f"{to}: the mail server cannot be reached (ConnectionRefusedError)\n" for to in (OLGA, OTTO)),
    )
    settings.COST_ALERT_EMAIL = []
    assert run_command() == (1, "COST_ALERT_EMAIL is empty: set it in .env, or use --print.\n")
    assert not DailySummary.objects.exists()

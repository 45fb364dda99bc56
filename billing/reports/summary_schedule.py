"""Who sends the operators' morning mail, and whom it has reached: the only writer of daily summaries."""

from datetime import date, timedelta

from django.conf import settings
from django.db.models import F

from accounts.seams import clock
from billing.alerts import services as alerts
from billing.common.periods import site_zone
from billing.models import DailySummary

# A mail that a server refused is tried again after so long, so many times; a dead worker's after the same time.
TRY_AGAIN = timedelta(minutes=15)
ATTEMPTS = 12


def day_due() -> date | None:
    """The day that the next mail is about: yesterday, from DAILY_SUMMARY_HOUR on, and until then the day before that, whose
    mail is late if no worker was there to send it. None without addresses, and before the first mail of all.
    """
    day, is_late = _candidate()
    if is_late and day and not DailySummary.objects.filter(day__lte=day).exists():
        return None
    return day


def is_due() -> bool:
    """Whether a mail is to be sent now; one statement, for the worker asks every second."""
    day, is_late = _candidate()
    if day is None:
        return False
    newest = DailySummary.objects.filter(day__lte=day).order_by("-day").first()
    if newest is None:
        return not is_late
    return newest.day != day or _is_open(newest)


def claim() -> DailySummary | None:
    """The mail to be sent now, for whoever asks first; its `waiting` names those it has not reached."""
    day = day_due()
    if day is None:
        return None
    at = clock.now()
    DailySummary.objects.bulk_create(
        [DailySummary(day=day, due_at=at, waiting=list(dict.fromkeys(settings.COST_ALERT_EMAIL)))],
        ignore_conflicts=True,
    )
    row = DailySummary.objects.get(day=day)
    mine = _is_open(row) and DailySummary.objects.filter(pk=row.pk, attempts=row.attempts).update(
        attempts=F("attempts") + 1, due_at=at + TRY_AGAIN
    )
    return row if mine else None


def reached(row: DailySummary, address: str) -> None:
    """This address has it; with the last of them the mail is sent."""
    row.waiting = [other for other in row.waiting if other != address]
    row.sent_at = None if row.waiting else clock.now()
    DailySummary.objects.filter(pk=row.pk).update(waiting=row.waiting, sent_at=row.sent_at)
    if not row.waiting:
        alerts.resolve_alerts(alerts.Kind.SUMMARY_UNSENT)


def not_reached(row: DailySummary, error: str) -> None:
    """Somebody has it not after this attempt; if it was the last one, operators are told on their pages."""
    if row.attempts + 1 >= ATTEMPTS:
        facts = {"day": row.day.isoformat(), "attempts": ATTEMPTS, "words": error}
        alerts.raise_alert(alerts.Kind.SUMMARY_UNSENT, facts=facts)


def _candidate() -> tuple[date | None, bool]:
    """The day that `day_due` is about if any mail is due, and whether that mail would be late."""
    if not settings.COST_ALERT_EMAIL:
        return None, False
    local = clock.now().astimezone(site_zone())
    yesterday = local.date() - timedelta(days=1)
    if local.hour >= settings.DAILY_SUMMARY_HOUR:
        return yesterday, False
    return yesterday - timedelta(days=1), True


def _is_open(row: DailySummary) -> bool:
    return row.sent_at is None and row.due_at <= clock.now() and row.attempts < ATTEMPTS

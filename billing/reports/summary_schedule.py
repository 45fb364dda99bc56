"""Decides when the daily summary e-mail is due, which worker sends it, and records which addresses received it.

A worker claims an e-mail before sending it, so that no other worker sends it too. Only this module writes DailySummary.
"""

from datetime import date, timedelta

from django.conf import settings
from django.db.models import F

from accounts.seams import clock
from billing.alerts import services as alerts
from billing.common.periods import site_zone
from billing.models import DailySummary

# A claimed e-mail that did not reach every address, for example because the worker died, is tried again after this
# delay, up to MAX_ATTEMPTS times in all.
RETRY_AFTER = timedelta(minutes=15)
MAX_ATTEMPTS = 12


def due_day() -> date | None:
    """Return the day that the next e-mail is about.

    It is yesterday. Before DAILY_SUMMARY_HOUR it is the day before yesterday, whose e-mail may not have been sent yet;
    then the result is None if there has never been an e-mail. It is also None if no addresses are set.
    """
    day, is_late = _candidate_day()
    if is_late and day and not DailySummary.objects.filter(day__lte=day).exists():
        return None
    return day


def is_due() -> bool:
    """Return whether an e-mail must be sent now. Makes one query, because the worker calls this every second."""
    day, is_late = _candidate_day()
    if day is None:
        return False
    newest = DailySummary.objects.filter(day__lte=day).order_by("-day").first()
    if newest is None:
        return not is_late
    return newest.day != day or _is_open(newest)


def claim() -> DailySummary | None:
    """Claim the e-mail that is due; returns None if there is none or another worker claimed it.

    `waiting` of the result lists the addresses that have not received the e-mail yet.
    """
    day = due_day()
    if day is None:
        return None
    at = clock.now()
    DailySummary.objects.bulk_create(
        [DailySummary(day=day, due_at=at, waiting=list(dict.fromkeys(settings.COST_ALERT_EMAIL)))],
        ignore_conflicts=True,
    )
    summary = DailySummary.objects.get(day=day)
    is_claimed = _is_open(summary) and DailySummary.objects.filter(pk=summary.pk, attempts=summary.attempts).update(
        attempts=F("attempts") + 1, due_at=at + RETRY_AFTER
    )
    return summary if is_claimed else None


def record_delivery(summary: DailySummary, address: str) -> None:
    """Record that this address received the e-mail, which counts as sent when all addresses have received it."""
    summary.waiting = [other for other in summary.waiting if other != address]
    summary.sent_at = None if summary.waiting else clock.now()
    DailySummary.objects.filter(pk=summary.pk).update(waiting=summary.waiting, sent_at=summary.sent_at)
    if not summary.waiting:
        alerts.resolve_alerts(alerts.Kind.SUMMARY_UNSENT)


def record_failure(summary: DailySummary, error: str) -> None:
    """Record that an attempt failed: raises an alert if it was the last one."""
    if summary.attempts + 1 >= MAX_ATTEMPTS:
        facts = {"day": summary.day.isoformat(), "attempts": MAX_ATTEMPTS, "words": error}
        alerts.raise_alert(alerts.Kind.SUMMARY_UNSENT, facts=facts)


def _candidate_day() -> tuple[date | None, bool]:
    """Return the day that `due_day` considers, without a query, and whether it is the day before yesterday."""
    if not settings.COST_ALERT_EMAIL:
        return None, False
    local = clock.now().astimezone(site_zone())
    yesterday = local.date() - timedelta(days=1)
    if local.hour >= settings.DAILY_SUMMARY_HOUR:
        return yesterday, False
    return yesterday - timedelta(days=1), True


def _is_open(summary: DailySummary) -> bool:
    return summary.sent_at is None and summary.due_at <= clock.now() and summary.attempts < MAX_ATTEMPTS

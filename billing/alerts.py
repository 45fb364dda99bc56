"""Tells operators, once for each cause and window, however often it happens."""

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import F

from accounts.doors import clock
from accounts.models import User
from billing.models import Alert

Kind = Alert.Kind
Severity = Alert.Severity

CAUSE_LENGTH = 200
DETAIL_LENGTH = 4000

SEVERITY = {
    Kind.LOW_BALANCE: Severity.WARNING,
    Kind.CRITICAL_BALANCE: Severity.CRITICAL,
    Kind.OUT_OF_CREDITS: Severity.CRITICAL,
    Kind.ACCESS_DENIED: Severity.CRITICAL,
    Kind.PROVIDER_TROUBLE: Severity.WARNING,
    Kind.UNCONFIRMED: Severity.WARNING,
    Kind.POSSIBLE_SPEND: Severity.WARNING,
    Kind.FORBIDDEN_ADDRESS: Severity.CRITICAL,
    Kind.UNDOWNLOADED: Severity.WARNING,
    Kind.STORAGE: Severity.CRITICAL,
    Kind.WORKER: Severity.WARNING,
    Kind.BOOKS: Severity.CRITICAL,
}


def raise_alert(
    kind: Alert.Kind, *, cause: str = "", detail: str = "", reference: str = "", window: timedelta = timedelta(days=1)
) -> Alert:
    """Note an alert: the first of its kind, cause and window makes a row; the others count it up, with the newest words."""
    at = clock.now()
    cause = cause[:CAUSE_LENGTH]
    window_key = f"{kind}:{cause}:{int(at.timestamp() // window.total_seconds())}"

    def count_up() -> int:
        words = {"detail": detail[:DETAIL_LENGTH]} if detail else {}
        again = Alert.objects.filter(window_key=window_key)
        return again.update(count=F("count") + 1, last_at=at, resolved_at=None, **words)

    if not count_up():
        try:
            with transaction.atomic():
                return Alert.objects.create(
                    kind=kind,
                    severity=SEVERITY.get(kind, Severity.INFO),
                    cause=cause,
                    detail=detail[:DETAIL_LENGTH],
                    reference=reference,
                    window_key=window_key,
                    first_at=at,
                    last_at=at,
                )
        except IntegrityError:
            # Another process was first by a moment; ours counts as the second.
            count_up()
    return Alert.objects.get(window_key=window_key)


def resolve(kind: Alert.Kind, *, cause: str | None = None) -> int:
    """Mark open alerts of a kind (and cause) as over; returns how many."""
    alerts = Alert.objects.filter(kind=kind, resolved_at=None)
    if cause is not None:
        alerts = alerts.filter(cause=cause[:CAUSE_LENGTH])
    return alerts.update(resolved_at=clock.now())


def acknowledge(*, alert_id: int, actor: User) -> bool:
    """A person has seen it; False when somebody had already."""
    return bool(
        Alert.objects.filter(id=alert_id, acknowledged_at=None).update(
            acknowledged_at=clock.now(), acknowledged_by=actor
        )
    )

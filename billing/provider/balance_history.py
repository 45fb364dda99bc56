"""Thins out the balance history: all readings are kept for a week, one an hour for 90 days, and then one a day."""

from datetime import UTC, datetime, timedelta

from django.db.models import Max, Q
from django.db.models.functions import TruncDay, TruncHour

from billing.models import BalanceSnapshot, ProviderEntry

KEEP_ALL_FOR = timedelta(days=7)
KEEP_HOURLY_FOR = timedelta(days=90)


def delete_old_readings(at: datetime) -> int:
    """Delete all but the last reading of each hour or day of the older periods; returns how many.

    Readings that a provider entry refers to are kept as evidence.
    """
    # Only whole hours and days are thinned out, because the last reading of the others is not known yet.
    week_ago = (at - KEEP_ALL_FOR).replace(minute=0, second=0, microsecond=0)
    three_months_ago = (at - KEEP_HOURLY_FOR).replace(hour=0, minute=0, second=0, microsecond=0)
    return _keep_last_of(TruncHour, Q(taken_at__gte=three_months_ago, taken_at__lt=week_ago)) + _keep_last_of(
        TruncDay, Q(taken_at__lt=three_months_ago)
    )


def _keep_last_of(truncate: type[TruncHour | TruncDay], age: Q) -> int:
    rows = BalanceSnapshot.objects.filter(age).order_by()
    last_readings = rows.values("account", span=truncate("taken_at", tzinfo=UTC)).annotate(last=Max("pk"))
    entries = ProviderEntry.objects.filter(snapshot__isnull=False)
    deletable = rows.exclude(pk__in=last_readings.values("last")).exclude(pk__in=entries.values("snapshot"))
    deleted, _ = deletable.delete()
    return deleted

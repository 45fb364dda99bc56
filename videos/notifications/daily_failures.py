"""Videos that failed or were cancelled on one day, and whether each was refunded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.db.models import Count, Exists, OuterRef, Q

from billing.common.periods import day_window
from billing.models import LedgerEntry
from videos.models import VideoTask

Status = VideoTask.Status

MAX_UNREFUNDED_SHOWN = 5


@dataclass(frozen=True)
class Failures:
    """The numbers of a day's failed, cancelled and refunded videos, and some of those that were not refunded."""

    failed: int
    cancelled: int
    refunded: int
    unrefunded: Sequence[VideoTask]

    @property
    def total(self) -> int:
        return self.failed + self.cancelled

    @property
    def missing_refunds(self) -> int:
        return self.total - self.refunded


def find_failures(day: date) -> Failures:
    """The videos that failed or were cancelled on this day, and whether their charges were refunded."""
    window = day_window(day)
    refunds = LedgerEntry.objects.filter(kind=LedgerEntry.Kind.REFUND, reverses__job_id=OuterRef("pk"))
    unsuccessful = VideoTask.objects.filter(
        status__in=[Status.FAILED, Status.CANCELLED], finished_at__gte=window.starts_at, finished_at__lt=window.ends_at
    ).annotate(is_refunded=Exists(refunds))
    counts = unsuccessful.aggregate(
        failed=Count("pk", filter=Q(status=Status.FAILED)),
        cancelled=Count("pk", filter=Q(status=Status.CANCELLED)),
        refunded=Count("pk", filter=Q(is_refunded=True)),
    )
    return Failures(
        **counts, unrefunded=list(unsuccessful.filter(is_refunded=False).order_by("pk")[:MAX_UNREFUNDED_SHOWN])
    )

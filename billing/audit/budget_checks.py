"""Checks the usage of budgets (rule I6, see `billing.audit`).

A *window* is one hour, day or month of a budget. Its usage must be the sum of its jobs.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from django.db.models import Case, DecimalField, F, JSONField, Q, Subquery, Value, When

from accounts.seams import clock
from billing.audit.runner import Problem
from billing.budgets.limits import ALL
from billing.common.formatting import format_plain
from billing.common.periods import window_at
from billing.models import BudgetWindow, Period, Spend

State = Spend.State
ZERO = Decimal(0)

# Rows in memory at a time.
CHUNK_SIZE = 5000
# Smaller differences are ignored, because SQLite sums in floating point.
ROUNDING = Decimal("0.0001")


def check_window_usage(*, deep: bool) -> Iterable[Problem]:
    """I6: the usage of a window is the sum of the amounts of the jobs counted in it.

    Checks windows since the start of yesterday's month, or all windows if `deep`. One statement reads windows and jobs, so
    that it sees each reservation in both or in neither.
    """
    windows, jobs = BudgetWindow.objects.order_by(), Spend.objects.filter(promised_at__isnull=False)
    if not deep:
        since = window_at(Period.MONTH, clock.now() - timedelta(days=1)).starts_at
        # A job is counted in windows that contain the time when its credits were reserved.
        windows, jobs = windows.filter(starts_at__gte=since), jobs.filter(promised_at__gte=since)
    no_windows = Value(None, output_field=JSONField())
    rows = jobs.values_list("pk", "counted", "counted_in").union(
        windows.values_list("pk", "used", no_windows), all=True
    )
    used: dict[int, Decimal] = {}
    counted: dict[int, Decimal] = defaultdict(Decimal)
    for pk, amount, window_ids in rows.iterator(chunk_size=CHUNK_SIZE):
        if window_ids is None:
            used[pk] = amount
        else:
            for window_id in window_ids:
                counted[window_id] += amount
    wrong_ids = [pk for pk, amount in used.items() if abs(amount - counted[pk]) >= ROUNDING]
    for row in BudgetWindow.objects.filter(pk__in=wrong_ids):
        name = f"budget window {row.scope} {row.period} {row.starts_at:%Y-%m-%d %H:%M}"
        yield Problem("I6", name, f"holds {format_plain(used[row.pk])}, its jobs count {format_plain(counted[row.pk])}")


def check_counted_amounts(*, deep: bool) -> Iterable[Problem]:
    """I6: the amount counted for a job is zero before it is sent, then its estimate, and its actual cost once known.

    Jobs sent before the first budget window are not counted.
    """
    cost = Case(
        When(state=State.ESTIMATED, then=Value(ZERO)),
        When(state=State.PROMISED, then=F("estimated")),
        default=F("actual"),
        output_field=DecimalField(max_digits=12, decimal_places=4),
    )
    windows = BudgetWindow.objects.filter(scope=ALL, period=Period.MONTH).order_by("starts_at")
    relevant = Q(promised_at__gte=Subquery(windows.values("starts_at")[:1])) | ~Q(counted=ZERO)
    without_window = Q(counted_in=[]) & ~Q(counted=ZERO)
    jobs = Spend.objects.filter(relevant).annotate(cost=cost).filter(~Q(counted=F("cost")) | without_window)
    for job_id, state, counted, window_ids, expected in jobs.values_list(
        "job_id", "state", "counted", "counted_in", "cost"
    ):
        text = f"{state}, counts {format_plain(counted)} in {len(window_ids)} budget windows but costs {format_plain(expected)}"
        yield Problem("I6", f"job:{job_id}", text)

"""What must hold between budget windows and the jobs that are counted in them: I6, or a limit holds something else."""

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

# So many rows are in memory at once.
AT_ONCE = 5000
# SQLite adds up in floating point.
EXACTLY = Decimal("0.0001")


def windows_hold_what_counts(*, deep: bool) -> Iterable[Problem]:
    """I6: what is used of a window is what its jobs count in it: of this month and yesterday, or, deeply, of all time.

    Windows and jobs are read in one statement, which sees each promise in both or in neither.
    """
    windows, jobs = BudgetWindow.objects.order_by(), Spend.objects.filter(promised_at__isnull=False)
    if not deep:
        since = window_at(Period.MONTH, clock.now() - timedelta(days=1)).starts_at
        # Whatever counts in a window was promised after its start.
        windows, jobs = windows.filter(starts_at__gte=since), jobs.filter(promised_at__gte=since)
    no_places = Value(None, output_field=JSONField())
    rows = jobs.values_list("pk", "counted", "counted_in").union(windows.values_list("pk", "used", no_places), all=True)
    used: dict[int, Decimal] = {}
    counted: dict[int, Decimal] = defaultdict(Decimal)
    for pk, amount, places in rows.iterator(chunk_size=AT_ONCE):
        if places is None:
            used[pk] = amount
        else:
            for place in places:
                counted[place] += amount
    wrong = [pk for pk, amount in used.items() if abs(amount - counted[pk]) >= EXACTLY]
    for one in BudgetWindow.objects.filter(pk__in=wrong):
        name = f"budget window {one.scope} {one.period} {one.starts_at:%Y-%m-%d %H:%M}"
        yield Problem(
            "I6", name, f"holds {format_plain(used[one.pk])} where its jobs count {format_plain(counted[one.pk])}"
        )


def jobs_count_what_they_cost(*, deep: bool) -> Iterable[Problem]:
    """I6: a job counts its estimate while it is promised, its cost once that is known, and nothing before.

    What was sent before there were budget windows counts nowhere.
    """
    cost = Case(
        When(state=State.ESTIMATED, then=Value(ZERO)),
        When(state=State.PROMISED, then=F("estimated")),
        default=F("actual"),
        output_field=DecimalField(max_digits=12, decimal_places=4),
    )
    windows = BudgetWindow.objects.filter(scope=ALL, period=Period.MONTH).order_by("starts_at")
    due = Q(promised_at__gte=Subquery(windows.values("starts_at")[:1])) | ~Q(counted=ZERO)
    nowhere = Q(counted_in=[]) & ~Q(counted=ZERO)
    jobs = Spend.objects.filter(due).annotate(cost=cost).filter(~Q(counted=F("cost")) | nowhere)
    for job_id, state, counted, places, expected in jobs.values_list(
        "job_id", "state", "counted", "counted_in", "cost"
    ):
        text = f"{state}, counts {format_plain(counted)} in {len(places)} budget windows where it costs {format_plain(expected)}"
        yield Problem("I6", f"job:{job_id}", text)

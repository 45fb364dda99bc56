"""Reads everything that the dashboard shows.

Counts come from totals, which are stored sums. In tables that grow, only open or newest rows are read, to stay fast.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count, DecimalField, Min, Sum, TextField, Value
from django.db.models.functions import Cast
from django.urls import reverse
from django.utils.functional import Promise

from billing.alerts import services as alerts
from billing.budgets import usage as budget_usage
from billing.guard import wait_reasons
from billing.models import Alert, BooksRun, ProviderAccount
from billing.provider import accounts as provider_accounts
from billing.reports import balance_curve, breakdowns, cost_totals, forecasts
from billing.reports.balance_curve import BalanceCurve
from billing.reports.breakdowns import UserRow
from billing.reports.cost_totals import CostTotals
from billing.reports.date_ranges import RangeQuery
from veoapp.operator_pages.dashboard import permissions
from veoapp.operator_pages.dashboard.headline import StatusFacts
from videos.models import JobRequest, VideoTask
from videos.presentation.tiles import STATES
from videos.worker import supervisor

Status = VideoTask.Status

ALERTS_SHOWN = 6
# A worker counts as running if it ran a canary job (see `videos.worker.supervisor`) within this time.
WORKER_SIGN_MAX_AGE = timedelta(seconds=supervisor.CANARY_TIMEOUT_S)


@dataclass(frozen=True)
class QueueRow:
    """The videos with one status: their number, age of the oldest, link, and how many wait for which reason."""

    status: str
    label: str | Promise
    tone: str
    count: int
    oldest_s: float | None
    url: str
    wait_reasons: list[tuple[str | Promise, int]]


@dataclass(frozen=True)
class LiveStatus:
    """The videos in progress, whether a worker runs, the last check of the books, and whether any video exists.

    `reserved` is the estimated cost, in provider credits, of videos in progress that the balance does not include yet.
    """

    queue: list[QueueRow]
    reserved: Decimal
    has_worker: bool
    books: BooksRun | None
    has_videos: bool

    @property
    def waiting(self) -> int:
        return sum(row.count for row in self.queue if row.status == Status.QUEUED)


@dataclass(frozen=True, kw_only=True)
class DashboardData:
    """Everything that the page shows. `tables` names the tables that the user may see; other tables are not read.

    `available` is the provider balance minus costs that it does not include yet.
    """

    at: datetime
    range_query: RangeQuery
    tables: frozenset[str]
    account: ProviderAccount | None
    totals: CostTotals
    curve: BalanceCurve
    live: LiveStatus
    status: StatusFacts
    alerts: list[Alert]
    users: list[UserRow]
    available: Decimal | None


def read_dashboard(
    range_query: RangeQuery, *, at: datetime, tables: frozenset[str] = permissions.ALL_TABLES
) -> DashboardData:
    """Run all queries of the page. The date range affects the totals and tables, not the current status."""
    account = find_current_account()
    totals = cost_totals.read_totals(range_query.range, at=at)
    curve = read_balance_curve(account, range_query, at=at) if "balance" in tables else BalanceCurve()
    pace = forecasts.measure_pace(totals.recent_hours, at=at)
    live = read_live_status(at, account)
    available = provider_accounts.get_available_balance(account, committed=live.reserved) if account else None
    usable_balance = None if available is None else available - settings.CRITICAL_BALANCE_THRESHOLD
    # One alert more than the page shows is read, to know whether to link to more.
    open_alerts = list_open_alerts(ALERTS_SHOWN + 1, at=at) if "alerts" in tables else []
    return DashboardData(
        at=at,
        range_query=range_query,
        tables=tables,
        account=account,
        totals=totals,
        curve=curve,
        live=live,
        status=StatusFacts(
            at=at,
            account=account,
            has_worker=live.has_worker,
            waiting=live.waiting,
            budgets=budget_usage.list_states(at),
            alerts=open_alerts,
            pace=pace,
            usable_balance=usable_balance,
            balance_ends_at=None if usable_balance is None else forecasts.estimate_end(usable_balance, pace, at=at),
        ),
        alerts=open_alerts,
        users=breakdowns.read_user_rows(range_query.range) if "users" in tables else [],
        available=available,
    )


def find_current_account() -> ProviderAccount | None:
    """Return the provider account that new videos are sent with, or None if there is no provider key."""
    try:
        return provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return None


def read_balance_curve(account: ProviderAccount | None, range_query: RangeQuery, *, at: datetime) -> BalanceCurve:
    if account is None:
        return BalanceCurve()
    date_range = range_query.range
    until = balance_curve.curve_end(date_range.until, at)
    return balance_curve.read_curve(account, since=date_range.since, until=until)


def list_open_alerts(limit: int, *, at: datetime) -> list[Alert]:
    """List the newest alerts that are neither acknowledged, snoozed nor resolved."""
    return list(Alert.objects.filter(alerts.waiting_condition(at)).order_by("-last_at")[:limit])


def read_live_status(at: datetime, account: ProviderAccount | None = None) -> LiveStatus:
    """Read the status in one query, a union that uses the index of unfinished videos. `reserved` is that of `account`.

    The query returns one row for each status and reason to wait, however many videos there are.
    """
    text = TextField()
    live = VideoTask.objects.filter(status__in=VideoTask.LIVE).order_by().values("status", "wait_code")
    # Decimal, because in the union the reserved amounts are in the same column as the counts.
    count = Count("pk", output_field=DecimalField(max_digits=14, decimal_places=4))
    rows = live.annotate(n=count, oldest=Min("created_at")).values_list("status", "wait_code", "n", "oldest")
    worker = JobRequest.objects.filter(name="canary", started_at__gt=at - WORKER_SIGN_MAX_AGE).order_by()
    # A subquery with a limit lets the index find the one row.
    books = BooksRun.objects.filter(pk__in=BooksRun.objects.order_by("-at").values("pk")[:1]).order_by()
    video = VideoTask.objects.filter(pk__in=VideoTask.objects.order_by("pk").values("pk")[:1]).order_by()
    union = rows.union(
        worker.values_list(Value("worker", text), Value("", text), Value(1), "started_at"),
        books.values_list(Value("books", text), Cast("first_problems", text), "problems", "at"),
        books.values_list(Value("books_counts", text), Cast("counts", text), "problems", "at"),
        video.values_list(Value("video", text), Value("", text), Value(1), "created_at"),
        *(
            jobs.values("account")
            .annotate(n=Sum("amount"), oldest=Min("created_at"))
            .values_list(Value("reserved", text), Value("", text), "n", "oldest")
            for jobs in (provider_accounts.committed_jobs(account) if account else ())
        ),
        all=True,
    )
    rows_by_name: dict[str, list[tuple[str, int, datetime]]] = {}
    reserved = Decimal(0)
    for name, code, n, moment in union:
        if name == "reserved":
            reserved += n
        else:
            rows_by_name.setdefault(name, []).append((code, int(n), moment))
    return LiveStatus(
        queue=[_build_queue_row(status, rows_by_name.get(status, ()), at) for status in VideoTask.LIVE],
        reserved=reserved,
        has_worker="worker" in rows_by_name,
        books=_build_books_run(*rows_by_name["books"][0], rows_by_name["books_counts"][0][0])
        if "books" in rows_by_name
        else None,
        has_videos="video" in rows_by_name,
    )


def _build_books_run(first_problems: str, problems: int, at: datetime, counts: str) -> BooksRun:
    """Build the newest check of the books from the columns that the page shows."""
    return BooksRun(
        at=at, took_s=0, problems=problems, first_problems=json.loads(first_problems), counts=json.loads(counts)
    )


def _build_queue_row(status: str, rows: Iterable[tuple[str, int, datetime]], at: datetime) -> QueueRow:
    rows = list(rows)
    oldest = min((moment for _code, _n, moment in rows), default=None)
    reasons = wait_reasons.OPERATOR_TEXTS if status == Status.QUEUED else {}
    counted_reasons = [(reasons[code], n) for code, n, _moment in rows if code in reasons]
    return QueueRow(
        status=status,
        label=STATES[status].label,
        tone=STATES[status].tone,
        count=sum(n for _code, n, _moment in rows),
        oldest_s=(at - oldest).total_seconds() if oldest else None,
        url=f"{reverse('admin:videos_videotask_changelist')}?{urlencode({'status__exact': status})}",
        wait_reasons=sorted(counted_reasons, key=lambda pair: -pair[1]),
    )

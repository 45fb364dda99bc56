"""All that the page reads: counts from totals; of the tables that grow, only what is unfinished or newest."""

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
from billing.reports import balance, figures, forecasts, readings
from billing.reports.balance import Curve
from billing.reports.figures import UserRow
from billing.reports.ranges import Asked
from billing.reports.readings import Reading
from veoapp.operator_pages.dashboard import rights
from veoapp.operator_pages.dashboard.verdict import House
from videos.models import JobRequest, VideoTask
from videos.presentation.tiles import STATES
from videos.worker import supervisor

Status = VideoTask.Status

ALERTS_SHOWN = 6
CANARY_FRESH_FOR = timedelta(seconds=supervisor.CANARY_LOST_AFTER_S)


@dataclass(frozen=True)
class LiveRow:
    """How many videos are in one state, since when the oldest, where they are listed, and what they wait for."""

    status: str
    word: str | Promise
    tone: str
    count: int
    oldest_s: float | None
    url: str
    waits: list[tuple[str | Promise, int]]


@dataclass(frozen=True)
class Now:
    """What is under way, whether a worker lives, how the books stood when last looked at, and if there ever was a video.

    `committed`: what the balance does not show yet of what is under way, in provider credits.
    """

    live: list[LiveRow]
    committed: Decimal
    works: bool
    books: BooksRun | None
    has_videos: bool

    @property
    def waiting(self) -> int:
        return sum(row.count for row in self.live if row.status == Status.QUEUED)


@dataclass(frozen=True, kw_only=True)
class Board:
    """Everything that the page shows. `tables`: those that the person before it may see; the others were not read."""

    at: datetime
    asked: Asked
    tables: frozenset[str]
    account: ProviderAccount | None
    reading: Reading
    curve: Curve
    now: Now
    house: House
    alerts: list[Alert]
    users: list[UserRow]
    available: Decimal | None


def read(asked: Asked, *, at: datetime, tables: frozenset[str] = rights.ALL) -> Board:
    """All queries of the page are here. How things stand now is read as of now, whatever range is looked at."""
    account = current_account()
    wanted = asked.range
    reading = readings.read(wanted, at=at)
    curve = curve_of(account, asked, at=at) if "balance" in tables else Curve()
    pace = forecasts.pace(reading.hours, at=at)
    now = under_way(at, account)
    available = provider_accounts.get_available_balance(account, less=now.committed) if account else None
    left = None if available is None else available - settings.CRITICAL_BALANCE_THRESHOLD
    unseen = open_alerts(ALERTS_SHOWN + 1, at=at) if "alerts" in tables else []
    return Board(
        at=at,
        asked=asked,
        tables=tables,
        account=account,
        reading=reading,
        curve=curve,
        now=now,
        house=House(
            at=at,
            account=account,
            works=now.works,
            waiting=now.waiting,
            states=budget_usage.list_states(at),
            alerts=unseen,
            pace=pace,
            left=left,
            balance_ends_at=forecasts.ends_at(left, pace, at=at) if left is not None else None,
        ),
        alerts=unseen,
        users=figures.user_rows(wanted) if "users" in tables else [],
        available=available,
    )


def current_account() -> ProviderAccount | None:
    """The account that new work goes to; None without any key."""
    try:
        return provider_accounts.get_current_account()
    except provider_accounts.NoProviderKey:
        return None


def curve_of(account: ProviderAccount | None, asked: Asked, *, at: datetime) -> Curve:
    if account is None:
        return Curve()
    return balance.curve(account, since=asked.range.since, until=balance.ending(asked.range.until, at))


def open_alerts(most: int, *, at: datetime) -> list[Alert]:
    """The newest that nobody has seen or put aside and that are not over."""
    return list(Alert.objects.filter(alerts.waiting_condition(at)).order_by("-last_at")[:most])


def under_way(at: datetime, account: ProviderAccount | None = None) -> Now:
    """One query, of as many rows as there are states and reasons to wait; by an index of what is unfinished.

    What is committed is that of `account`.
    """
    words = TextField()
    live = VideoTask.objects.filter(status__in=VideoTask.LIVE).order_by().values("status", "wait_code")
    # Amounts stand in the same column as counts.
    number = Count("pk", output_field=DecimalField(max_digits=14, decimal_places=4))
    rows = live.annotate(n=number, oldest=Min("created_at")).values_list("status", "wait_code", "n", "oldest")
    canary = JobRequest.objects.filter(name="canary", started_at__gt=at - CANARY_FRESH_FOR).order_by()
    # Of each the one that an index finds first.
    books = BooksRun.objects.filter(pk__in=BooksRun.objects.order_by("-at").values("pk")[:1]).order_by()
    video = VideoTask.objects.filter(pk__in=VideoTask.objects.order_by("pk").values("pk")[:1]).order_by()
    found = rows.union(
        canary.values_list(Value("canary", words), Value("", words), Value(1), "started_at"),
        books.values_list(Value("books", words), Cast("first_problems", words), "problems", "at"),
        books.values_list(Value("books_counts", words), Cast("counts", words), "problems", "at"),
        video.values_list(Value("video", words), Value("", words), Value(1), "created_at"),
        *(
            jobs.values("account")
            .annotate(n=Sum("amount"), oldest=Min("created_at"))
            .values_list(Value("committed", words), Value("", words), "n", "oldest")
            for jobs in (provider_accounts.committed_jobs(account) if account else ())
        ),
        all=True,
    )
    counts: dict[str, list[tuple[str, int, datetime]]] = {}
    committed = Decimal(0)
    for name, code, n, moment in found:
        if name == "committed":
            committed += n
        else:
            counts.setdefault(name, []).append((code, int(n), moment))
    return Now(
        live=[_live(status, counts.get(status, ()), at) for status in VideoTask.LIVE],
        committed=committed,
        works="canary" in counts,
        books=_books(*counts["books"][0], counts["books_counts"][0][0]) if "books" in counts else None,
        has_videos="video" in counts,
    )


def _books(found: str, problems: int, looked_at: datetime, counts: str) -> BooksRun:
    """The newest look at the books, as far as the page shows it."""
    return BooksRun(
        at=looked_at, took_s=0, problems=problems, first_problems=json.loads(found), counts=json.loads(counts)
    )


def _live(status: str, rows: Iterable[tuple[str, int, datetime]], at: datetime) -> LiveRow:
    rows = list(rows)
    oldest = min((moment for _code, _n, moment in rows), default=None)
    reasons = wait_reasons.OPERATOR_TEXTS if status == Status.QUEUED else {}
    waits = [(reasons[code], n) for code, n, _moment in rows if code in reasons]
    return LiveRow(
        status=status,
        word=STATES[status].word,
        tone=STATES[status].tone,
        count=sum(n for _code, n, _moment in rows),
        oldest_s=(at - oldest).total_seconds() if oldest else None,
        url=f"{reverse('admin:videos_videotask_changelist')}?{urlencode({'status__exact': status})}",
        waits=sorted(waits, key=lambda pair: -pair[1]),
    )

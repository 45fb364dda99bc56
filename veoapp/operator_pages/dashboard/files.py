"""The page's tables as files: `/admin/dashboard/export/<table>.<csv|json>`, for the same range as the page."""

from collections.abc import Callable
from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from accounts.seams import clock
from billing.budgets import usage as budget_usage
from billing.common.csv_export import Cell
from billing.common.periods import site_zone
from billing.models import Measure
from billing.reports import export, figures, ranges, readings, tables
from billing.reports.ranges import Asked
from billing.reports.tables import Table
from veoapp.operator_pages.dashboard import now, rights

# So many open alerts fit into a file.
MOST_ALERTS = 10_000

Made = Callable[[Asked, datetime], Table]


def _limits(asked: Asked, at: datetime) -> Table:
    zone = site_zone()
    rows: list[tuple[Cell, ...]] = [
        (
            one.scope,
            str(one.period),
            one.window.starts_at.astimezone(zone),
            one.window.ends_at.astimezone(zone),
            one.used,
            one.limit,
            one.soft_share,
            one.source,
        )
        for one in budget_usage.list_states(at)
    ]
    return Table("limits", ("scope", "per", "from", "until", "used", "limit", "soft_share", "source"), rows)


def _queue(asked: Asked, at: datetime) -> Table:
    """What is on the way now; beside what waits to be sent, how long those ordered in the range waited for it."""
    waits = figures.times(readings.read(asked.range, at=at).labelled(Measure.WAIT))
    none: tuple[Cell, ...] = (None, None)
    rows = [
        (
            row.status,
            row.count,
            _whole(row.oldest_s),
            *((_whole(waits.p50_s), _whole(waits.p95_s)) if row.status == now.Status.QUEUED else none),
        )
        for row in now.under_way(at).live
    ]
    return Table("queue", ("status", "videos", "oldest_s", "wait_p50_s", "wait_p95_s"), rows)


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


TABLES: dict[str, Made] = {
    "timeline": lambda asked, at: tables.timeline(asked.range, readings.read(asked.range, at=at)),
    "models": lambda asked, at: tables.models(readings.read(asked.range, at=at)),
    "users": lambda asked, at: tables.users(asked.range),
    "balance": lambda asked, at: tables.balance(now.curve_of(now.current_account(), asked, at=at)),
    "limits": _limits,
    "failures": lambda asked, at: tables.failures(readings.read(asked.range, at=at)),
    "callbacks": lambda asked, at: tables.verdicts(readings.read(asked.range, at=at)),
    "queue": _queue,
    "alerts": lambda asked, at: tables.alerts(now.open_alerts(MOST_ALERTS, at=at)),
}


def answer(request: HttpRequest, table: str, suffix: str) -> HttpResponseBase:
    """The table as a download; 400 with a sentence for dates that are none, 403 for whom its table is not shown.

    That an operator asks is decided before.
    """
    if table not in TABLES or suffix not in export.FORMATS:
        raise Http404
    if table not in rights.tables_of(request.user):
        raise PermissionDenied
    at = clock.now()
    asked = ranges.asked(request.GET, at=at)
    if asked.problems:
        sentences = "\n".join(asked.problems.values())
        return HttpResponse(f"{sentences}\n", status=400, content_type="text/plain; charset=utf-8")
    content_type, write = export.FORMATS[suffix]
    with timezone.override(site_zone()):
        made = TABLES[table](asked, at)
    response = StreamingHttpResponse(write(made, asked.range.days), content_type=content_type)
    name = export.file_name(made, asked.range.days, suffix)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response

"""Serves the dashboard's tables as files, for a date range: `/admin/dashboard/export/<table>.<csv|json>`."""

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
from billing.reports import breakdowns, cost_totals, date_ranges, table_files, tables
from billing.reports.cost_totals import CostTotals
from billing.reports.date_ranges import RangeQuery
from billing.reports.tables import Table
from veoapp.operator_pages.dashboard import permissions, snapshot

MAX_ALERTS = 10_000

TableBuilder = Callable[[RangeQuery, datetime], Table]


def _read_totals(query: RangeQuery, at: datetime) -> CostTotals:
    return cost_totals.read_totals(query.range, at=at)


def _build_balance(query: RangeQuery, at: datetime) -> Table:
    account = snapshot.find_current_account()
    return tables.build_balance(snapshot.read_balance_curve(account, query, at=at))


def _build_limits(query: RangeQuery, at: datetime) -> Table:
    zone = site_zone()
    rows: list[tuple[Cell, ...]] = [
        (
            budget.scope,
            str(budget.period),
            budget.window.starts_at.astimezone(zone),
            budget.window.ends_at.astimezone(zone),
            budget.used,
            budget.limit,
            budget.soft_share,
            budget.source,
        )
        for budget in budget_usage.list_states(at)
    ]
    return Table("limits", ("scope", "per", "from", "until", "used", "limit", "soft_share", "source"), rows)


def _build_queue(query: RangeQuery, at: datetime) -> Table:
    """Count the videos in progress by status. Only the row of waiting videos has the waiting times of the range."""
    waits = breakdowns.compute_percentiles(_read_totals(query, at).count_labels(Measure.WAIT))
    wait_cells = (_round_seconds(waits.p50_s), _round_seconds(waits.p95_s))
    rows: list[tuple[Cell, ...]] = [
        (
            row.status,
            row.count,
            _round_seconds(row.oldest_s),
            *(wait_cells if row.status == snapshot.Status.QUEUED else (None, None)),
        )
        for row in snapshot.read_live_status(at).queue
    ]
    return Table("queue", ("status", "videos", "oldest_s", "wait_p50_s", "wait_p95_s"), rows)


def _round_seconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


TABLE_BUILDERS: dict[str, TableBuilder] = {
    "timeline": lambda query, at: tables.build_timeline(query.range, _read_totals(query, at)),
    "models": lambda query, at: tables.build_models(_read_totals(query, at)),
    "users": lambda query, at: tables.build_users(query.range),
    "balance": _build_balance,
    "limits": _build_limits,
    "failures": lambda query, at: tables.build_failures(_read_totals(query, at)),
    "callbacks": lambda query, at: tables.build_callbacks(_read_totals(query, at)),
    "queue": _build_queue,
    "alerts": lambda query, at: tables.build_alerts(snapshot.list_open_alerts(MAX_ALERTS, at=at)),
}


def export_table(request: HttpRequest, table_name: str, suffix: str) -> HttpResponseBase:
    """Return the table as a download.

    Invalid dates are answered with status 400 and the errors, a table that the user may not see with 403. The admin
    site has already refused everyone who is not an operator.
    """
    if table_name not in TABLE_BUILDERS or suffix not in table_files.FORMATS:
        raise Http404
    if table_name not in permissions.visible_tables(request.user):
        raise PermissionDenied
    at = clock.now()
    query = date_ranges.parse_range(request.GET, at=at)
    if query.errors:
        errors = "\n".join(query.errors.values())
        return HttpResponse(f"{errors}\n", status=400, content_type="text/plain; charset=utf-8")
    content_type, write_table = table_files.FORMATS[suffix]
    with timezone.override(site_zone()):
        table = TABLE_BUILDERS[table_name](query, at)
    response = StreamingHttpResponse(write_table(table, query.range.days), content_type=content_type)
    name = table_files.file_name(table, query.range.days, suffix)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response

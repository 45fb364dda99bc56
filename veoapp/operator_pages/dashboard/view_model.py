"""Builds the context of the dashboard's template: figures, charts and rows."""

from typing import Any

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.common.formatting import format_amount
from billing.common.periods import site_zone
from billing.models import Measure, Period
from billing.reports import breakdowns, charts, forecasts
from billing.reports.balance_curve import Point
from billing.reports.date_ranges import DATES, RANGE_NAMES
from veoapp.operator_pages.dashboard import headline, permissions, rows
from veoapp.operator_pages.dashboard.snapshot import ALERTS_SHOWN, DashboardData
from videos.models import VideoTask
from videos.ordering import catalogue

Status = VideoTask.Status

FAILURES_SHOWN = 8

TIMELINE_TITLES: dict[Period, Promise] = {
    Period.HOUR: gettext_lazy("Estimate and actual by hour"),
    Period.DAY: gettext_lazy("Estimate and actual by day"),
    Period.MONTH: gettext_lazy("Estimate and actual by month"),
}
EXPORT_TITLES: dict[str, Promise] = {
    "timeline": gettext_lazy("Estimate and actual"),
    "models": gettext_lazy("By model"),
    "users": gettext_lazy("By user"),
    "balance": gettext_lazy("Provider balance"),
    "limits": gettext_lazy("Budgets"),
    "failures": gettext_lazy("Failure reasons"),
    "callbacks": gettext_lazy("How results arrive"),
    "queue": gettext_lazy("In progress"),
    "alerts": gettext_lazy("Alerts"),
}


def build_context(data: DashboardData) -> dict[str, Any]:
    """Return the context of the template."""
    date_range, totals, query = data.range_query.range, data.totals, data.range_query
    all_sums = totals.all
    low, critical = settings.LOW_BALANCE_THRESHOLD, settings.CRITICAL_BALANCE_THRESHOLD
    chart_options: dict[str, Any] = {
        "since": date_range.since,
        "until": date_range.until,
        "low": low,
        "critical": critical,
        "forecast": _forecast_points(data),
    }
    widths = (charts.WIDE, charts.NARROW)
    bar_charts = [charts.build_bar_chart(date_range.windows, totals.by_window, width=width) for width in widths]
    has_no_orders = not all_sums[Measure.ORDERED]
    return {
        "title": _("Cost"),
        "dashboard": data,
        "range": date_range,
        "ranges": [(key, name, key == date_range.key and not query.errors) for key, name in RANGE_NAMES.items()],
        "date_fields": _build_date_fields(data),
        "is_custom_range": date_range.key == DATES or bool(query.errors),
        "example_date": date_range.days[1].isoformat(),
        "tables": data.tables,
        "may_see_costs": data.tables >= permissions.COST_TABLES,
        "exports": [(name, title) for name, title in EXPORT_TITLES.items() if name in data.tables],
        "zone": str(site_zone()),
        "headline": headline.choose_headline(data.status),
        "all": all_sums,  # the sums of the whole date range
        "videos": int(all_sums[Measure.ORDERED]),
        "margin": breakdowns.compute_margin_share(all_sums),
        "audit": rows.build_audit_figures(data),
        "has_no_orders": has_no_orders,
        "is_new_site": has_no_orders and not data.live.has_videos,
        "times": breakdowns.compute_percentiles(totals.count_labels(Measure.GENERATION)),
        "waits": breakdowns.compute_percentiles(totals.count_labels(Measure.WAIT)),
        "timeline_title": TIMELINE_TITLES[date_range.bar_period],
        "bar_charts": bar_charts,
        "timeline": [
            (bar, rows.list_videos_url(window.starts_at, window.ends_at))
            for bar, window in zip(bar_charts[0].bars, date_range.windows, strict=True)
        ],
        "balances": [_format_point(point) for point in reversed(data.curve.points)],
        "top_ups": [_format_point(point) for point in data.curve.top_ups],
        "balance_charts": [charts.build_balance_chart(data.curve, width=width, **chart_options) for width in widths],
        "sparkline": charts.build_balance_chart(data.curve, width=charts.NARROW, height=72, **chart_options),
        "budgets": rows.build_budget_rows(data.status),
        "alerts": [rows.build_alert_row(alert) for alert in data.alerts[:ALERTS_SHOWN]],
        "has_more_alerts": len(data.alerts) > ALERTS_SHOWN,
        "models": [
            (catalogue.model_title(row.model), row, rows.range_videos_url(date_range, model=row.model))
            for row in breakdowns.build_model_rows(totals)
        ],
        "users": [(row, rows.range_videos_url(date_range, person=row.user_id)) for row in data.users],
        "failures": rows.build_failure_rows(data)[:FAILURES_SHOWN],
        "result_sources": rows.build_result_rows(data),
        "videos_url": rows.range_videos_url(date_range),
        "failed_url": rows.range_videos_url(date_range, status__exact=Status.FAILED),
        "low": low,
        "critical": critical,
    }


def _forecast_points(data: DashboardData) -> list[Point]:
    """Return the forecast of the balance after its last reading; empty unless the date range ends in the future."""
    until = data.range_query.range.until
    if not data.curve.points or until <= data.at:
        return []
    last = data.curve.points[-1].balance
    points = forecasts.forecast_points(last, data.status.pace, at=data.at, until=until)
    return [Point(at, balance) for at, balance in points]


def _format_point(point: Point) -> tuple[str, str]:
    """Format a row of the balance table, in the site's time zone."""
    return f"{point.at.astimezone(site_zone()):%Y-%m-%d %H:%M}", format_amount(point.balance)


def _build_date_fields(data: DashboardData) -> list[tuple[str, str, str, str]]:
    """Return name, label, value and error of the two date fields.

    The value is what the user typed. If nothing was typed, it is the first or last day of the range.
    """
    first, last = data.range_query.range.days
    typed, errors = data.range_query.typed, data.range_query.errors
    defaults = {"from": first.isoformat(), "to": last.isoformat()}
    return [
        (name, str(label), typed[name] or ("" if errors else defaults[name]), errors.get(name, ""))
        for name, label in (("from", _("From")), ("to", _("To, included")))
    ]

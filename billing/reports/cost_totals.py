"""Reads all counts of a date range in one statement.

The statement reads the totals and the *marks*, which are increments not yet added to the totals (see
`billing.models.tallies`), so that sums are exact. A *window* is one hour, day or month on the site's calendar. A
*label* divides a count further, for example failed jobs by their failure code.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from django.db.models import DateTimeField, F, QuerySet, Sum, TextField, Value

from billing.common.periods import window_at, windows_between
from billing.costs import rollups
from billing.models import Measure, Period, TallyMark, Total
from billing.reports.date_ranges import DateRange

# The pace of spending is measured over this time.
PACE_PERIOD = timedelta(hours=24)
_MEASURES = frozenset(Measure.values)
_COST_MEASURES = (Measure.ESTIMATED, Measure.SETTLED_ESTIMATE, Measure.ACTUAL)
# The kinds of rows of the statement: totals and marks for a bar of the chart or for one of the last hours, and both for
# a label, which need no distinction.
_BAR, _BAR_MARK, _LABEL, _HOUR, _HOUR_MARK = "bar", "bar mark", "label", "hour", "hour mark"


class Sums(dict[str, Decimal]):
    """Amounts by measure (zero unless counted), and the figures derived from them. Costs are provider credits.

    A job is *settled* once its cost is known, and *open* until then.
    """

    def __missing__(self, measure: str) -> Decimal:
        # A template looks up properties as keys first, so names that are not measures must fail.
        if measure not in _MEASURES:
            raise KeyError(measure)
        return Decimal(0)

    def add(self, other: "Sums") -> None:
        for measure, amount in other.items():
            self[measure] += amount

    @property
    def open(self) -> Decimal:
        """Estimates of jobs that are not settled yet."""
        return self[Measure.ESTIMATED] - self[Measure.SETTLED_ESTIMATE]

    @property
    def cost(self) -> Decimal:
        """The actual cost of settled jobs plus the estimates of open ones."""
        return self[Measure.ACTUAL] + self.open

    @property
    def variance(self) -> Decimal:
        """Actual cost minus estimate of settled jobs."""
        return self[Measure.ACTUAL] - self[Measure.SETTLED_ESTIMATE]

    @property
    def variance_share(self) -> float | None:
        estimate = self[Measure.SETTLED_ESTIMATE]
        return float(self.variance / estimate) if estimate else None

    @property
    def absolute_variance_share(self) -> float | None:
        return None if self.variance_share is None else abs(self.variance_share)

    @property
    def ended(self) -> Decimal:
        """The number of jobs that are ready or failed; cancelled ones are neither success nor failure."""
        return self[Measure.READY] + self[Measure.FAILED]

    @property
    def success_share(self) -> float | None:
        return float(self[Measure.READY] / self.ended) if self.ended else None


@dataclass
class CostTotals:
    """The sums of a range by window and by model, counts of labels by (model, measure), and costs of the last hours."""

    by_window: dict[datetime, Sums] = field(default_factory=lambda: defaultdict(Sums))
    by_model: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))
    labels: dict[tuple[str, str], dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    recent_hours: dict[datetime, Sums] = field(default_factory=lambda: defaultdict(Sums))

    @property
    def all(self) -> Sums:
        total = Sums()
        for sums in self.by_model.values():
            total.add(sums)
        return total

    def count_labels(self, measure: Measure, model: str | None = None) -> dict[str, int]:
        """Return counts by label, of one model or of all."""
        counts: dict[str, int] = defaultdict(int)
        for (label_model, label_measure), labels in self.labels.items():
            if label_measure == measure and model in (None, label_model):
                for label, count in labels.items():
                    counts[label] += count
        return dict(counts)


def read_totals(date_range: DateRange, *, at: datetime) -> CostTotals:
    """Read everything in one query whose rows are windows, models and labels, however many jobs there were."""
    totals = CostTotals()
    # A total stores the start of its window. A mark stores only its hour, so its window is computed, once per hour.
    window_start = cache(lambda period, moment: window_at(period, moment).starts_at)
    for part, moment, model, measure, label, amount in _query_rows(date_range, at):
        if part == _LABEL:
            labels = totals.labels[model, measure]
            labels[label] = labels.get(label, 0) + int(amount)
        elif part in (_HOUR, _HOUR_MARK):
            hour = moment if part == _HOUR else window_start(Period.HOUR, moment)
            totals.recent_hours[hour][measure] += amount
        else:
            start = moment if part == _BAR else window_start(date_range.bar_period, moment)
            totals.by_window[start][measure] += amount
            totals.by_model[model][measure] += amount
    return totals


def _query_rows(date_range: DateRange, at: datetime) -> QuerySet[Any, Any]:
    """Query rows of (part, moment, model, measure, label, amount).

    Windows are listed one by one so that the index finds the totals of all users among the many totals of single users.
    """
    pace_hours = list(windows_between(Period.HOUR, at - PACE_PERIOD, at))
    all_users = Total.objects.filter(user_id=0)
    bars = all_users.filter(period=date_range.bar_period, starts_at__in=[bar.starts_at for bar in date_range.windows])
    sum_starts = [
        window.starts_at for window in windows_between(date_range.sum_period, date_range.since, date_range.until)
    ]
    labels = all_users.filter(period=date_range.sum_period, starts_at__in=sum_starts, measure__in=rollups.LABELLED)
    hours = all_users.filter(period=Period.HOUR, starts_at__in=[hour.starts_at for hour in pace_hours])
    marks = TallyMark.objects.filter(hour__gte=date_range.since, hour__lt=date_range.until)
    pace_marks = TallyMark.objects.filter(hour__gte=pace_hours[0].starts_at, hour__lt=pace_hours[-1].ends_at)
    by_window, by_label, by_hour = ("model", "measure"), ("model", "measure", "label"), ("measure",)
    parts = (
        _sum_by(_BAR, bars.exclude(measure__in=rollups.LABELLED), by_window, moment="starts_at"),
        _sum_by(_BAR_MARK, marks.exclude(measure__in=rollups.LABELLED), by_window, moment="hour"),
        _sum_by(_LABEL, labels, by_label),
        _sum_by(_LABEL, marks.filter(measure__in=rollups.LABELLED), by_label),
        _sum_by(_HOUR, hours.filter(measure__in=_COST_MEASURES), by_hour, moment="starts_at"),
        _sum_by(_HOUR_MARK, pace_marks.filter(measure__in=_COST_MEASURES), by_hour, moment="hour"),
    )
    rows: QuerySet[Any, Any] = parts[0].union(*parts[1:], all=True)
    return rows


def _sum_by(part: str, rows: QuerySet[Any], columns: tuple[str, ...], *, moment: str = "") -> QuerySet[Any, Any]:
    """Sum `rows` by `columns` and by the column named `moment`, if any; the other columns of the result are empty."""
    sources = {name: F(name) if name in columns else Value("", TextField()) for name in ("model", "measure", "label")}
    at = F(moment) if moment else Value(None, DateTimeField())
    summed: QuerySet[Any, Any] = (
        rows.order_by()
        .annotate(**{f"row_{name}": source for name, source in sources.items()}, part=Value(part), moment=at)
        .values("part", "moment", "row_model", "row_measure", "row_label")
        .annotate(total=Sum("amount"))
        .values_list("part", "moment", "row_model", "row_measure", "row_label", "total")
    )
    return summed

"""All counts that the page needs, in one statement: totals and the marks not folded yet, so that sums are exact."""

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
from billing.reports.ranges import Range

# The pace of spending is read from so many hours.
PACE_OVER = timedelta(hours=24)
_MEASURES = frozenset(Measure.values)
_OF_COST = (Measure.ESTIMATED, Measure.SETTLED_ESTIMATE, Measure.ACTUAL)
# What a row of the statement is.
_BAR, _BAR_MARK, _LABEL, _HOUR, _HOUR_MARK = "bar", "bar mark", "label", "hour", "hour mark"


class Sums(dict[str, Decimal]):
    """Amounts by measure (zero unless counted), and what follows from them. Money is provider credits."""

    def __missing__(self, measure: str) -> Decimal:
        # Only measures: a template looks for properties here, too.
        if measure not in _MEASURES:
            raise KeyError(measure)
        return Decimal(0)

    def add(self, other: "Sums") -> None:
        for measure, amount in other.items():
            self[measure] += amount

    @property
    def open(self) -> Decimal:
        """Estimated for jobs whose cost is not known yet."""
        return self[Measure.ESTIMATED] - self[Measure.SETTLED_ESTIMATE]

    @property
    def cost(self) -> Decimal:
        """What it costs as far as we know: actual, and the estimate of what is open."""
        return self[Measure.ACTUAL] + self.open

    @property
    def variance(self) -> Decimal:
        """Actual less estimate, of the jobs whose cost is known."""
        return self[Measure.ACTUAL] - self[Measure.SETTLED_ESTIMATE]

    @property
    def variance_share(self) -> float | None:
        estimate = self[Measure.SETTLED_ESTIMATE]
        return float(self.variance / estimate) if estimate else None

    @property
    def variance_size(self) -> float | None:
        """The same without its sign."""
        return None if self.variance_share is None else abs(self.variance_share)

    @property
    def ended(self) -> Decimal:
        """Jobs that are ready or failed; who cancels has no verdict."""
        return self[Measure.READY] + self[Measure.FAILED]

    @property
    def success_share(self) -> float | None:
        return float(self[Measure.READY] / self.ended) if self.ended else None


@dataclass
class Reading:
    """Sums by window and by model; counts by label; and the cost of the last hours, whatever the range."""

    windows: dict[datetime, Sums] = field(default_factory=lambda: defaultdict(Sums))
    models: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))
    labels: dict[tuple[str, str], dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    hours: dict[datetime, Sums] = field(default_factory=lambda: defaultdict(Sums))

    @property
    def all(self) -> Sums:
        everything = Sums()
        for sums in self.models.values():
            everything.add(sums)
        return everything

    def labelled(self, measure: Measure, model: str | None = None) -> dict[str, int]:
        """How often by label, of one model or of all."""
        counts: dict[str, int] = defaultdict(int)
        for (one, counted), labels in self.labels.items():
            if counted == measure and model in (None, one):
                for label, count in labels.items():
                    counts[label] += count
        return dict(counts)


def read(wanted: Range, *, at: datetime) -> Reading:
    """One query, of as many rows as there are windows, models and labels, however many jobs there were."""
    reading = Reading()
    # Totals begin with their window. Marks are of hours, and many are of the same one.
    window_of = cache(lambda period, moment: window_at(period, moment).starts_at)
    for part, moment, model, measure, label, amount in _rows(wanted, at):
        if part == _LABEL:
            labels = reading.labels[model, measure]
            labels[label] = labels.get(label, 0) + int(amount)
        elif part in (_HOUR, _HOUR_MARK):
            hour = moment if part == _HOUR else window_of(Period.HOUR, moment)
            reading.hours[hour][measure] += amount
        else:
            start = moment if part == _BAR else window_of(wanted.bars, moment)
            reading.windows[start][measure] += amount
            reading.models[model][measure] += amount
    return reading


def _rows(wanted: Range, at: datetime) -> QuerySet[Any, Any]:
    """Rows of (part, moment, model, measure, label, amount). Windows are named one by one: so the index finds all's rows
    among the many of users."""
    pace = list(windows_between(Period.HOUR, at - PACE_OVER, at))
    everybody = Total.objects.filter(user_id=0)
    bars = everybody.filter(period=wanted.bars, starts_at__in=[one.starts_at for one in wanted.windows])
    sums = [one.starts_at for one in windows_between(wanted.sums, wanted.since, wanted.until)]
    labels = everybody.filter(period=wanted.sums, starts_at__in=sums, measure__in=rollups.LABELLED)
    hours = everybody.filter(period=Period.HOUR, starts_at__in=[one.starts_at for one in pace])
    marks = TallyMark.objects.filter(hour__gte=wanted.since, hour__lt=wanted.until)
    late_marks = TallyMark.objects.filter(hour__gte=pace[0].starts_at, hour__lt=pace[-1].ends_at)
    by_window, by_label, by_hour = ("model", "measure"), ("model", "measure", "label"), ("measure",)
    parts = (
        _summed(_BAR, bars.exclude(measure__in=rollups.LABELLED), by_window, at="starts_at"),
        _summed(_BAR_MARK, marks.exclude(measure__in=rollups.LABELLED), by_window, at="hour"),
        _summed(_LABEL, labels, by_label),
        _summed(_LABEL, marks.filter(measure__in=rollups.LABELLED), by_label),
        _summed(_HOUR, hours.filter(measure__in=_OF_COST), by_hour, at="starts_at"),
        _summed(_HOUR_MARK, late_marks.filter(measure__in=_OF_COST), by_hour, at="hour"),
    )
    rows: QuerySet[Any, Any] = parts[0].union(*parts[1:], all=True)
    return rows


def _summed(part: str, rows: QuerySet[Any], by: tuple[str, ...], *, at: str = "") -> QuerySet[Any, Any]:
    """Sums by these columns, and by the moment in `at`, if any; the columns that are left out are empty."""
    known = {name: F(name) if name in by else Value("", TextField()) for name in ("model", "measure", "label")}
    moment = F(at) if at else Value(None, DateTimeField())
    listed: QuerySet[Any, Any] = (
        rows.order_by()
        .annotate(**{f"its_{name}": source for name, source in known.items()}, part=Value(part), moment=moment)
        .values("part", "moment", "its_model", "its_measure", "its_label")
        .annotate(total=Sum("amount"))
        .values_list("part", "moment", "its_model", "its_measure", "its_label", "total")
    )
    return listed

"""Reads the costs of this hour, day and month so far, and of the hours that a forecast needs, in one statement."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import F, Q, Value

from billing.common.periods import window_at, windows_between
from billing.models import Measure, Period, TallyMark, Total
from billing.reports.cost_totals import PACE_PERIOD, Sums

MEASURES = (Measure.ORDERED, Measure.ESTIMATED, Measure.SETTLED_ESTIMATE, Measure.ACTUAL)
_MARK = "mark"


@dataclass(frozen=True)
class CurrentCosts:
    """The sums of this hour, day and month so far. `hours` holds this hour and the last 24, by their start times."""

    hour: Sums = field(default_factory=Sums)
    day: Sums = field(default_factory=Sums)
    month: Sums = field(default_factory=Sums)
    hours: dict[datetime, Sums] = field(default_factory=lambda: defaultdict(Sums))


def read(at: datetime) -> CurrentCosts:
    """Read totals, and the marks not yet added to them (see `billing.models.tallies`), in one query: sums are exact."""
    hour_starts = [hour.starts_at for hour in windows_between(Period.HOUR, at - PACE_PERIOD, at)]
    this_hour, day, month = (window_at(period, at) for period in Period)
    current_windows = (
        Q(period=Period.HOUR, starts_at__in=[*hour_starts, this_hour.starts_at])
        | Q(period=Period.DAY, starts_at=day.starts_at)
        | Q(period=Period.MONTH, starts_at=month.starts_at)
    )
    totals = Total.objects.filter(current_windows, user_id=0, measure__in=MEASURES)
    marks = TallyMark.objects.filter(hour__gte=min(hour_starts[0], month.starts_at), measure__in=MEASURES)
    rows = totals.values_list("period", "starts_at", "measure", "amount").union(
        marks.annotate(period=Value(_MARK), starts_at=F("hour")).values_list(
            "period", "starts_at", "measure", "amount"
        ),
        all=True,
    )
    costs = CurrentCosts()
    for period, starts_at, measure, amount in rows:
        if period in (_MARK, Period.HOUR):
            costs.hours[starts_at][measure] += amount
        # A mark counts in every window that contains its hour, a total only in its own.
        for current, sums in ((this_hour, costs.hour), (day, costs.day), (month, costs.month)):
            if period in (_MARK, current.period) and current.starts_at <= starts_at < current.ends_at:
                sums[measure] += amount
    return costs

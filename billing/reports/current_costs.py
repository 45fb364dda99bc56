"""What this hour, this day and this month cost so far, and the hours that a forecast reads: one statement, from counts."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import F, Q, Value

from billing.common.periods import window_at, windows_between
from billing.models import Measure, Period, TallyMark, Total
from billing.reports.readings import PACE_OVER, Sums

MEASURES = (Measure.ORDERED, Measure.ESTIMATED, Measure.SETTLED_ESTIMATE, Measure.ACTUAL)
_MARK = "mark"


@dataclass(frozen=True)
class CostNow:
    """Sums in provider credits and jobs. `hours`: the last 24 and this one, by their starts."""

    hour: Sums = field(default_factory=Sums)
    day: Sums = field(default_factory=Sums)
    month: Sums = field(default_factory=Sums)
    hours: dict[datetime, Sums] = field(default_factory=lambda: defaultdict(Sums))


def read(at: datetime) -> CostNow:
    """One query: totals and the marks that are not folded yet, so that sums are exact."""
    hours = [one.starts_at for one in windows_between(Period.HOUR, at - PACE_OVER, at)]
    this_hour, day, month = (window_at(period, at) for period in Period)
    wanted = (
        Q(period=Period.HOUR, starts_at__in=[*hours, this_hour.starts_at])
        | Q(period=Period.DAY, starts_at=day.starts_at)
        | Q(period=Period.MONTH, starts_at=month.starts_at)
    )
    totals = Total.objects.filter(wanted, user_id=0, measure__in=MEASURES)
    marks = TallyMark.objects.filter(hour__gte=min(hours[0], month.starts_at), measure__in=MEASURES)
    found = totals.values_list("period", "starts_at", "measure", "amount").union(
        marks.annotate(period=Value(_MARK), starts_at=F("hour")).values_list(
            "period", "starts_at", "measure", "amount"
        ),
        all=True,
    )
    now = CostNow()
    for period, starts_at, measure, amount in found:
        if period in (_MARK, Period.HOUR):
            now.hours[starts_at][measure] += amount
        # A mark counts in every window that its hour lies in, a total in its own.
        for one, sums in ((this_hour, now.hour), (day, now.day), (month, now.month)):
            if period in (_MARK, one.period) and one.starts_at <= starts_at < one.ends_at:
                sums[measure] += amount
    return now

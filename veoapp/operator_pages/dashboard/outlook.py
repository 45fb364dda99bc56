"""The forecast sentences of the headline: how long the budgets and the provider balance last at the current pace."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.budgets.limits import ALL
from billing.budgets.state import State
from billing.common.formatting import join_sentences
from billing.models import Period
from billing.reports import forecasts
from billing.reports.forecasts import Pace

BUDGET_END_TEXTS: dict[Period, Promise] = {
    Period.HOUR: gettext_lazy("At this pace, this hour's budget lasts until about %(time)s."),
    Period.DAY: gettext_lazy("At this pace, today's budget lasts until about %(time)s."),
    Period.MONTH: gettext_lazy("At this pace, this month's budget lasts until about %(time)s."),
}


def describe_outlook(
    budgets: Sequence[State],
    *,
    pace: Pace,
    usable_balance: Decimal | None,
    balance_ends_at: datetime | None,
    at: datetime,
) -> str:
    """Describe how long the provider balance lasts, and the budget that runs out first."""
    if pace.now <= 0 and pace.day <= 0:
        return _("Nothing was ordered in the last 24 hours.")
    sentences = []
    ends = sorted(
        (
            (end, budget)
            for budget in budgets
            if budget.scope == ALL and (end := estimate_budget_end(budget, pace, at=at))
        ),
        key=lambda pair: pair[0],
    )
    if ends:
        end, budget = ends[0]
        sentences.append(BUDGET_END_TEXTS[budget.period] % {"time": forecasts.format_forecast(end, at=at)})
    elif any(budget.limit is not None for budget in budgets):
        sentences.append(_("At this pace, all budgets last."))
    if balance_ends_at is not None:
        time = forecasts.format_forecast(balance_ends_at, at=at)
        sentences.append(_("The provider balance lasts until about %(time)s.") % {"time": time})
    elif usable_balance is not None:
        sentences.append(_("The provider balance lasts for weeks."))
    return join_sentences(sentences)


def estimate_budget_end(budget: State, pace: Pace, *, at: datetime) -> datetime | None:
    """Return when a budget runs out at this pace, or None if it has no limit or its period ends earlier."""
    if budget.usable is None:
        return None
    end = forecasts.estimate_end(budget.usable, pace, at=at)
    return end if end is not None and end < budget.window.ends_at else None

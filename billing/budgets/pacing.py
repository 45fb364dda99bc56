"""Slows new jobs down before a budget stops them.

At the start of a window (the hour, day or month of a budget) jobs may use the limit up to the warning threshold
(`soft_share`, usually 80 %). The remainder is released evenly until the end of the window. Early heavy use is thus slowed
down instead of stopping all work until the next window. Only budgets for all videos are paced: users may spend their own
limit at any time.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil

from django.conf import settings

from billing.budgets.limits import ALL
from billing.budgets.state import State

ONE = Decimal(1)
# If the remainder is enough for fewer jobs than this, it is not paced.
MIN_PACED_JOBS = 2


def paced_allowance(state: State, at: datetime) -> Decimal | None:
    """How much of this window's limit may be used by now, in provider credits; None if the window is not paced."""
    if not settings.BUDGET_PACING or state.scope != ALL or state.limit is None:
        return None
    elapsed = Decimal((at - state.window.starts_at).total_seconds()) / Decimal(state.window.length_s)
    return state.limit * (state.soft_share + (ONE - state.soft_share) * min(max(elapsed, Decimal(0)), ONE))


def earliest_start(
    state: State, provider_credits: Decimal, at: datetime, *, ahead: Decimal = Decimal(0)
) -> datetime | None:
    """When a job of this cost may start, after waiting jobs worth `ahead` provider credits. None if pacing does not delay it.

    Pacing delays neither a job that may start now nor a job that exceeds the limit itself.
    """
    allowance = paced_allowance(state, at)
    needed = state.used + ahead + provider_credits
    if allowance is None or state.limit is None or needed <= allowance or needed > state.limit:
        return None
    if state.limit * (ONE - state.soft_share) < MIN_PACED_JOBS * provider_credits:
        return None
    # No division by zero: with a `soft_share` of 1 the allowance is the whole limit, and it returned above.
    elapsed = (needed / state.limit - state.soft_share) / (ONE - state.soft_share)
    seconds = ceil(elapsed * Decimal(state.window.length_s))
    return min(state.window.starts_at + timedelta(seconds=seconds), state.window.ends_at)


def slowed_until(states: Iterable[State], provider_credits: Decimal, at: datetime) -> datetime | None:
    """When pacing allows this cost in every window; None if no window delays it."""
    start_times = [start for state in states if (start := earliest_start(state, provider_credits, at)) is not None]
    return max(start_times, default=None)


def is_slowed(state: State, at: datetime) -> bool:
    """Whether pacing delays the next job of this window, because everything released so far is used."""
    allowance = paced_allowance(state, at)
    return allowance is not None and state.used >= allowance

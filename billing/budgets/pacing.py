"""Slows new jobs down before a budget stops them: past the warning share, the rest of a limit is released over time.

At the start of a window jobs may use the warning share; the rest is released evenly until its end. An early rush is thus
slowed down instead of stopping all work until the next window. Only budgets for all videos are paced: users may spend
their own limit at any time.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil

from django.conf import settings

from billing.budgets.limits import ALL
from billing.budgets.state import State

ONE = Decimal(1)
# A rest for fewer jobs than this is not paced: the first jobs get it.
MIN_PACED_JOBS = 2


def paced_allowance(state: State, at: datetime) -> Decimal | None:
    """How much of this window may be used by now, in provider credits; None when it is not paced."""
    if not settings.BUDGET_PACING or state.scope != ALL or state.limit is None:
        return None
    elapsed = Decimal((at - state.window.starts_at).total_seconds()) / Decimal(state.window.length_s)
    return state.limit * (state.soft_share + (ONE - state.soft_share) * min(max(elapsed, Decimal(0)), ONE))


def earliest_start(
    state: State, provider_credits: Decimal, at: datetime, *, ahead: Decimal = Decimal(0)
) -> datetime | None:
    """When a job of this cost may start, after those `ahead`; None: now, or never because of the limit itself."""
    allowance = paced_allowance(state, at)
    needed = state.used + ahead + provider_credits
    if allowance is None or state.limit is None or needed <= allowance or needed > state.limit:
        return None
    if state.limit * (ONE - state.soft_share) < MIN_PACED_JOBS * provider_credits:
        return None
    # The warning share is below one here, or the whole limit would have been allowed.
    elapsed = (needed / state.limit - state.soft_share) / (ONE - state.soft_share)
    seconds = ceil(elapsed * Decimal(state.window.length_s))
    return min(state.window.starts_at + timedelta(seconds=seconds), state.window.ends_at)


def slowed_until(states: Iterable[State], provider_credits: Decimal, at: datetime) -> datetime | None:
    """When every window allows this cost; None when none of them delays it."""
    times = [until for state in states if (until := earliest_start(state, provider_credits, at)) is not None]
    return max(times, default=None)


def is_slowed(state: State, at: datetime) -> bool:
    """Whether pacing delays the next job of this window: everything released so far is used."""
    allowance = paced_allowance(state, at)
    return allowance is not None and state.used >= allowance

"""Slows new jobs down before a budget stops them: past its warning share, what is left is given out over the whole window.

At the start of a window jobs may use the share that warns; from there to its end the rest is freed evenly. So an early
rush is slowed, never stopped till midnight, and whoever waits is served in turn: each gets a share of what is left. Only
budgets of everything together are paced: a person's own limit is that person's to use up.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil

from django.conf import settings

from billing.budgets.limits import ALL
from billing.budgets.usage import State

ONE = Decimal(1)
# A rest that holds fewer jobs than this cannot be given out in parts: it goes to whoever comes first.
FEWEST_JOBS = 2


def allowed(state: State, at: datetime) -> Decimal | None:
    """How much may be used of this window by now, in provider credits; None when nothing paces it."""
    if not settings.BUDGET_PACING or state.scope != ALL or state.limit is None:
        return None
    elapsed = Decimal((at - state.window.starts_at).total_seconds()) / Decimal(state.window.length_s)
    return state.limit * (state.soft_share + (ONE - state.soft_share) * min(max(elapsed, Decimal(0)), ONE))


def free_at(state: State, provider_credits: Decimal, at: datetime, *, ahead: Decimal = Decimal(0)) -> datetime | None:
    """When a job of so much may go, after those `ahead`; None when at once. What no limit allows is not asked here."""
    now = allowed(state, at)
    needed = state.used + ahead + provider_credits
    if now is None or state.limit is None or needed <= now or needed > state.limit:
        return None
    if state.limit * (ONE - state.soft_share) < FEWEST_JOBS * provider_credits:
        return None
    # A share below one, or all would have been allowed from the start.
    elapsed = (needed / state.limit - state.soft_share) / (ONE - state.soft_share)
    seconds = ceil(elapsed * Decimal(state.window.length_s))
    return min(state.window.starts_at + timedelta(seconds=seconds), state.window.ends_at)


def slowed_until(states: Iterable[State], provider_credits: Decimal, at: datetime) -> datetime | None:
    """When every window has so much free again; None when nothing is slowed."""
    times = [until for state in states if (until := free_at(state, provider_credits, at)) is not None]
    return max(times, default=None)


def is_slow(state: State, at: datetime) -> bool:
    """Whether jobs of this window are slowed now: all that is free by now is used."""
    now = allowed(state, at)
    return now is not None and state.used >= now

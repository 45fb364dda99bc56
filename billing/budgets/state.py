"""The state of a budget window: what is used, what is left (the room), and whether that is too little for new jobs."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from billing.budgets.limits import ALL
from billing.common.periods import Window
from billing.models import Budget, Period

ZERO = Decimal(0)


@dataclass(frozen=True)
class State:
    """One window (an hour, a day or a month) of one scope (`all`, `user:5`, `model:veo3_fast`), in provider credits.

    `soft_share` is the fraction of the limit at which operators are warned. `cheapest_new` is the cost of the cheapest new
    video in this scope, `cheapest_waiting` that of the cheapest waiting job that fits into the limit; only
    `usage.list_states` sets both.
    """

    scope: str
    window: Window
    used: Decimal
    limit: Decimal | None
    soft_share: Decimal
    source: str  # where the limit is set: "admin", "environment", or empty when there is no limit
    budget_key: str = ""
    cheapest_new: Decimal | None = None
    cheapest_waiting: Decimal | None = None

    @property
    def period(self) -> Period:
        return self.window.period

    @property
    def subject(self) -> Budget.Subject:
        return Budget.Subject(self.scope.partition(":")[0])

    @property
    def room(self) -> Decimal | None:
        """The unused part of the limit, never below zero; None if there is no limit."""
        return None if self.limit is None else max(self.limit - self.used, ZERO)

    @property
    def is_soft(self) -> bool:
        """Whether the warning threshold is reached."""
        return self.limit is not None and self.used >= self.limit * self.soft_share

    @property
    def cheapest_job(self) -> Decimal:
        """The cost of the cheapest waiting job, or of the cheapest new video if no job waits."""
        return self.cheapest_waiting or self.cheapest_new or ZERO

    @property
    def is_spent(self) -> bool:
        """Whether the window stops all work, because its room is too small for the cheapest job."""
        return self.room is not None and (self.room == ZERO or self.room < self.cheapest_job)

    @property
    def is_used_up(self) -> bool:
        """Whether the room is too small even for the cheapest new video. Waiting jobs are not considered here."""
        return self.room is not None and (self.room == ZERO or self.room < (self.cheapest_new or ZERO))

    @property
    def usable(self) -> Decimal | None:
        """The part of the room that a whole number of the cheapest jobs would use; None if there is no limit."""
        if self.room is None or not self.cheapest_job:
            return self.room
        return self.room // self.cheapest_job * self.cheapest_job

    def has_room_for(self, provider_credits: Decimal) -> bool:
        """Whether a job of this cost fits."""
        return self.room is None or provider_credits <= self.room


def find_blocking_state(states: Iterable[State]) -> State | None:
    """The window of a budget for all videos that stops work, or None. Of several, returns the one that ends last."""
    spent = [state for state in states if state.scope == ALL and state.is_spent]
    return max(spent, key=lambda state: state.window.ends_at, default=None)

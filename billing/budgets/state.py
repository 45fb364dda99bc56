"""The state of a budget window: what is used, what is left, and whether that stops new jobs."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from billing.budgets.limits import ALL
from billing.common.periods import Window
from billing.models import Budget, Period

ZERO = Decimal(0)


@dataclass(frozen=True)
class State:
    """One window of one scope (`all`, `user:5`, `model:veo3_fast`): usage and limit, in provider credits.

    `cheapest_new` is the cost of the cheapest new video in this scope, `cheapest_waiting` that of the cheapest waiting
    job that fits into the limit; both are set by `usage.list_states` alone.
    """

    scope: str
    window: Window
    used: Decimal
    limit: Decimal | None
    soft_share: Decimal
    source: str  # of the limit: "admin", "environment" or empty
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
        """What is left, never below zero; None without a limit."""
        return None if self.limit is None else max(self.limit - self.used, ZERO)

    @property
    def is_soft(self) -> bool:
        """Whether the warning share is reached."""
        return self.limit is not None and self.used >= self.limit * self.soft_share

    @property
    def cheapest_job(self) -> Decimal:
        """The cost of the cheapest job that waits, or of the cheapest new video when none waits."""
        return self.cheapest_waiting or self.cheapest_new or ZERO

    @property
    def is_spent(self) -> bool:
        """Whether it stops work: the room is too small for the cheapest job."""
        return self.room is not None and (self.room == ZERO or self.room < self.cheapest_job)

    @property
    def is_used_up(self) -> bool:
        """Whether it stops every new video, not only the jobs that wait."""
        return self.room is not None and (self.room == ZERO or self.room < (self.cheapest_new or ZERO))

    @property
    def usable(self) -> Decimal | None:
        """The part of the room that whole jobs of the cheapest kind can use. None without a limit."""
        if self.room is None or not self.cheapest_job:
            return self.room
        return self.room // self.cheapest_job * self.cheapest_job

    def has_room_for(self, provider_credits: Decimal) -> bool:
        return self.room is None or provider_credits <= self.room


def find_blocking_state(states: Iterable[State]) -> State | None:
    """The budget for all videos that stops work; of several the one that ends last."""
    spent = [state for state in states if state.scope == ALL and state.is_spent]
    return max(spent, key=lambda state: state.window.ends_at, default=None)

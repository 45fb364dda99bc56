"""How one budget's window stands: what is used, what is left, and whether that stops work."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from billing.budgets.limits import ALL
from billing.common.periods import Window
from billing.models import Budget, Period

ZERO = Decimal(0)


@dataclass(frozen=True)
class State:
    """One window of one scope (`all`, `user:5`, `model:veo3_fast`): what is used of what may be, in provider credits.

    `cheapest` is what the cheapest new video costs that counts here, `waiting` what the cheapest job costs that waits
    and fits into the limit; both only where `states` has looked for them.
    """

    scope: str
    window: Window
    used: Decimal
    limit: Decimal | None
    soft_share: Decimal
    source: str  # of the limit: "admin", "environment" or nothing
    budget_key: str = ""
    cheapest: Decimal | None = None
    waiting: Decimal | None = None

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
        """Whether the share that warns is reached."""
        return self.limit is not None and self.used >= self.limit * self.soft_share

    @property
    def least(self) -> Decimal:
        """What must have room for work to go on: the cheapest job that waits, or could be ordered when none waits."""
        return self.waiting or self.cheapest or ZERO

    @property
    def is_spent(self) -> bool:
        """Whether it stops work: what is left, if anything, is too little for the least."""
        return self.room is not None and (self.room == ZERO or self.room < self.least)

    @property
    def is_used_up(self) -> bool:
        """Whether it stops work of every price, not only what happens to wait."""
        return self.room is not None and (self.room == ZERO or self.room < (self.cheapest or ZERO))

    @property
    def usable(self) -> Decimal | None:
        """What can be spent before it stops: of what is left, as much as whole jobs of the least take. None without a limit."""
        if self.room is None or not self.least:
            return self.room
        return self.room // self.least * self.least

    def has_room_for(self, provider_credits: Decimal) -> bool:
        return self.room is None or provider_credits <= self.room


def stopping(found: Iterable[State]) -> State | None:
    """The budget of everything among these that stops work; of several the one that ends last."""
    spent = [state for state in found if state.scope == ALL and state.is_spent]
    return max(spent, key=lambda state: state.window.ends_at, default=None)

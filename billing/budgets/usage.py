"""The only writer of budget windows: what was promised and spent in each hour, day and month, in provider credits.

A promise is counted when money leaves, in every window it falls into: everything's, its user's and its model's, whether
they have a limit or not, so that a limit set later knows what is used. Either all of them have room, or nothing is
counted and nothing is sent. When the cost is known, the difference goes into the same windows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce
from operator import or_

from django.db import transaction
from django.db.models import F, Min, Q, QuerySet, Sum, TextField, Value
from django.db.models.functions import Greatest, Round

from accounts.models import User
from accounts.seams import clock
from billing.budgets.limits import ALL, Limit, among, limits_of, model_scope, said, user_scope
from billing.budgets.state import ZERO as ZERO
from billing.budgets.state import State as State
from billing.common.periods import Window, window_at
from billing.models import Budget, BudgetWindow, Period, Spend
from billing.pricing import prices

Used = dict[tuple[str, str], Decimal]
Costs = list[tuple[str, Decimal]]  # by model

# Counts are read by tallies later on; windows are only needed while something may still be settled in them.
KEPT = {Period.HOUR: timedelta(days=31), Period.DAY: timedelta(days=400)}


@dataclass(frozen=True)
class Allowance:
    """What a user may still order: the window that decides, and what is ordered and not sent yet, in provider credits."""

    state: State
    waiting: Decimal

    @property
    def left(self) -> Decimal:
        return max((self.state.room or ZERO) - self.waiting, ZERO)


class BudgetSpent(Exception):
    """A promise was not counted, because of `state`, which has no room for it; of several the one that ends last."""

    def __init__(self, state: State) -> None:
        super().__init__(f"{state.scope} {state.period}")
        self.state = state


def scopes_of(*, user_id: int, model: str) -> tuple[str, ...]:
    """Where a job of this user on this model counts."""
    return ALL, user_scope(user_id), model_scope(model)


def states(at: datetime) -> list[State]:
    """How operators' budgets stand: everything's, and what else has a limit of its own: models, single users.

    Each knows what stops it. Ordered by scope, then hour, day, month. Two queries.
    """
    given = said(Budget.objects.exclude(subject=Budget.Subject.EACH_USER))
    named = (f"{Budget.Subject.USER}:", f"{Budget.Subject.MODEL}:")
    scopes = {ALL, *(key.rpartition(":")[0] for key in given if key.startswith(named))}
    limits = among(given, scopes)
    used, costs, waits = _read(scopes, at)
    found = [
        _state(
            scope,
            window_at(period, at),
            used.get((scope, period), ZERO),
            limits[scope, period],
            cheapest=_least(costs, scope),
            # Whose job waits is not read: of a single user's own window only the price list speaks.
            waiting=None
            if scope.startswith(f"{Budget.Subject.USER}:")
            else _least(waits, scope, most=limits[scope, period].amount),
        )
        for scope in sorted(scopes)
        for period in Period
    ]
    return [state for state in found if state.scope == ALL or state.limit is not None]


def states_of(scopes: Iterable[str], at: datetime) -> list[State]:
    """How the windows of these scopes stand, whether they are limited or not. Two queries."""
    return _states(limits_of(set(scopes)), at)


def _states(limits: dict[tuple[str, str], Limit], at: datetime) -> list[State]:
    scopes = sorted({scope for scope, _period in limits})
    rows = BudgetWindow.objects.filter(_now(at), scope__in=scopes)
    used = {(row.scope, row.period): row.used for row in rows}
    return [
        _state(scope, window_at(period, at), used.get((scope, period), ZERO), limits[scope, period])
        for scope in scopes
        for period in Period
    ]


def left_today(user: User, *, at: datetime | None = None) -> Allowance | None:
    """What a user may still order, by the window that leaves least; None when no limit of a user's holds."""
    found = states_of([user_scope(user.pk)], at or clock.database_now())
    limited = [state for state in found if state.room is not None]
    if not limited:
        return None
    ordered = Spend.objects.filter(state=Spend.State.ESTIMATED, user=user).aggregate(sum=Sum("estimated"))["sum"]
    # Of windows that leave the same, the one that ends last is the one to wait for.
    least = min(limited, key=lambda state: (state.room, -state.window.ends_at.timestamp()))
    return Allowance(least, ordered or ZERO)


def shortage(found: Iterable[State], provider_credits: Decimal) -> State | None:
    """The window among these that has no room for this; of several the one that ends last."""
    short = [state for state in found if not state.has_room_for(provider_credits)]
    return max(short, key=lambda state: state.window.ends_at, default=None)


def reserve(*, spend: Spend, at: datetime) -> None:
    """Count the estimate everywhere, or nowhere: BudgetSpent. In the transaction of the promise."""
    amount = spend.estimated
    scopes = scopes_of(user_id=spend.user_id, model=spend.model)
    limits = limits_of(scopes)
    with transaction.atomic():
        rows = _locked(BudgetWindow.objects.filter(pk__in=_ensured(scopes, at)))
        # The database decides by itself, in one statement: what has no room is not changed, and then nothing is.
        if BudgetWindow.objects.filter(_having_room(rows, limits, amount)).update(used=_used_and(amount)) < len(rows):
            short = shortage(
                [_state(row.scope, window_at(row.period, at), row.used, limits[row.scope, row.period]) for row in rows],
                amount,
            )
            assert short is not None, "what was not counted has no room"  # noqa: S101  an invariant that stays on in production
            raise BudgetSpent(short)
        Spend.objects.filter(pk=spend.pk).update(counted_in=[row.pk for row in rows], counted=amount)


def release(spend: Spend) -> None:
    """Nothing was sent: everything is given back. The caller has changed this row in the same transaction."""
    _recount(spend, ZERO)
    Spend.objects.filter(pk=spend.pk).update(counted_in=[])


def recount(spend: Spend) -> None:
    """The cost is known: the difference goes into the windows of the promise. In the transaction that wrote it.

    An actual above the estimate may carry a window past its limit: the credits are gone at the provider, and a window
    that hid them would let the next promises overshoot even more. No new promise fits until the window is over.
    """
    _recount(spend, spend.actual or ZERO)


def waiting(*, user_id: int, model: str) -> dict[str, Decimal]:
    """Estimates of jobs that are ordered and not sent, in provider credits, by the scopes of such a job."""
    named = scopes_of(user_id=user_id, model=model)
    conditions = (None, Q(user_id=user_id), Q(model=model))
    sums = {
        scope: Sum("estimated", filter=condition, default=ZERO)
        for scope, condition in zip(("everything", "user", "model"), conditions, strict=True)
    }
    found = Spend.objects.filter(state=Spend.State.ESTIMATED).aggregate(**sums)
    return dict(zip(named, (Decimal(found[name]) for name in sums), strict=True))


def too_big_for(state: State, *, above_limit: bool) -> QuerySet[Spend]:
    """The jobs of this scope that wait and do not fit: into the limit as a whole, or else into what is left of it."""
    name = state.scope.partition(":")[2]
    whose = {Budget.Subject.USER: {"user_id": name}, Budget.Subject.MODEL: {"model": name}}
    jobs = Spend.objects.filter(state=Spend.State.ESTIMATED, **whose.get(state.subject, {}))
    return (
        jobs.filter(estimated__gt=state.limit)
        if above_limit
        else jobs.filter(estimated__gt=state.room, estimated__lte=state.limit)
    )


def holds_everybody(state: State) -> bool:
    """Whether even the cheapest job that waits does not fit."""
    if state.scope != ALL:
        return False
    cheapest = Spend.objects.filter(state=Spend.State.ESTIMATED).aggregate(least=Min("estimated"))["least"]
    return cheapest is not None and not state.has_room_for(cheapest)


def forget_old(at: datetime) -> int:
    """Delete windows that are long over; returns how many."""
    return sum(BudgetWindow.objects.filter(period=one, ends_at__lt=at - kept).delete()[0] for one, kept in KEPT.items())


def _now(at: datetime) -> Q:
    """The windows that `at` falls into."""
    current = [window_at(period, at) for period in Period]
    return reduce(or_, (Q(period=one.period, starts_at=one.starts_at) for one in current))


def _state(
    scope: str,
    one: Window,
    used: Decimal,
    limit: Limit,
    *,
    cheapest: Decimal | None = None,
    waiting: Decimal | None = None,
) -> State:
    return State(scope, one, used, limit.amount, limit.soft_share, limit.source, limit.key, cheapest, waiting)


def _read(scopes: Iterable[str], at: datetime) -> tuple[Used, Costs, Costs]:
    """What is used by scope and period; of new videos and of jobs that wait, model and cost. One query."""
    words = TextField()
    windows = BudgetWindow.objects.filter(_now(at), scope__in=scopes).order_by()
    jobs = Spend.objects.filter(state=Spend.State.ESTIMATED).order_by().values("model", "estimated").distinct()
    found = windows.values_list(Value("used", words), "scope", "period", "used").union(
        prices.new_video_prices(at=at).values_list(Value("cost", words), "model", Value("", words), "provider_credits"),
        jobs.values_list(Value("wait", words), "model", Value("", words), "estimated"),
        all=True,
    )
    used: Used = {}
    costs: dict[str, Costs] = {"cost": [], "wait": []}
    for part, name, period, amount in found:
        if part == "used":
            used[name, period] = amount
        else:
            costs[part].append((name, amount))
    return used, costs["cost"], costs["wait"]


def _least(costs: Costs, scope: str, *, most: Decimal | None = None) -> Decimal | None:
    """The lowest of those that count in this scope and are not above `most`."""
    subject, _colon, name = scope.partition(":")
    fitting = [
        cost
        for model, cost in costs
        if (most is None or cost <= most) and (subject != Budget.Subject.MODEL or model == name)
    ]
    return min(fitting, default=None)


def _ensured(scopes: Sequence[str], at: datetime) -> list[int]:
    """The ids of the windows that these scopes count in now; those that are not there yet are made."""
    rows = _now(at) & Q(scope__in=scopes)
    found = list(BudgetWindow.objects.filter(rows).values_list("pk", flat=True))
    wanted = sorted((scope, window_at(period, at)) for scope in scopes for period in Period)
    if len(found) < len(wanted):
        # In one order for all: who inserts what another has inserted waits for that one to end.
        BudgetWindow.objects.bulk_create(
            (
                BudgetWindow(scope=scope, period=one.period, starts_at=one.starts_at, ends_at=one.ends_at)
                for scope, one in wanted
            ),
            ignore_conflicts=True,
        )
        found = list(BudgetWindow.objects.filter(rows).values_list("pk", flat=True))
    return found


def _locked(rows: QuerySet[BudgetWindow]) -> list[BudgetWindow]:
    """In one order for all, so that two who count at once wait for each other only in a line."""
    return list(rows.select_for_update().order_by("pk"))


def _having_room(rows: list[BudgetWindow], limits: dict[tuple[str, str], Limit], amount: Decimal) -> Q:
    def room(row: BudgetWindow) -> Q:
        limit = limits[row.scope, row.period].amount
        return Q(pk=row.pk) if limit is None else Q(pk=row.pk, used__lte=limit - amount)

    return reduce(or_, map(room, rows))


def _used_and(difference: Decimal) -> Round:
    """`used + difference`; rounded, for SQLite counts in floating point. Never below zero."""
    return Round(Greatest(F("used") + difference, Value(ZERO)), precision=4)


def _recount(spend: Spend, amount: Decimal) -> None:
    if spend.counted_in and amount != spend.counted:
        rows = _locked(BudgetWindow.objects.filter(pk__in=spend.counted_in))
        BudgetWindow.objects.filter(pk__in=[row.pk for row in rows]).update(used=_used_and(amount - spend.counted))
        Spend.objects.filter(pk=spend.pk).update(counted=amount)

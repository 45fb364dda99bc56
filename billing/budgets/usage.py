"""The only writer of budget windows: provider credits promised and spent in each hour, day and month.

A promise reserves the estimated cost of a job when it is sent. It is counted in all windows of the job: those of all
videos, of its user and of its model. Windows without a limit are counted too, so that a limit set later starts from the
actual usage. Either every window has room, or nothing is counted and nothing is sent. When the cost is known, the
difference to the estimate is counted in the same windows.
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
from billing.budgets.limits import ALL, Limit, effective_limits, limits_for, model_scope, resolve_limits, user_scope
from billing.budgets.state import ZERO, State
from billing.common.periods import Window, window_at
from billing.models import Budget, BudgetWindow, Period, Spend
from billing.pricing import prices

Used = dict[tuple[str, str], Decimal]
Costs = list[tuple[str, Decimal]]  # by model

# A window is kept while the cost of one of its jobs may still become known; months are always kept.
RETENTION = {Period.HOUR: timedelta(days=31), Period.DAY: timedelta(days=400)}


@dataclass(frozen=True)
class Allowance:
    """What a user may still order: the window with the least room, and the estimates of jobs not sent yet.

    Amounts are provider credits.
    """

    state: State
    unsent: Decimal

    @property
    def left(self) -> Decimal:
        return max((self.state.room or ZERO) - self.unsent, ZERO)


class BudgetSpent(Exception):
    """A promise was not counted, because `state` has no room. Of several such windows, it is the one that ends last."""

    def __init__(self, state: State) -> None:
        super().__init__(f"{state.scope} {state.period}")
        self.state = state


def job_scopes(*, user_id: int, model: str) -> tuple[str, ...]:
    """The scopes that count a job of this user on this model."""
    return ALL, user_scope(user_id), model_scope(model)


def list_states(at: datetime) -> list[State]:
    """The current windows of all videos, and those of models and users that have their own limit. Two queries.

    They include the costs of the cheapest jobs, and are ordered by scope, then hour, day, month.
    """
    set_limits = effective_limits(Budget.objects.exclude(subject=Budget.Subject.EACH_USER))
    prefixes = (f"{Budget.Subject.USER}:", f"{Budget.Subject.MODEL}:")
    scopes = {ALL, *(key.rpartition(":")[0] for key in set_limits if key.startswith(prefixes))}
    limits = resolve_limits(set_limits, scopes)
    used, costs, waiting = _read_usage_and_costs(scopes, at)
    states = [
        _build_state(
            scope,
            window_at(period, at),
            used.get((scope, period), ZERO),
            limits[scope, period],
            cheapest_new=_lowest_cost(costs, scope),
            # The query does not read who owns the waiting jobs, so a user's cheapest one stays unknown.
            cheapest_waiting=None
            if scope.startswith(f"{Budget.Subject.USER}:")
            else _lowest_cost(waiting, scope, maximum=limits[scope, period].amount),
        )
        for scope in sorted(scopes)
        for period in Period
    ]
    return [state for state in states if state.scope == ALL or state.limit is not None]


def states_for(scopes: Iterable[str], at: datetime) -> list[State]:
    """The current windows of these scopes, with or without a limit. Two queries."""
    return _read_states(limits_for(set(scopes)), at)


def _read_states(limits: dict[tuple[str, str], Limit], at: datetime) -> list[State]:
    scopes = sorted({scope for scope, _period in limits})
    rows = BudgetWindow.objects.filter(_current_windows(at), scope__in=scopes)
    used = {(row.scope, row.period): row.used for row in rows}
    return [
        _build_state(scope, window_at(period, at), used.get((scope, period), ZERO), limits[scope, period])
        for scope in scopes
        for period in Period
    ]


def user_allowance(user: User, *, at: datetime | None = None) -> Allowance | None:
    """What a user may still order; None if the user has no limit."""
    states = states_for([user_scope(user.pk)], at or clock.database_now())
    limited_states = [state for state in states if state.room is not None]
    if not limited_states:
        return None
    unsent = Spend.objects.filter(state=Spend.State.ESTIMATED, user=user).aggregate(sum=Sum("estimated"))["sum"]
    # Of windows with the same room, the user has to wait for the one that ends last.
    tightest = min(limited_states, key=lambda state: (state.room, -state.window.ends_at.timestamp()))
    return Allowance(tightest, unsent or ZERO)


def find_shortage(states: Iterable[State], provider_credits: Decimal) -> State | None:
    """The window that has no room for this cost, or None. Of several, the one that ends last is returned."""
    full_states = [state for state in states if not state.has_room_for(provider_credits)]
    return max(full_states, key=lambda state: state.window.ends_at, default=None)


def reserve(*, spend: Spend, at: datetime) -> None:
    """Count the estimate in all windows, or raise BudgetSpent and count nothing. `spend.promise` calls this."""
    amount = spend.estimated
    scopes = job_scopes(user_id=spend.user_id, model=spend.model)
    limits = limits_for(scopes)
    with transaction.atomic():
        rows = _lock_windows(BudgetWindow.objects.filter(pk__in=_ensure_windows(scopes, at)))
        # One conditional update decides: a window without room is not changed, and the exception undoes the others.
        if BudgetWindow.objects.filter(_with_room(rows, limits, amount)).update(used=_used_plus(amount)) < len(rows):
            shortage = find_shortage(
                [
                    _build_state(row.scope, window_at(row.period, at), row.used, limits[row.scope, row.period])
                    for row in rows
                ],
                amount,
            )
            assert shortage is not None, "a window that was not updated has no room"  # noqa: S101  an invariant that stays on in production
            raise BudgetSpent(shortage)
        Spend.objects.filter(pk=spend.pk).update(counted_in=[row.pk for row in rows], counted=amount)


def release(spend: Spend) -> None:
    """Subtract what was counted for a job that was not sent. The caller changes the job in the same transaction."""
    _change_counted(spend, ZERO)
    Spend.objects.filter(pk=spend.pk).update(counted_in=[])


def recount(spend: Spend) -> None:
    """Count the actual cost instead of the estimate, in the windows of the promise.

    The caller stores the cost in the same transaction. An actual cost above the estimate may push a window past its
    limit: the credits are spent at the provider, and hiding them would let the next promises exceed the limit even
    more. In that case no new promise fits until the window ends.
    """
    _change_counted(spend, spend.actual or ZERO)


def waiting_estimates(*, user_id: int, model: str) -> dict[str, Decimal]:
    """The estimates of jobs not sent yet, in provider credits, for each scope of a job of this user on this model."""
    scopes = job_scopes(user_id=user_id, model=model)
    conditions = (None, Q(user_id=user_id), Q(model=model))
    sums = {
        scope: Sum("estimated", filter=condition, default=ZERO)
        for scope, condition in zip(("everything", "user", "model"), conditions, strict=True)
    }
    totals = Spend.objects.filter(state=Spend.State.ESTIMATED).aggregate(**sums)
    return dict(zip(scopes, (Decimal(totals[name]) for name in sums), strict=True))


def jobs_without_room(state: State, *, above_limit: bool) -> QuerySet[Spend]:
    """Waiting jobs of this scope that exceed the whole limit (`above_limit`), or those that only exceed the room."""
    name = state.scope.partition(":")[2]
    scope_filters = {Budget.Subject.USER: {"user_id": name}, Budget.Subject.MODEL: {"model": name}}
    jobs = Spend.objects.filter(state=Spend.State.ESTIMATED, **scope_filters.get(state.subject, {}))
    return (
        jobs.filter(estimated__gt=state.limit)
        if above_limit
        else jobs.filter(estimated__gt=state.room, estimated__lte=state.limit)
    )


def blocks_every_job(state: State) -> bool:
    """Whether this is a window of all videos without room for the cheapest waiting job."""
    if state.scope != ALL:
        return False
    cheapest = Spend.objects.filter(state=Spend.State.ESTIMATED).aggregate(minimum=Min("estimated"))["minimum"]
    return cheapest is not None and not state.has_room_for(cheapest)


def delete_old_windows(at: datetime) -> int:
    """Delete windows past their retention; returns how many."""
    return sum(
        BudgetWindow.objects.filter(period=period, ends_at__lt=at - retention).delete()[0]
        for period, retention in RETENTION.items()
    )


def _current_windows(at: datetime) -> Q:
    """The condition for windows that contain `at`."""
    windows = [window_at(period, at) for period in Period]
    return reduce(or_, (Q(period=window.period, starts_at=window.starts_at) for window in windows))


def _build_state(
    scope: str,
    window: Window,
    used: Decimal,
    limit: Limit,
    *,
    cheapest_new: Decimal | None = None,
    cheapest_waiting: Decimal | None = None,
) -> State:
    return State(
        scope, window, used, limit.amount, limit.soft_share, limit.source, limit.key, cheapest_new, cheapest_waiting
    )


def _read_usage_and_costs(scopes: Iterable[str], at: datetime) -> tuple[Used, Costs, Costs]:
    """Usage by (scope, period), and model and cost of new videos and of waiting jobs. One query."""
    text = TextField()
    windows = BudgetWindow.objects.filter(_current_windows(at), scope__in=scopes).order_by()
    jobs = Spend.objects.filter(state=Spend.State.ESTIMATED).order_by().values("model", "estimated").distinct()
    rows = windows.values_list(Value("used", text), "scope", "period", "used").union(
        prices.new_video_prices(at=at).values_list(Value("cost", text), "model", Value("", text), "provider_credits"),
        jobs.values_list(Value("wait", text), "model", Value("", text), "estimated"),
        all=True,
    )
    used: Used = {}
    costs: dict[str, Costs] = {"cost": [], "wait": []}
    for source, name, period, amount in rows:
        if source == "used":
            used[name, period] = amount
        else:
            costs[source].append((name, amount))
    return used, costs["cost"], costs["wait"]


def _lowest_cost(costs: Costs, scope: str, *, maximum: Decimal | None = None) -> Decimal | None:
    """The lowest of the costs that belong to this scope and are not above `maximum`."""
    subject, _colon, name = scope.partition(":")
    costs_in_scope = [
        cost
        for model, cost in costs
        if (maximum is None or cost <= maximum) and (subject != Budget.Subject.MODEL or model == name)
    ]
    return min(costs_in_scope, default=None)


def _ensure_windows(scopes: Sequence[str], at: datetime) -> list[int]:
    """Create the current windows of these scopes that are missing; returns the ids of all."""
    rows = _current_windows(at) & Q(scope__in=scopes)
    ids = list(BudgetWindow.objects.filter(rows).values_list("pk", flat=True))
    needed = sorted((scope, window_at(period, at)) for scope in scopes for period in Period)
    if len(ids) < len(needed):
        # Sorted, so that concurrent inserts of the same windows wait for each other instead of deadlocking.
        BudgetWindow.objects.bulk_create(
            (
                BudgetWindow(scope=scope, period=window.period, starts_at=window.starts_at, ends_at=window.ends_at)
                for scope, window in needed
            ),
            ignore_conflicts=True,
        )
        ids = list(BudgetWindow.objects.filter(rows).values_list("pk", flat=True))
    return ids


def _lock_windows(rows: QuerySet[BudgetWindow]) -> list[BudgetWindow]:
    """Lock the rows, always in the same order, so that concurrent transactions cannot deadlock."""
    return list(rows.select_for_update().order_by("pk"))


def _with_room(rows: list[BudgetWindow], limits: dict[tuple[str, str], Limit], amount: Decimal) -> Q:
    """The condition for those of the rows that have room for this amount."""

    def has_room(row: BudgetWindow) -> Q:
        limit = limits[row.scope, row.period].amount
        return Q(pk=row.pk) if limit is None else Q(pk=row.pk, used__lte=limit - amount)

    return reduce(or_, map(has_room, rows))


def _used_plus(difference: Decimal) -> Round:
    """The SQL expression `used + difference`, never below zero; rounded because SQLite uses floating point."""
    return Round(Greatest(F("used") + difference, Value(ZERO)), precision=4)


def _change_counted(spend: Spend, amount: Decimal) -> None:
    """Replace the amount that is counted for a job, in the windows of its promise."""
    if spend.counted_in and amount != spend.counted:
        rows = _lock_windows(BudgetWindow.objects.filter(pk__in=spend.counted_in))
        BudgetWindow.objects.filter(pk__in=[row.pk for row in rows]).update(used=_used_plus(amount - spend.counted))
        Spend.objects.filter(pk=spend.pk).update(counted=amount)

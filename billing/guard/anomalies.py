"""The watch over spending: trips on an unusual hour, unusual failures, or one user's burst; says why; heals or waits.

It stops new work (everybody's by a pause, one user's by a hold) and never touches a task. What it saw when it tripped is
kept, so that a person who let it pass is not overruled by the same numbers.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from statistics import median

from django.conf import settings
from django.db import transaction
from django.db.models import Count, QuerySet

from accounts.models import User
from accounts.seams import clock
from billing.alerts import services as alerts
from billing.alerts.messages import Facts, format_english, format_in_each_language
from billing.common.formatting import format_plain
from billing.common.periods import site_zone, window_at
from billing.costs import rollups
from billing.costs.rollups import TotalRow
from billing.guard import user_holds
from billing.models import Measure, Period, ProviderAccount, Spend, UserHold, WatchTrip
from billing.provider import accounts as provider_accounts

Kind = WatchTrip.Kind

FAILURES_WITHIN = timedelta(hours=1)
FAILURES_LEAST = 20
# Only the newest count: a good morning must not hide that everything fails now.
FAILURES_LOOKED_AT = 40

BURST_WITHIN = timedelta(minutes=10)
BURST_FACTOR = 5
BURST_HISTORY = timedelta(days=14)
BURST_HISTORY_MOST = 5_000

# What a person let pass is known for a day: it takes twice as much to trip again.
KNOWN_FOR = timedelta(days=1)
GROWTH = 2

ALERTS = {
    Kind.SPEND: alerts.Kind.UNUSUAL_SPEND,
    Kind.FAILURES: alerts.Kind.FAILURE_RATE,
    Kind.BURST: alerts.Kind.USER_BURST,
}


@dataclass(frozen=True)
class Ended:
    """How the newest jobs ended (FAILURES_LOOKED_AT at most) for which the provider has to answer."""

    jobs: int
    failed: Mapping[str, int]  # by failure code

    @property
    def share(self) -> Decimal:
        return Decimal(sum(self.failed.values())) / max(self.jobs, 1)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something unusual: what was seen, what is usual, and the facts that the alert tells."""

    kind: WatchTrip.Kind
    seen: Decimal
    usual: Decimal
    facts: Facts
    user: User | None = None


def watch(*, account_id: int, ended: Callable[[datetime], Ended]) -> list[WatchTrip]:
    """Look once and stop what is unusual; returns what tripped. `ended` tells of the jobs that ended after a moment."""
    end_trips()
    at = clock.database_now()
    findings = [*_spend(at), *_failures(at, ended), *_bursts(at)]
    trips = [_trip(account_id, finding) for finding in findings]
    return [trip for trip in trips if trip is not None]


def end_trips() -> int:
    """Note which trips are over, healed or ended by a person, and end their alerts; returns how many."""
    at, count = clock.database_now(), 0
    for trip in WatchTrip.objects.filter(ended_at=None).select_related("account", "user"):
        has_healed = trip.until is not None and trip.until <= at
        if not has_healed and _still_stops(trip, at):
            continue
        ended_at = trip.until if has_healed else at
        # Compare-and-set: of two who look at once, one ends it.
        if WatchTrip.objects.filter(pk=trip.pk, ended_at=None).update(ended_at=ended_at, by_person=not has_healed):
            alerts.resolve_alerts(ALERTS[Kind(trip.kind)], cause=_cause(trip.account, trip.user))
            count += 1
    return count


def forget(user: User) -> None:
    """Let go of a leaving person. The numbers stay: alerts name nobody by their address."""
    user_holds.release(user_id=user.pk)


def _still_stops(trip: WatchTrip, at: datetime) -> bool:
    """Whether the pause or hold of this trip still stands as the watch set it."""
    if trip.user_id is not None:
        return user_holds.live().filter(user_id=trip.user_id, code=UserHold.Code.BURST).exists()
    account = trip.account
    return account.is_paused_at(at) and account.pause_code == ProviderAccount.Pause.UNUSUAL_SPEND


def _spend(at: datetime) -> Iterator[Finding]:
    """This hour's orders against the usual for such an hour."""
    hour = hour_at(at)
    bar = max(hour.bar, *(trip.seen * GROWTH for trip in _known(Kind.SPEND, at)), Decimal(0))
    if hour.ordered > bar:
        facts = {
            "say": ["young_hour" if hour.is_young else "usual_hour"],
            "ordered": format_plain(hour.ordered),
            "usual": format_plain(hour.usual),
            "bar": format_plain(bar),
        }
        yield Finding(kind=Kind.SPEND, seen=hour.ordered, usual=hour.usual, facts=facts)


def _failures(at: datetime, ended: Callable[[datetime], Ended]) -> Iterator[Finding]:
    """The share of failures that are the provider's, since the last trip at the earliest."""
    lately = ended(_since(at - FAILURES_WITHIN, WatchTrip.objects.filter(kind=Kind.FAILURES)))
    if lately.jobs >= FAILURES_LEAST and lately.share > settings.UNUSUAL_FAILURE_SHARE:
        usual = Decimal(str(settings.UNUSUAL_FAILURE_SHARE))
        facts = {
            "say": ["failures"],
            "failed": sum(lately.failed.values()),
            "jobs": lately.jobs,
            "reasons": ", ".join(
                f"{code} {count}" for code, count in sorted(lately.failed.items(), key=lambda one: -one[1])
            ),
            "bar_share": format_plain(usual),
        }
        yield Finding(kind=Kind.FAILURES, seen=lately.share, usual=usual, facts=facts)


def _bursts(at: datetime) -> Iterator[Finding]:
    """Users who order far more than anybody, and than they themselves, in ten minutes."""
    lately = Spend.objects.filter(created_at__gt=at - BURST_WITHIN, created_at__lte=at)
    busy = lately.values("user").annotate(orders=Count("pk")).filter(orders__gt=settings.UNUSUAL_USER_BURST)
    for user in User.objects.filter(pk__in=busy.values("user")):
        trips = WatchTrip.objects.filter(user=user)
        orders = lately.filter(user=user, created_at__gt=_since(at - BURST_WITHIN, trips)).count()
        usual = _usual_orders(user, at)
        known = (trip.seen * GROWTH for trip in _known(Kind.BURST, at).filter(user=user))
        bar = max(Decimal(settings.UNUSUAL_USER_BURST), usual * BURST_FACTOR, *known)
        if orders > bar:
            facts = {"say": ["burst"], "orders": orders, "usual": format_plain(usual), "bar": format_plain(bar)}
            yield Finding(kind=Kind.BURST, seen=Decimal(orders), usual=usual, facts=facts, user=user)


def _usual_orders(user: User, at: datetime) -> Decimal:
    """The median of the ten minutes in which this user ordered at all, in the last fortnight."""
    orders = Spend.objects.filter(user=user, created_at__gt=at - BURST_HISTORY, created_at__lte=at - BURST_WITHIN)
    slots: dict[int, int] = {}
    for ordered_at in orders.order_by("-pk").values_list("created_at", flat=True)[:BURST_HISTORY_MOST]:
        slot = int(ordered_at.timestamp() // BURST_WITHIN.total_seconds())
        slots[slot] = slots.get(slot, 0) + 1
    return Decimal(median(slots.values())) if slots else Decimal(0)


def _known(kind: WatchTrip.Kind, at: datetime) -> QuerySet[WatchTrip]:
    """Trips whose measure is no news: a person let it pass within a day, or the very hour of it goes on."""
    hour = window_at(Period.HOUR, at).starts_at
    ended = WatchTrip.objects.filter(kind=kind, ended_at__isnull=False)
    return ended.filter(by_person=True, ended_at__gt=at - KNOWN_FOR) | ended.filter(at__gte=hour)


def _since(earliest: datetime, trips: QuerySet[WatchTrip]) -> datetime:
    """From `earliest`, or from the end of the last trip: what led to it is not held against anybody twice."""
    last = trips.filter(ended_at__isnull=False).order_by("-ended_at").values_list("ended_at", flat=True).first()
    return max(earliest, last) if last else earliest


def _trip(account_id: int, finding: Finding) -> WatchTrip | None:
    """Stop, under the account's lock: two who watch at once stop once, and tell once. None: stopped already."""
    with transaction.atomic():
        account = provider_accounts.lock_account(account_id)
        at = clock.database_now()
        minutes = settings.UNUSUAL_PAUSE_MINUTES
        until = at + timedelta(minutes=minutes) if minutes else None
        if not _stop(account, finding, at, until):
            return None
        trip = WatchTrip.objects.create(
            kind=finding.kind,
            account=account,
            user=finding.user,
            seen=finding.seen,
            usual=finding.usual,
            at=at,
            until=until,
        )
        ends = {"until_at": until.isoformat()} if until else {}
        facts = {**finding.facts, **ends, "say": [*finding.facts["say"], "heals" if until else "waits"]}
        alerts.raise_alert(ALERTS[finding.kind], cause=_cause(account, finding.user), facts=facts)
        return trip


def _stop(account: ProviderAccount, finding: Finding, at: datetime, until: datetime | None) -> bool:
    if finding.user is not None:
        if user_holds.of(finding.user.pk) is not None:
            return False
        return user_holds.hold(user=finding.user, code=UserHold.Code.BURST, until=until)
    if account.is_paused_at(at):
        return False
    return provider_accounts.pause_account(
        account_id=account.pk,
        actor=None,
        code=ProviderAccount.Pause.UNUSUAL_SPEND,
        reason=format_english(ALERTS[finding.kind], finding.facts),
        words=format_in_each_language(ALERTS[finding.kind], finding.facts),
        until=until,
    )


def _cause(account: ProviderAccount, user: User | None) -> str:
    return account.cause if user is None else _cause_of(user)


def _cause_of(user: User) -> str:
    return f"user {user.pk}"


DAYS = 14
# A younger installation knows no usual hour.
YOUNG = timedelta(days=3)
# So many days of the same kind (working day, weekend) say more than all days together.
ENOUGH_ALIKE = 3


@dataclass(frozen=True)
class Hour:
    """What was ordered in this hour so far, the bar, and what is usual, in provider credits. `is_young`: nothing is usual yet."""

    ordered: Decimal
    bar: Decimal
    usual: Decimal
    is_young: bool


def hour_at(at: datetime) -> Hour:
    """The hour that `at` falls into. One query."""
    hour = window_at(Period.HOUR, at)
    since = hour.starts_at - timedelta(days=DAYS)
    rows = rollups.read_totals(Period.HOUR, since=since, until=hour.ends_at, measures=[Measure.ESTIMATED])
    ordered = sum((row.amount for row in rows if row.starts_at == hour.starts_at), Decimal(0))
    before = [row for row in rows if row.starts_at < hour.starts_at]
    factor, floor = settings.UNUSUAL_SPEND_FACTOR, settings.UNUSUAL_SPEND_FLOOR
    if not before or hour.starts_at - before[0].starts_at < YOUNG:
        return Hour(ordered, floor * factor, Decimal(0), is_young=True)
    usual = _usual(before, hour.local_start)
    return Hour(ordered, max(usual * factor, floor), usual, is_young=False)


def _usual(rows: Sequence[TotalRow], local: datetime) -> Decimal:
    """The median over the days since the first row; a day without orders in that hour counts as zero."""
    zone = site_zone()
    by_day: dict[date, Decimal] = defaultdict(Decimal)
    for row in rows:
        then = row.starts_at.astimezone(zone)
        if then.hour == local.hour:
            by_day[then.date()] += row.amount
    first = rows[0].starts_at.astimezone(zone).date()
    days = [local.date() - timedelta(days=back) for back in range(1, (local.date() - first).days + 1)]
    alike = [day for day in days if _is_weekend(day) == _is_weekend(local.date())]
    return median(by_day[day] for day in (alike if len(alike) >= ENOUGH_ALIKE else days))


def _is_weekend(day: date) -> bool:
    return day.weekday() >= 5

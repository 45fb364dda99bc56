"""The spending monitor: it stops new jobs after unusual spending, unusual failures, or a burst of one user's orders.

It pauses the provider account or holds one user's new videos, and never changes a job. Each such stop is recorded as a
trip (`WatchTrip`) with the measured value, so that the same value does not cause another trip after an operator has
lifted the first.
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
from billing.alerts.messages import Facts, format_english, format_in_all_languages
from billing.common.formatting import format_plain
from billing.common.periods import site_zone, window_at
from billing.costs import rollups
from billing.costs.rollups import TotalRow
from billing.guard import user_holds
from billing.models import Measure, Period, ProviderAccount, Spend, UserHold, WatchTrip
from billing.provider import accounts as provider_accounts

Kind = WatchTrip.Kind

FAILURE_WINDOW = timedelta(hours=1)
MIN_JOBS_FOR_FAILURES = 20
# Only the latest jobs count, so that earlier successes do not hide that everything fails now.
FAILURE_SAMPLE_SIZE = 40

BURST_WINDOW = timedelta(minutes=10)
BURST_FACTOR = 5
BURST_HISTORY = timedelta(days=14)
MAX_BURST_HISTORY = 5_000

# When an operator lifts a stop, the measured value counts as accepted: for a day, another stop needs more than twice
# that value.
ACCEPTED_PERIOD = timedelta(days=1)
ACCEPTED_FACTOR = 2

ALERTS = {
    Kind.SPEND: alerts.Kind.UNUSUAL_SPEND,
    Kind.FAILURES: alerts.Kind.FAILURE_RATE,
    Kind.BURST: alerts.Kind.USER_BURST,
}


@dataclass(frozen=True)
class RecentOutcomes:
    """How many of the latest jobs (at most MAX_JOBS_FOR_FAILURES) failed because of the provider."""

    jobs: int
    failed: Mapping[str, int]  # by failure code

    @property
    def failure_share(self) -> Decimal:
        return Decimal(sum(self.failed.values())) / max(self.jobs, 1)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One unusual thing that was found: the measured value, the usual value, and the facts for the alert."""

    kind: WatchTrip.Kind
    measured: Decimal
    usual: Decimal
    facts: Facts
    user: User | None = None


def check_anomalies(*, account_id: int, outcomes_since: Callable[[datetime], RecentOutcomes]) -> list[WatchTrip]:
    """Run all checks once and stop new jobs where something is unusual; returns the new trips.

    `outcomes_since` returns how jobs ended after a given time.
    """
    end_finished_trips()
    at = clock.database_now()
    findings = [*_find_unusual_spend(at), *_find_unusual_failures(at, outcomes_since), *_find_bursts(at)]
    trips = [_record_trip(account_id, finding) for finding in findings]
    return [trip for trip in trips if trip is not None]


def end_finished_trips() -> int:
    """Mark trips that expired or that an operator lifted, and resolve their alerts; returns how many."""
    at, count = clock.database_now(), 0
    for trip in WatchTrip.objects.filter(ended_at=None).select_related("account", "user"):
        has_expired = trip.until is not None and trip.until <= at
        if not has_expired and _is_in_force(trip, at):
            continue
        ended_at = trip.until if has_expired else at
        # Of two concurrent checks only one ends the trip.
        if WatchTrip.objects.filter(pk=trip.pk, ended_at=None).update(ended_at=ended_at, by_person=not has_expired):
            alerts.resolve_alerts(ALERTS[Kind(trip.kind)], cause=_alert_cause(trip.account, trip.user))
            count += 1
    return count


def release_user(user: User) -> None:
    """Remove the hold of a user whose account is being closed. Trips are kept, because they contain no personal data."""
    user_holds.release(user_id=user.pk)


def _is_in_force(trip: WatchTrip, at: datetime) -> bool:
    """Whether the pause or hold that this trip set is still in force."""
    if trip.user_id is not None:
        return user_holds.active_holds().filter(user_id=trip.user_id, code=UserHold.Code.BURST).exists()
    account = trip.account
    return account.is_paused_at(at) and account.pause_code == ProviderAccount.Pause.UNUSUAL_SPEND


def _find_unusual_spend(at: datetime) -> Iterator[Finding]:
    """Compare the orders of this hour with the usual amount for such an hour."""
    hour = measure_hour(at)
    threshold = max(
        hour.threshold, *(trip.seen * ACCEPTED_FACTOR for trip in _accepted_trips(Kind.SPEND, at)), Decimal(0)
    )
    if hour.ordered > threshold:
        facts = {
            # The names of sentences in `billing.alerts.messages`; `bar` is the threshold.
            "say": ["young_hour" if hour.lacks_history else "usual_hour"],
            "ordered": format_plain(hour.ordered),
            "usual": format_plain(hour.usual),
            "bar": format_plain(threshold),
        }
        yield Finding(kind=Kind.SPEND, measured=hour.ordered, usual=hour.usual, facts=facts)


def _find_unusual_failures(at: datetime, outcomes_since: Callable[[datetime], RecentOutcomes]) -> Iterator[Finding]:
    """Check the share of jobs that failed because of the provider, counted from the end of the last trip."""
    recent = outcomes_since(_counting_start(at - FAILURE_WINDOW, WatchTrip.objects.filter(kind=Kind.FAILURES)))
    if recent.jobs >= MIN_JOBS_FOR_FAILURES and recent.failure_share > settings.UNUSUAL_FAILURE_SHARE:
        usual = Decimal(str(settings.UNUSUAL_FAILURE_SHARE))
        facts = {
            "say": ["failures"],
            "failed": sum(recent.failed.values()),
            "jobs": recent.jobs,
            "reasons": ", ".join(
                f"{code} {count}" for code, count in sorted(recent.failed.items(), key=lambda item: -item[1])
            ),
            "bar_share": format_plain(usual),
        }
        yield Finding(kind=Kind.FAILURES, measured=recent.failure_share, usual=usual, facts=facts)


def _find_bursts(at: datetime) -> Iterator[Finding]:
    """Find users who ordered more in ten minutes than any user may, and far more than they usually do."""
    recent = Spend.objects.filter(created_at__gt=at - BURST_WINDOW, created_at__lte=at)
    busy_users = recent.values("user").annotate(orders=Count("pk")).filter(orders__gt=settings.UNUSUAL_USER_BURST)
    for user in User.objects.filter(pk__in=busy_users.values("user")):
        trips = WatchTrip.objects.filter(user=user)
        orders = recent.filter(user=user, created_at__gt=_counting_start(at - BURST_WINDOW, trips)).count()
        usual = _usual_orders(user, at)
        accepted_values = (trip.seen * ACCEPTED_FACTOR for trip in _accepted_trips(Kind.BURST, at).filter(user=user))
        threshold = max(Decimal(settings.UNUSUAL_USER_BURST), usual * BURST_FACTOR, *accepted_values)
        if orders > threshold:
            facts = {"say": ["burst"], "orders": orders, "usual": format_plain(usual), "bar": format_plain(threshold)}
            yield Finding(kind=Kind.BURST, measured=Decimal(orders), usual=usual, facts=facts, user=user)


def _usual_orders(user: User, at: datetime) -> Decimal:
    """The median number of orders in the ten-minute slots of the last two weeks in which this user ordered."""
    orders = Spend.objects.filter(user=user, created_at__gt=at - BURST_HISTORY, created_at__lte=at - BURST_WINDOW)
    slots: dict[int, int] = {}
    for ordered_at in orders.order_by("-pk").values_list("created_at", flat=True)[:MAX_BURST_HISTORY]:
        slot = int(ordered_at.timestamp() // BURST_WINDOW.total_seconds())
        slots[slot] = slots.get(slot, 0) + 1
    return Decimal(median(slots.values())) if slots else Decimal(0)


def _accepted_trips(kind: WatchTrip.Kind, at: datetime) -> QuerySet[WatchTrip]:
    """Trips whose values count as accepted.

    An operator lifted them within the last day, or they began in the current hour and have ended.
    """
    hour = window_at(Period.HOUR, at).starts_at
    ended = WatchTrip.objects.filter(kind=kind, ended_at__isnull=False)
    return ended.filter(by_person=True, ended_at__gt=at - ACCEPTED_PERIOD) | ended.filter(at__gte=hour)


def _counting_start(earliest: datetime, trips: QuerySet[WatchTrip]) -> datetime:
    """The later of `earliest` and the end of the last trip, so that no job counts for two trips."""
    last = trips.filter(ended_at__isnull=False).order_by("-ended_at").values_list("ended_at", flat=True).first()
    return max(earliest, last) if last else earliest


def _record_trip(account_id: int, finding: Finding) -> WatchTrip | None:
    """Stop new jobs, record the trip and raise the alert, under the account's lock. None if already stopped."""
    with transaction.atomic():
        account = provider_accounts.lock_account(account_id)
        at = clock.database_now()
        minutes = settings.UNUSUAL_PAUSE_MINUTES
        until = at + timedelta(minutes=minutes) if minutes else None
        if not _stop_new_jobs(account, finding, at, until):
            return None
        trip = WatchTrip.objects.create(
            kind=finding.kind,
            account=account,
            user=finding.user,
            seen=finding.measured,
            usual=finding.usual,
            at=at,
            until=until,
        )
        # "heals" and "waits" name sentences of the alert (`billing.alerts.messages`): the stop ends by itself, or
        # it stays until an operator ends it.
        end_facts = {"until_at": until.isoformat()} if until else {}
        facts = {**finding.facts, **end_facts, "say": [*finding.facts["say"], "heals" if until else "waits"]}
        alerts.raise_alert(ALERTS[finding.kind], cause=_alert_cause(account, finding.user), facts=facts)
        return trip


def _stop_new_jobs(account: ProviderAccount, finding: Finding, at: datetime, until: datetime | None) -> bool:
    """Hold the user or pause the account; False if an existing hold or pause stops the jobs already."""
    if finding.user is not None:
        if user_holds.find_active_hold(finding.user.pk) is not None:
            return False
        return user_holds.hold(user=finding.user, code=UserHold.Code.BURST, until=until)
    if account.is_paused_at(at):
        return False
    return provider_accounts.pause_account(
        account_id=account.pk,
        actor=None,
        code=ProviderAccount.Pause.UNUSUAL_SPEND,
        reason=format_english(ALERTS[finding.kind], finding.facts),
        texts=format_in_all_languages(ALERTS[finding.kind], finding.facts),
        until=until,
    )


def _alert_cause(account: ProviderAccount, user: User | None) -> str:
    return account.cause if user is None else f"user {user.pk}"


HISTORY_DAYS = 14
# With less history than this, the usual spending is unknown.
MIN_HISTORY = timedelta(days=3)
# If at least this many days are of the same kind as today (working day or weekend), only these are compared.
MIN_COMPARABLE_DAYS = 3


@dataclass(frozen=True)
class HourSpend:
    """What was ordered in an hour so far, the threshold and the usual amount, in provider credits.

    `lacks_history` says that there are too few earlier orders to know what is usual.
    """

    ordered: Decimal
    threshold: Decimal
    usual: Decimal
    lacks_history: bool


def measure_hour(at: datetime) -> HourSpend:
    """Measure the hour that contains `at`. One query."""
    hour = window_at(Period.HOUR, at)
    since = hour.starts_at - timedelta(days=HISTORY_DAYS)
    rows = rollups.read_totals(Period.HOUR, since=since, until=hour.ends_at, measures=[Measure.ESTIMATED])
    ordered = sum((row.amount for row in rows if row.starts_at == hour.starts_at), Decimal(0))
    earlier_rows = [row for row in rows if row.starts_at < hour.starts_at]
    factor, floor = settings.UNUSUAL_SPEND_FACTOR, settings.UNUSUAL_SPEND_FLOOR
    if not earlier_rows or hour.starts_at - earlier_rows[0].starts_at < MIN_HISTORY:
        return HourSpend(ordered, floor * factor, Decimal(0), lacks_history=True)
    usual = _usual_spend(earlier_rows, hour.local_start)
    return HourSpend(ordered, max(usual * factor, floor), usual, lacks_history=False)


def _usual_spend(rows: Sequence[TotalRow], local: datetime) -> Decimal:
    """The median spending in the hour of day of `local`, over the days since the first row.

    A day without orders counts as zero.
    """
    zone = site_zone()
    by_day: dict[date, Decimal] = defaultdict(Decimal)
    for row in rows:
        started = row.starts_at.astimezone(zone)
        if started.hour == local.hour:
            by_day[started.date()] += row.amount
    first_day = rows[0].starts_at.astimezone(zone).date()
    days = [local.date() - timedelta(days=days_ago) for days_ago in range(1, (local.date() - first_day).days + 1)]
    comparable = [day for day in days if _is_weekend(day) == _is_weekend(local.date())]
    return median(by_day[day] for day in (comparable if len(comparable) >= MIN_COMPARABLE_DAYS else days))


def _is_weekend(day: date) -> bool:
    return day.weekday() >= 5

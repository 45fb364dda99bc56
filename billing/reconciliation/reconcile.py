"""The provider's balance against our books: what it should be, what it is, and what nobody can explain.

A top-up is recognised by itself (`top_ups`); whatever else differs is answered by a person, with a compensating
entry and a reason, never by an edit. Amounts are provider credits; what is gone is below zero.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.conf import settings
from django.db import models, transaction
from django.db.models import Sum

from accounts.models import User
from accounts.seams import clock
from billing.alerts import services as alerts
from billing.common.formatting import format_plain
from billing.models import BalanceSnapshot, ProviderAccount, ProviderEntry, Spend
from billing.provider import accounts as provider_accounts
from billing.reconciliation.balance_track import Job, Jump, Movement, Reading, Track, follow_balance

Kind = ProviderEntry.Kind
Basis = Spend.Basis
ZERO = Decimal(0)

# The provider's balance may show a job's end a little later than the job does, and a reading takes time to arrive.
GRACE = timedelta(minutes=2)
# A stretch may begin so much before its time, at the reading with the least in flight.
QUIET_WITHIN = timedelta(hours=2)
# What a person has not answered is told of for so long.
WATCHED_PERIOD = timedelta(days=30)
# So many jobs are gone through in less than a second.
SHORT_HISTORY_JOBS = 20_000
REASON_LENGTH = 500
# So many rows are in memory at once.
AT_ONCE = 5000


class KeyReused(Exception):
    """The idempotency key already stands for another correction."""


@dataclass
class Jobs:
    """Our side: so many videos, what they were estimated at, what they cost."""

    count: int = 0
    estimated: Decimal = ZERO
    actual: Decimal = ZERO

    def add(self, count: int, estimated: Decimal, actual: Decimal) -> None:
        self.count += count
        self.estimated += estimated
        self.actual += actual


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """One account between two readings of its balance. What leaves the balance is below zero, except for `Jobs`."""

    account: ProviderAccount
    opening: BalanceSnapshot
    closing: BalanceSnapshot
    top_ups: Decimal
    returned: Decimal
    corrections: Decimal
    settled: Jobs
    open: Jobs
    free: Jobs  # failed, and assumed to have cost nothing; among the settled
    by_model: dict[str, Jobs]  # the settled ones
    by_basis: dict[str, Jobs]
    track: Track

    @property
    def in_flight(self) -> Decimal:
        """What jobs that were open at either end took within the stretch, as the balance tells it."""
        return -self.track.in_flight

    @property
    def in_flight_least(self) -> Decimal:
        return -self.track.open_now

    @property
    def in_flight_most(self) -> Decimal:
        return self.track.open_before

    @property
    def unexplained(self) -> Decimal:
        """What nothing explains and nobody has answered: below zero when credits are gone."""
        return self.track.found - self.corrections

    @property
    def is_explained(self) -> bool:
        return abs(self.unexplained) <= settings.UNEXPLAINED_TOLERANCE

    @property
    def is_gone(self) -> bool:
        return self.unexplained < -settings.UNEXPLAINED_TOLERANCE

    @property
    def jumps(self) -> tuple[Jump, ...]:
        return self.track.jumps

    @property
    def worst(self) -> Jump | None:
        """Where most of the difference came up."""
        alike = [jump for jump in self.jumps if jump.amount * self.unexplained > 0]
        return max(alike, key=lambda jump: abs(jump.amount), default=None)

    @property
    def answered_at(self) -> datetime:
        """When a correction counts: in every stretch that shows the difference."""
        return self.worst.after.at if self.worst else self.closing.taken_at


def reconcile(*, account: ProviderAccount, since: datetime, until: datetime) -> Reconciliation | None:
    """Compare from the reading before `since` to the last one at `until`. None with less than two readings."""
    opening, closing = _opening(account, since), _snapshots(account).filter(taken_at__lte=until).last()
    if opening is None or closing is None or closing.taken_at <= opening.taken_at:
        return None
    stretch = _Stretch(account, opening, closing)
    followed, by_kind = stretch.track(), stretch.entries()
    return Reconciliation(
        account=account,
        opening=opening,
        closing=closing,
        top_ups=by_kind[Kind.TOP_UP],
        returned=by_kind[Kind.RETURNED],
        corrections=by_kind[Kind.CORRECTION],
        settled=stretch.jobs(lambda sort: sort.is_known),
        open=stretch.jobs(lambda sort: not sort.is_known),
        free=stretch.jobs(lambda sort: sort.is_known and sort.is_free and sort.basis == Basis.ASSUMED),
        by_model=stretch.known_by("model"),
        by_basis=stretch.known_by("basis"),
        track=followed,
    )


def entries_between(*, account: ProviderAccount, after: datetime, until: datetime) -> models.QuerySet[ProviderEntry]:
    """What moved the balance besides jobs after `after` and up to `until`, newest first."""
    return ProviderEntry.objects.filter(account=account, happened_at__gt=after, happened_at__lte=until)


def record_correction(
    *,
    account_id: int,
    amount: Decimal,
    reason: str,
    actor: User,
    idempotency_key: str,
    happened_at: datetime,
    snapshot_id: int | None = None,
) -> ProviderEntry:
    """Answer a difference: credits that left (below zero) or came, and why. The same key again returns the first entry.

    Raises ValueError without an amount or a reason, KeyReused when the key stands for another amount.
    """
    if not amount or not reason.strip():
        raise ValueError("a correction needs an amount and a reason")
    with transaction.atomic():
        provider_accounts.lock_account(account_id)
        entry, created = ProviderEntry.objects.get_or_create(
            idempotency_key=f"correction:{idempotency_key}",
            defaults={
                "account_id": account_id,
                "kind": Kind.CORRECTION,
                "amount": amount,
                "reason": reason.strip()[:REASON_LENGTH],
                "actor": actor,
                "snapshot_id": snapshot_id,
                "happened_at": happened_at,
            },
        )
    if not created and (entry.account_id, entry.amount) != (account_id, amount):
        raise KeyReused
    account = ProviderAccount.objects.get(pk=account_id)
    # Nobody waits for a long history: the next look at it comes in minutes, for there is an entry.
    if created and has_short_history(account):
        update_unexplained(account)
    return entry


def has_short_history(account: ProviderAccount) -> bool:
    """Whether what is watched is little enough to be gone through at any time."""
    since = clock.database_now() - WATCHED_PERIOD
    jobs = Spend.objects.filter(account=account, state=Spend.State.SETTLED, settled_at__gt=since)
    return jobs[: SHORT_HISTORY_JOBS + 1].count() <= SHORT_HISTORY_JOBS


def update_unexplained(account: ProviderAccount) -> Reconciliation | None:
    """Alert while credits are gone that nothing explains; end the alert once they are explained or answered."""
    at = clock.database_now()
    found = reconcile(account=account, since=at - WATCHED_PERIOD, until=at)
    # For the first page, which does not read histories.
    account.unexplained, account.unexplained_at = found.unexplained if found else None, at
    account.save(update_fields=["unexplained", "unexplained_at"])
    if found is not None and found.is_gone:
        worst = found.worst
        facts: dict[str, object] = {"gone": format_plain(-found.unexplained)}
        if worst is not None:
            stretch = {"since_at": worst.before.at.isoformat(), "until_at": worst.after.at.isoformat()}
            facts |= {"say": ["unexplained_worst"], **stretch}
        alerts.raise_alert(alerts.Kind.UNEXPLAINED_SPEND, cause=account.cause, facts=facts)
    else:
        alerts.resolve_alerts(alerts.Kind.UNEXPLAINED_SPEND, cause=account.cause)
    return found


class _Sort(NamedTuple):
    """What jobs are summed up by."""

    model: str
    basis: str
    is_known: bool  # at the closing reading
    is_free: bool


class _Stretch:
    """The rows of one account between two readings. Jobs are summed up while the balance is tracked, none is kept."""

    def __init__(self, account: ProviderAccount, opening: BalanceSnapshot, closing: BalanceSnapshot) -> None:
        self.account, self.begin, self.end = account, opening.taken_at, closing.taken_at
        self._entries = entries_between(account=account, after=self.begin, until=self.end)
        self._sums: dict[_Sort, Jobs] = defaultdict(Jobs)

    def track(self) -> Track:
        taken = _snapshots(self.account).filter(taken_at__gte=self.begin, taken_at__lte=self.end)
        readings = [Reading(at, balance, pk) for at, balance, pk in taken.values_list("taken_at", "balance", "pk")]
        besides = self._entries.exclude(kind=Kind.CORRECTION).order_by("happened_at")
        moved = [Movement(at, amount) for at, amount in besides.values_list("happened_at", "amount")]
        return follow_balance(readings, self._passing(), moved)

    def jobs(self, which: Callable[[_Sort], bool]) -> Jobs:
        """Those of these sorts together."""
        found = Jobs()
        for sort, jobs in self._sums.items():
            if which(sort):
                found.add(jobs.count, jobs.estimated, jobs.actual)
        return found

    def known_by(self, name: str) -> dict[str, Jobs]:
        """The known ones, by this part of their sort."""
        groups: dict[str, Jobs] = defaultdict(Jobs)
        for sort, jobs in self._sums.items():
            if sort.is_known:
                groups[getattr(sort, name)].add(jobs.count, jobs.estimated, jobs.actual)
        return dict(sorted(groups.items()))

    def entries(self) -> dict[str, Decimal]:
        """What entries sum to, by kind."""
        sums = dict(self._entries.order_by().values_list("kind").annotate(sum=Sum("amount")))
        return {kind: sums.get(kind, ZERO) for kind in Kind}

    def _passing(self) -> Iterator[Job]:
        """Every job as the balance may show it, summed up as it passes."""
        for account_id, model, basis, estimated, cost, sent_at, settled_at in self._rows():
            actual = cost or ZERO
            most = max(estimated, actual)
            if account_id != self.account.pk:
                # Other keys may draw on the same purse: what their videos took is possible, never known.
                yield Job(sent_at, None, ZERO, most)
                continue
            # What nobody knows for sure stays possible for ever.
            known_at = None if settled_at is None or basis == Basis.POSSIBLE else settled_at + GRACE
            is_known = known_at is not None and known_at <= self.end
            self._sums[_Sort(model, basis, is_known, not actual)].add(1, estimated, actual)
            yield Job(sent_at, known_at, actual, most)

    def _rows(self) -> Iterator[tuple[int, str, str, Decimal, Decimal | None, datetime, datetime | None]]:
        """What any key of the purse had sent before the end, if it was open or not known for sure at the beginning."""
        purse = ProviderAccount.objects.filter(provider=self.account.provider, base_url=self.account.base_url)
        sent = Spend.objects.filter(
            account__in=list(purse.values_list("pk", flat=True)), promised_at__lte=self.end
        ).values_list("account_id", "model", "basis", "estimated", "actual", "promised_at", "settled_at")
        # Each part has an index; in one statement, so that what is settled meanwhile is read once.
        parts = sent.filter(state=Spend.State.PROMISED).union(
            sent.filter(state=Spend.State.SETTLED, settled_at__gt=self.begin - GRACE), all=True
        )
        return parts.iterator(chunk_size=AT_ONCE)  # type: ignore[return-value]  # what was sent has its time


def _snapshots(account: ProviderAccount) -> models.QuerySet[BalanceSnapshot]:
    return BalanceSnapshot.objects.filter(account=account).order_by("taken_at", "pk")


def _opening(account: ProviderAccount, since: datetime) -> BalanceSnapshot | None:
    """The reading to begin with: the quietest one shortly before, else the last before, else the first after."""
    before = _snapshots(account).filter(taken_at__lte=since)
    quiet = before.filter(taken_at__gt=since - QUIET_WITHIN).order_by("promised", "-taken_at", "-pk").first()
    return quiet or before.last() or _snapshots(account).first()

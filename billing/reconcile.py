"""The provider's balance against our books: what it should be, what it is, and what nobody can explain.

A top-up is recognised by itself (`billing.top_ups`); whatever else differs is answered by a person, with a compensating
entry and a reason, never by an edit. Amounts are provider credits; what is gone is below zero.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q, Sum

from accounts.doors import clock
from accounts.models import User
from billing import alerts, provider_accounts
from billing.amounts import plain
from billing.models import BalanceSnapshot, ProviderAccount, ProviderEntry, Spend
from billing.tracking import Job, Jump, Movement, Reading, Track, track

Kind = ProviderEntry.Kind
Basis = Spend.Basis
ZERO = Decimal(0)

# The provider's balance may show a job's end a little later than the job does, and a reading takes time to arrive.
GRACE = timedelta(minutes=2)
# A stretch may begin so much before its time, at the reading with the least in flight.
QUIET_WITHIN = timedelta(hours=2)
# What a person has not answered is told of for so long.
WATCHED = timedelta(days=30)
REASON_LENGTH = 500


class KeyReused(Exception):
    """The idempotency key already stands for another correction."""


@dataclass(frozen=True)
class Jobs:
    """Our side: so many videos, what they were estimated at, what they cost."""

    count: int
    estimated: Decimal
    actual: Decimal


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
    by_kind = stretch.entries()
    return Reconciliation(
        account=account,
        opening=opening,
        closing=closing,
        top_ups=by_kind[Kind.TOP_UP],
        returned=by_kind[Kind.RETURNED],
        corrections=by_kind[Kind.CORRECTION],
        settled=_sum(stretch.known),
        open=_sum(stretch.open),
        free=_sum([spend for spend in stretch.known if spend.basis == Basis.ASSUMED and not spend.actual]),
        by_model=_grouped(stretch.known, "model"),
        by_basis=_grouped(stretch.known, "basis"),
        track=stretch.track(),
    )


def entries_between(*, account: ProviderAccount, after: datetime, until: datetime) -> models.QuerySet[ProviderEntry]:
    """What moved the balance besides jobs after `after` and up to `until`, newest first."""
    return ProviderEntry.objects.filter(account=account, happened_at__gt=after, happened_at__lte=until)


def correct(
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
        provider_accounts.lock(account_id)
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
    if created:
        watch(ProviderAccount.objects.get(pk=account_id))
    return entry


def watch(account: ProviderAccount) -> Reconciliation | None:
    """Alert while credits are gone that nothing explains; end the alert once they are explained or answered."""
    at = clock.database_now()
    found = reconcile(account=account, since=at - WATCHED, until=at)
    # For the first page, which does not read histories.
    account.unexplained, account.unexplained_at = found.unexplained if found else None, at
    account.save(update_fields=["unexplained", "unexplained_at"])
    if found is not None and found.is_gone:
        worst = found.worst
        facts: dict[str, object] = {"gone": plain(-found.unexplained)}
        if worst is not None:
            stretch = {"since_at": worst.before.at.isoformat(), "until_at": worst.after.at.isoformat()}
            facts |= {"say": ["unexplained_worst"], **stretch}
        alerts.raise_alert(alerts.Kind.UNEXPLAINED_SPEND, cause=account.cause, facts=facts)
    else:
        alerts.resolve(alerts.Kind.UNEXPLAINED_SPEND, cause=account.cause)
    return found


class _Stretch:
    """The rows of one account between two readings."""

    def __init__(self, account: ProviderAccount, opening: BalanceSnapshot, closing: BalanceSnapshot) -> None:
        self.account, self.begin, self.end = account, opening.taken_at, closing.taken_at
        self._entries = entries_between(account=account, after=self.begin, until=self.end)
        spends = [(spend, _job(spend)) for spend in self._spends_of(Q(account=account))]
        self._jobs = [job for _, job in spends]
        self.known = [spend for spend, job in spends if job.known_at is not None and job.known_at <= self.end]
        self.open = [spend for spend, job in spends if job.known_at is None or job.known_at > self.end]

    def _spends_of(self, whose: Q) -> Iterator[Spend]:
        """Sent before the end, and open or not known for sure at the beginning. Two queries, each with an index."""
        sent = Spend.objects.filter(whose, promised_at__lte=self.end)
        yield from sent.filter(state=Spend.State.PROMISED)
        yield from sent.filter(state=Spend.State.SETTLED, settled_at__gt=self.begin - GRACE)

    def track(self) -> Track:
        taken = _snapshots(self.account).filter(taken_at__gte=self.begin, taken_at__lte=self.end)
        readings = [Reading(at, balance, pk) for at, balance, pk in taken.values_list("taken_at", "balance", "pk")]
        # Other keys may draw on the same purse: what their videos took is possible, never known.
        same_place = Q(account__provider=self.account.provider, account__base_url=self.account.base_url)
        others = self._spends_of(same_place & ~Q(account=self.account))
        possible = [Job(one.promised_at or self.begin, None, ZERO, _most(one)) for one in others]
        besides = self._entries.exclude(kind=Kind.CORRECTION).order_by("happened_at")
        moved = [Movement(at, amount) for at, amount in besides.values_list("happened_at", "amount")]
        return track(readings, self._jobs + possible, moved)

    def entries(self) -> dict[str, Decimal]:
        """What entries sum to, by kind."""
        sums = dict(self._entries.order_by().values_list("kind").annotate(sum=Sum("amount")))
        return {kind: sums.get(kind, ZERO) for kind in Kind}


def _snapshots(account: ProviderAccount) -> models.QuerySet[BalanceSnapshot]:
    return BalanceSnapshot.objects.filter(account=account).order_by("taken_at", "pk")


def _opening(account: ProviderAccount, since: datetime) -> BalanceSnapshot | None:
    """The reading to begin with: the quietest one shortly before, else the last before, else the first after."""
    before = _snapshots(account).filter(taken_at__lte=since)
    quiet = before.filter(taken_at__gt=since - QUIET_WITHIN).order_by("promised", "-taken_at", "-pk").first()
    return quiet or before.last() or _snapshots(account).first()


def _job(spend: Spend) -> Job:
    """A spend as the balance may show it. What nobody knows for sure stays possible for ever."""
    is_known = spend.settled_at is not None and spend.basis != Basis.POSSIBLE
    return Job(
        since=spend.promised_at or spend.created_at,
        known_at=spend.settled_at + GRACE if is_known and spend.settled_at else None,
        actual=spend.actual or ZERO,
        most=_most(spend),
    )


def _sum(spends: Sequence[Spend]) -> Jobs:
    estimated = sum((spend.estimated for spend in spends), ZERO)
    return Jobs(len(spends), estimated, sum((spend.actual or ZERO for spend in spends), ZERO))


def _grouped(spends: Sequence[Spend], name: str) -> dict[str, Jobs]:
    groups: dict[str, list[Spend]] = defaultdict(list)
    for spend in spends:
        groups[getattr(spend, name)].append(spend)
    return {key: _sum(group) for key, group in sorted(groups.items())}


def _most(spend: Spend) -> Decimal:
    return max(spend.estimated, spend.actual or ZERO)

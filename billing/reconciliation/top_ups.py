"""Records credits that came into a provider balance: top-ups, and what the provider gave back for a job."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_noop

from accounts.seams import clock
from billing.common import run_all
from billing.models import BalanceSnapshot, LedgerEntry, ProviderAccount, ProviderEntry, Spend
from billing.provider import accounts as provider_accounts
from billing.reconciliation import reconcile, unexplained
from billing.reconciliation.balance_track import Jump, Track
from billing.reconciliation.reconcile import GRACE, Reconciliation

Kind = ProviderEntry.Kind
ZERO = Decimal(0)

RECONCILE_INTERVAL = timedelta(minutes=5)
# Rises in this period are recorded.
SEARCH_PERIOD = timedelta(days=2)
# Credits given back belong to one or more of the last RETURNED_JOBS jobs that ended within RETURNED_PERIOD.
RETURNED_PERIOD = timedelta(days=1)
RETURNED_JOBS = 12
# How long to wait for a clear amount while jobs in flight blur it; then the certain part is recorded.
MAX_MEASURING_TIME = timedelta(minutes=15)
# People buy round amounts, so the roundest amount in range is taken.
ROUND_UNITS = (Decimal(1000), Decimal(500))

# Reasons of automatic entries, translated when they are shown.
TOP_UP_REASON = gettext_noop("The balance rose by more than returned credits explain")
RETURNED_REASON = gettext_noop("The balance rose by the cost of a refunded video")


@dataclass(frozen=True)
class Rise:
    """Upward jumps that belong together, of at least `least` and at most `most` credits."""

    jumps: tuple[Jump, ...]
    least: Decimal
    most: Decimal

    @property
    def first_at(self) -> datetime:
        return self.jumps[0].after.at

    @property
    def last_at(self) -> datetime:
        return self.jumps[-1].after.at

    @property
    def is_blurred(self) -> bool:
        return self.most - self.least > settings.UNEXPLAINED_TOLERANCE

    @property
    def amount(self) -> Decimal:
        """The roundest amount in range if it is the only one as round; else the certain part."""
        for unit in ROUND_UNITS if self.is_blurred else ():
            lowest = (self.least / unit).to_integral_value(ROUND_CEILING) * unit
            if lowest <= self.most:
                return lowest if lowest + unit > self.most else self.least
        return self.least

    def is_measured(self, at: datetime) -> bool:
        """Whether it can be recorded: no delayed reading can arrive any more, and the amount is clear enough."""
        return at - self.last_at >= GRACE and (not self.is_blurred or at - self.first_at >= MAX_MEASURING_TIME)


def reconcile_accounts() -> None:
    """Record what came in and update what is missing, for each account with recent readings. Runs every RECONCILE_INTERVAL."""
    recent = BalanceSnapshot.objects.filter(taken_at__gt=clock.database_now() - reconcile.WATCHED_PERIOD)
    accounts = ProviderAccount.objects.filter(pk__in=recent.order_by().values("account")).order_by("pk")
    run_all.run_all_then_raise(
        *(partial(update, account) for account in accounts for update in (record_rises, unexplained.update_if_changed))
    )


def record_rises(account: ProviderAccount) -> list[ProviderEntry]:
    """Record each rise once, also if called repeatedly or concurrently; returns the new entries."""
    last = _last_entry(account)
    at = clock.database_now()
    found = reconcile.reconcile(account=account, since=at - SEARCH_PERIOD, until=at)
    measured = [rise for rise in find_rises(found.track) if rise.is_measured(at)] if found else []
    if not (found and measured):
        return []
    with transaction.atomic():
        # The history was read without the lock, because every spending decision waits for it. An entry that was written
        # meanwhile may be the same rise, which the next run will tell.
        provider_accounts.lock_account(account.pk)
        if _last_entry(account) != last:
            return []
        return [entry for rise in measured for entry in _write_entries(found, rise)]


def list_unrecorded_rises(found: Reconciliation) -> list[Rise]:
    """Recent rises that are not recorded yet."""
    at = clock.database_now()
    return [rise for rise in find_rises(found.track) if not rise.is_measured(at)]


def find_rises(track: Track) -> list[Rise]:
    """Rises above the tolerance, in order. A top-up may appear in several jumps while jobs in flight become known."""
    groups: list[list[Jump]] = []
    for jump in _drop_out_of_order(track.jumps):
        if jump.amount < 0:
            continue
        if groups and jump.after.at - groups[-1][0].after.at <= MAX_MEASURING_TIME:
            groups[-1].append(jump)
        else:
            groups.append([jump])
    found = []
    for group in groups:
        least = sum((jump.amount for jump in group), ZERO)
        room = track.room if group[-1] is track.jumps[-1] else ZERO
        if least > settings.UNEXPLAINED_TOLERANCE:
            found.append(Rise(tuple(group), least, least + room))
    return found


def _drop_out_of_order(jumps: Sequence[Jump]) -> list[Jump]:
    """Drop the fall and the rise that readings which arrive out of order cause."""
    kept: list[Jump] = []
    for jump in jumps:
        previous = kept[-1] if kept else jump
        if (
            previous.amount < 0 < jump.amount
            and jump.after.at - previous.after.at < GRACE
            and abs(previous.amount + jump.amount) <= settings.UNEXPLAINED_TOLERANCE
        ):
            kept.pop()
        else:
            kept.append(jump)
    return kept


def _last_entry(account: ProviderAccount) -> int | None:
    """The newest entry's id. Entries are written under the account's lock and never removed."""
    return ProviderEntry.objects.filter(account=account).order_by("-pk").values_list("pk", flat=True).first()


def _write_entries(found: Reconciliation, rise: Rise) -> Iterator[ProviderEntry]:
    """The entries for one rise, in the caller's transaction."""
    recent = Spend.objects.filter(
        account=found.account,
        state=Spend.State.SETTLED,
        settled_at__gt=rise.first_at - RETURNED_PERIOD,
        settled_at__lte=rise.last_at,
    ).order_by("-settled_at")
    missing_before = (
        sum((jump.amount for jump in found.jumps if jump.after.at < rise.first_at), ZERO) - found.corrections
    )
    free = recent.filter(basis=Spend.Basis.ASSUMED, actual=0)[:RETURNED_JOBS]
    if missing_before <= -rise.least and find_parts_summing_to(
        rise.least, {spend.job_id: spend.estimated for spend in free}
    ):
        # Charged for a failed video and given back: neither was recorded, and they cancel out.
        return
    refunded = Exists(LedgerEntry.objects.filter(kind=LedgerEntry.Kind.REFUND, job_id=OuterRef("job_id")))
    given_back = Exists(ProviderEntry.objects.filter(kind=Kind.RETURNED, job_id=OuterRef("job_id")))
    paid = recent.filter(refunded, ~given_back, actual__gt=0).exclude(basis=Spend.Basis.POSSIBLE)[:RETURNED_JOBS]
    costs = {spend.job_id: spend.actual or ZERO for spend in paid}
    # A round amount is a top-up, even if the costs of some videos add up to it.
    returned = find_parts_summing_to(rise.least, costs) if rise.least % ROUND_UNITS[0] else []
    for job_id in returned:
        yield _write_entry(found, rise, Kind.RETURNED, costs[job_id], key=f"returned:{job_id}", job_id=job_id)
    if not returned:
        # A later run may find another part of the rise at the same reading.
        part = ProviderEntry.objects.filter(snapshot_id=rise.jumps[0].after.pk, kind=Kind.TOP_UP).count()
        yield _write_entry(found, rise, Kind.TOP_UP, rise.amount, key=f"top-up:{rise.jumps[0].after.pk}:{part}")


def _write_entry(
    found: Reconciliation,
    rise: Rise,
    kind: ProviderEntry.Kind,
    amount: Decimal,
    *,
    key: str,
    job_id: UUID | None = None,
) -> ProviderEntry:
    return ProviderEntry.objects.create(
        account=found.account,
        kind=kind,
        amount=amount,
        reason=RETURNED_REASON if job_id else TOP_UP_REASON,
        snapshot_id=rise.jumps[0].after.pk,
        job_id=job_id,
        idempotency_key=key,
        happened_at=rise.first_at,
    )


def find_parts_summing_to(amount: Decimal, parts: dict[UUID, Decimal]) -> list[UUID]:
    """The names of the first parts found that add up to exactly this amount; empty if there are none."""
    reached: dict[Decimal, list[UUID]] = {ZERO: []}
    for name, part in parts.items():
        for total, names in list(reached.items()):
            if total + part <= amount:
                reached.setdefault(total + part, [*names, name])
        if amount in reached:
            return reached[amount]
    return []

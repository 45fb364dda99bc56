"""What came into the provider's balance, recognised from its readings and written down once: top-ups, and what was given back."""

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
# Rises of the last days are recognised.
RECOGNISED_WITHIN = timedelta(days=2)
# What the provider gives back belongs to a job of the last day, one of the newest of them.
RETURNED_WITHIN = timedelta(days=1)
RETURNED_AMONG = 12
# A top-up that jobs in flight blur is measured for so long before the part that is sure is written down.
MEASURED_FOR = timedelta(minutes=15)
# What people buy comes in round numbers: the roundest one that fits is meant.
ROUND = (Decimal(1000), Decimal(500))

# Reasons of entries that we write ourselves: shown in the reader's language.
SEEN = gettext_noop("The balance rose by more than anything given back explains")
GIVEN_BACK = gettext_noop("The balance rose by what a refunded video had cost")


@dataclass(frozen=True)
class Rise:
    """Jumps that belong together and bring credits in: `least` for sure, `most` if jobs in flight hide the rest."""

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
        """The roundest amount that fits, when no other one as round does; else what is sure."""
        for unit in ROUND if self.is_blurred else ():
            lowest = (self.least / unit).to_integral_value(ROUND_CEILING) * unit
            if lowest <= self.most:
                return lowest if lowest + unit > self.most else self.least
        return self.least

    def is_measured(self, at: datetime) -> bool:
        """Whether it may be written down: no answer that was overtaken can come any more, and it is clear enough."""
        return at - self.last_at >= GRACE and (not self.is_blurred or at - self.first_at >= MEASURED_FOR)


def reconcile_accounts() -> None:
    """For every account that was read lately: write down what came in, then tell of what is gone. Runs every LOOK_EVERY."""
    lately = BalanceSnapshot.objects.filter(taken_at__gt=clock.database_now() - reconcile.WATCHED_PERIOD)
    accounts = ProviderAccount.objects.filter(pk__in=lately.order_by().values("account")).order_by("pk")
    run_all.run_all_then_raise(
        *(partial(act, account) for account in accounts for act in (record_rises, unexplained.update_if_changed))
    )


def record_rises(account: ProviderAccount) -> list[ProviderEntry]:
    """Write down what came in, once, however often and by whomever it is called; returns the new entries."""
    last = _last_entry(account)
    at = clock.database_now()
    found = reconcile.reconcile(account=account, since=at - RECOGNISED_WITHIN, until=at)
    measured = [rise for rise in find_rises(found.track) if rise.is_measured(at)] if found else []
    if not (found and measured):
        return []
    with transaction.atomic():
        # Days of history were read without the lock, for which every paid decision waits. Whatever was written down
        # meanwhile may be the same rise: then the next look tells.
        provider_accounts.lock_account(account.pk)
        if _last_entry(account) != last:
            return []
        return [entry for rise in measured for entry in _written(found, rise)]


def list_unrecorded_rises(found: Reconciliation) -> list[Rise]:
    """What came in lately and is not written down yet."""
    at = clock.database_now()
    return [rise for rise in find_rises(found.track) if not rise.is_measured(at)]


def find_rises(followed: Track) -> list[Rise]:
    """What came in, more than the tolerance each, in order. A top-up may come to light in steps, as what hid it gets known."""
    groups: list[list[Jump]] = []
    for jump in _without_overtaken(followed.jumps):
        if jump.amount < 0:
            continue
        if groups and jump.after.at - groups[-1][0].after.at <= MEASURED_FOR:
            groups[-1].append(jump)
        else:
            groups.append([jump])
    found = []
    for group in groups:
        least = sum((jump.amount for jump in group), ZERO)
        room = followed.room if group[-1] is followed.jumps[-1] else ZERO
        if least > settings.UNEXPLAINED_TOLERANCE:
            found.append(Rise(tuple(group), least, least + room))
    return found


def _without_overtaken(jumps: Sequence[Jump]) -> list[Jump]:
    """Answers may overtake each other: then the balance seems to fall back to what it was, and to rise again at once."""
    kept: list[Jump] = []
    for jump in jumps:
        back = kept[-1] if kept else jump
        if (
            back.amount < 0 < jump.amount
            and jump.after.at - back.after.at < GRACE
            and abs(back.amount + jump.amount) <= settings.UNEXPLAINED_TOLERANCE
        ):
            kept.pop()
        else:
            kept.append(jump)
    return kept


def _last_entry(account: ProviderAccount) -> int | None:
    """The newest entry's number. All are written under the account's lock, and none is ever removed."""
    return ProviderEntry.objects.filter(account=account).order_by("-pk").values_list("pk", flat=True).first()


def _written(found: Reconciliation, rise: Rise) -> Iterator[ProviderEntry]:
    """The entries for one rise, in the caller's transaction."""
    lately = Spend.objects.filter(
        account=found.account,
        state=Spend.State.SETTLED,
        settled_at__gt=rise.first_at - RETURNED_WITHIN,
        settled_at__lte=rise.last_at,
    ).order_by("-settled_at")
    gone_before = sum((jump.amount for jump in found.jumps if jump.after.at < rise.first_at), ZERO) - found.corrections
    free = lately.filter(basis=Spend.Basis.ASSUMED, actual=0)[:RETURNED_AMONG]
    if gone_before <= -rise.least and find_parts_summing_to(rise.least, {one.job_id: one.estimated for one in free}):
        # Taken for a failed video and given back, neither of which was booked: the two explain each other.
        return
    refunded = Exists(LedgerEntry.objects.filter(kind=LedgerEntry.Kind.REFUND, job_id=OuterRef("job_id")))
    given_back = Exists(ProviderEntry.objects.filter(kind=Kind.RETURNED, job_id=OuterRef("job_id")))
    paid = lately.filter(refunded, ~given_back, actual__gt=0).exclude(basis=Spend.Basis.POSSIBLE)[:RETURNED_AMONG]
    costs = {one.job_id: one.actual or ZERO for one in paid}
    # A round sum of many videos is a top-up all the same.
    returned = find_parts_summing_to(rise.least, costs) if rise.least % ROUND[0] else []
    for job_id in returned:
        yield _entry(found, rise, Kind.RETURNED, costs[job_id], key=f"returned:{job_id}", job_id=job_id)
    if not returned:
        # One reading may bring to light another part of what came in before it.
        part = ProviderEntry.objects.filter(snapshot_id=rise.jumps[0].after.pk, kind=Kind.TOP_UP).count()
        yield _entry(found, rise, Kind.TOP_UP, rise.amount, key=f"top-up:{rise.jumps[0].after.pk}:{part}")


def _entry(
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
        reason=GIVEN_BACK if job_id else SEEN,
        snapshot_id=rise.jumps[0].after.pk,
        job_id=job_id,
        idempotency_key=key,
        happened_at=rise.first_at,
    )


def find_parts_summing_to(amount: Decimal, parts: dict[UUID, Decimal]) -> list[UUID]:
    """Names of parts that make exactly this amount together, the first ones that do; none when no parts do."""
    reached: dict[Decimal, list[UUID]] = {ZERO: []}
    for name, part in parts.items():
        for total, names in list(reached.items()):
            if total + part <= amount:
                reached.setdefault(total + part, [*names, name])
        if amount in reached:
            return reached[amount]
    return []

"""Checks billing's tables: accounts and ledger entries (I1 to I4, I22), paid calls and spend (I5, I6).

Each check verifies the rule named at the start of its docstring; `billing.audit.runner` runs the checks. Those of
budgets are in `billing.audit.budget_checks`. A user's credits are held in *lots* (see `billing.credits.lots`).
"""

from collections.abc import Iterable

from django.db.models import BigIntegerField, Case, Count, Exists, F, OuterRef, Q, Subquery, Sum, When, Window
from django.db.models.functions import Abs, Coalesce, Lag

from billing.audit.budget_checks import check_counted_amounts, check_window_usage
from billing.audit.runner import Problem, TriggerNames, find_missing_triggers, register_check
from billing.models import CreditAccount, CreditLot, LedgerEntry, LotUse, PaidCall, ProviderEntry, Spend

Kind = LedgerEntry.Kind
Outcome = PaidCall.Outcome
State = Spend.State

LEDGER_TRIGGERS: TriggerNames = {
    "postgresql": ("veoapp_ledger_no_change", "veoapp_ledger_no_truncate"),
    "sqlite": ("veoapp_ledger_no_update", "veoapp_ledger_no_delete", "veoapp_ledger_no_replace"),
}
PROVIDER_ENTRY_TRIGGERS: TriggerNames = {
    "postgresql": ("veoapp_provider_entry_no_change", "veoapp_provider_entry_no_truncate"),
    "sqlite": tuple(f"veoapp_provider_entry_no_{operation}" for operation in ("update", "delete", "replace")),
}
FILE_ANSWER_TRIGGERS: TriggerNames = {
    "postgresql": ("veoapp_file_answer_no_change", "veoapp_file_answer_no_truncate"),
    "sqlite": tuple(f"veoapp_file_answer_no_{operation}" for operation in ("update", "delete", "replace")),
}

register_check(check_window_usage)
register_check(check_counted_amounts)


@register_check
def check_account_balances(*, deep: bool) -> Iterable[Problem]:
    """I1: an account's balance equals the sum of its entries, the balance after its last entry and the sum of its lots.

    It is never negative.
    """
    last = LedgerEntry.objects.filter(account=OuterRef("pk")).order_by("-id").values("balance_after")[:1]
    lots = CreditLot.objects.filter(account=OuterRef("pk")).order_by().values("account").annotate(held=Sum("remaining"))
    accounts = CreditAccount.objects.annotate(
        total=Coalesce(Sum("entries__amount"), 0),
        last=Coalesce(Subquery(last), 0),
        held=Coalesce(Subquery(lots.values("held")), 0),
    )
    is_consistent = Q(balance=F("total")) & Q(balance=F("last")) & Q(balance=F("held")) & Q(balance__gte=0)
    wrong = accounts.filter(~is_consistent).values_list("pk", "balance", "total", "last", "held")
    for pk, balance, total, after, held in wrong:
        text = f"balance {balance}, entries sum to {total}, the last says {after}, lots hold {held}"
        yield Problem("I1", f"credit account {pk}", text)


@register_check
def check_running_balances(*, deep: bool) -> Iterable[Problem]:
    """I1: each entry continues from the balance of the previous one."""
    before = Coalesce(Window(Lag("balance_after"), partition_by="account", order_by="id"), 0)
    entries = LedgerEntry.objects.order_by("id").annotate(expected=before + F("amount"))
    for pk, after, expected in entries.exclude(balance_after=F("expected")).values_list(
        "pk", "balance_after", "expected"
    ):
        yield Problem("I1", f"ledger entry {pk}", f"has balance {after}, expected {expected}")


@register_check
def check_lot_remainders(*, deep: bool) -> Iterable[Problem]:
    """I1: what is left of a lot is its grant minus what entries used plus what refunds returned."""
    moved = Case(When(entry__amount__gt=0, then=F("amount")), default=F("amount") * -1, output_field=BigIntegerField())
    uses = LotUse.objects.filter(lot=OuterRef("pk")).order_by().values("lot").annotate(moved=Sum(moved))
    lots = CreditLot.objects.annotate(expected=F("granted") + Coalesce(Subquery(uses.values("moved")), 0))
    for pk, left, expected in lots.exclude(remaining=F("expected")).values_list("pk", "remaining", "expected"):
        yield Problem("I1", f"credit lot {pk}", f"holds {left}, its uses leave {expected}")


@register_check
def check_entry_lots(*, deep: bool) -> Iterable[Problem]:
    """I1: an entry's amount is what it used from lots or added to them.

    Entries from before lots existed changed no lot and are not checked.
    """
    used = LotUse.objects.filter(entry=OuterRef("pk")).order_by().values("entry").annotate(used=Sum("amount"))
    entries = LedgerEntry.objects.annotate(used=Subquery(used.values("used")))
    entries = entries.filter(Q(used__isnull=False) | Q(lot__isnull=False)).annotate(
        size=Abs("amount"),
        in_lots=Coalesce(F("used"), 0) + Coalesce(F("lot__granted"), 0),
    )
    for pk, size, in_lots in entries.exclude(size=F("in_lots")).values_list("pk", "size", "in_lots"):
        yield Problem("I1", f"ledger entry {pk}", f"moves {size}, its lots move {in_lots}")


@register_check
def check_ledger_triggers(*, deep: bool) -> Iterable[Problem]:
    """I2: the database refuses to change or delete ledger entries."""
    return find_missing_triggers(invariant="I2", names=LEDGER_TRIGGERS)


@register_check
def check_provider_entries(*, deep: bool) -> Iterable[Problem]:
    """I2, I22: the database refuses to change provider entries and file answers; each correction has an actor."""
    yield from find_missing_triggers(invariant="I2", names=PROVIDER_ENTRY_TRIGGERS)
    yield from find_missing_triggers(invariant="I2", names=FILE_ANSWER_TRIGGERS)
    without_actor = ProviderEntry.objects.filter(kind=ProviderEntry.Kind.CORRECTION, actor=None)
    for pk, amount in without_actor.values_list("pk", "amount"):
        yield Problem("I22", f"provider entry {pk}", f"a correction of {amount} without an actor")


@register_check
def check_duplicate_refunds(*, deep: bool) -> Iterable[Problem]:
    """I3: no charge is refunded twice."""
    refunds = LedgerEntry.objects.filter(kind=Kind.REFUND).order_by().values("reverses").annotate(times=Count("id"))
    for charge, times in refunds.filter(times__gt=1).values_list("reverses", "times"):
        yield Problem("I3", f"ledger entry {charge}", f"refunded {times} times")


@register_check
def check_refund_amounts(*, deep: bool) -> Iterable[Problem]:
    """I4: a refund returns the amount of its charge to the same account."""
    charge = LedgerEntry.objects.filter(
        pk=OuterRef("reverses"),
        kind=Kind.CHARGE,
        amount=OuterRef("amount") * -1,
        account=OuterRef("account"),
        job_id=OuterRef("job_id"),
    )
    refunds = LedgerEntry.objects.filter(~Exists(charge), kind=Kind.REFUND)
    for pk, amount, charged in refunds.values_list("pk", "amount", "reverses__amount"):
        yield Problem("I4", f"ledger entry {pk}", f"refunds {amount} of a charge of {charged}")


@register_check
def check_duplicate_paid_calls(*, deep: bool) -> Iterable[Problem]:
    """I5: no job has two paid calls that may have been accepted."""
    possibly_accepted = PaidCall.objects.filter(outcome__in=[Outcome.IN_FLIGHT, Outcome.ACCEPTED, Outcome.UNCONFIRMED])
    counts = possibly_accepted.order_by().values("spend__job_id").annotate(calls=Count("id"))
    for job_id, calls in counts.filter(calls__gt=1).values_list("spend__job_id", "calls"):
        yield Problem("I5", f"job:{job_id}", f"{calls} paid calls may have been accepted")


@register_check
def check_spend_states(*, deep: bool) -> Iterable[Problem]:
    """I6: credits are reserved (state PROMISED) if and only if a paid call may cost them; budgets rely on it."""
    calls = PaidCall.objects.filter(spend=OuterRef("pk"))
    spends = Spend.objects.annotate(
        in_flight=Exists(calls.filter(outcome=Outcome.IN_FLIGHT)),
        sent=Exists(calls.filter(outcome__in=[Outcome.IN_FLIGHT, Outcome.ACCEPTED, Outcome.UNCONFIRMED])),
    )
    wrong = (
        Q(state=State.PROMISED, sent=False)
        | Q(state=State.ESTIMATED, sent=True)
        | Q(state=State.SETTLED, in_flight=True)
    )
    for job_id, state, sent in spends.filter(wrong).values_list("job_id", "state", "sent"):
        yield Problem("I6", f"job:{job_id}", f"{state} with {'a' if sent else 'no'} paid call that may cost something")


@register_check
def check_entry_causes(*, deep: bool) -> Iterable[Problem]:
    """I22: each entry has a cause. A charge has a job with that price; other entries have a note or a reference.

    A refund needs neither, because it names the charge that it reverses.
    """
    jobs = Spend.objects.filter(job_id=OuterRef("job_id"), user=OuterRef("account__user"))
    entries = LedgerEntry.objects.annotate(has_job=Exists(jobs.filter(user_credits=OuterRef("amount") * -1)))
    without_cause = entries.filter(
        Q(kind=Kind.CHARGE, has_job=False) | Q(note="", reference="") & ~Q(kind__in=[Kind.CHARGE, Kind.REFUND])
    )
    for pk, kind, amount in without_cause.values_list("pk", "kind", "amount"):
        yield Problem("I22", f"ledger entry {pk}", f"{kind} of {amount} without a cause")


@register_check
def check_missing_charges(*, deep: bool) -> Iterable[Problem]:
    """I22: every job was charged."""
    charged = LedgerEntry.objects.filter(
        kind=Kind.CHARGE,
        job_id=OuterRef("job_id"),
        account__user=OuterRef("user"),
        amount=OuterRef("user_credits") * -1,
    )
    for job_id, price in Spend.objects.filter(~Exists(charged)).values_list("job_id", "user_credits"):
        yield Problem("I22", f"job:{job_id}", f"was never charged its {price} credits")

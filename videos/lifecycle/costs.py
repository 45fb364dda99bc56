"""Reads from billing what tasks cost the users and what they cost us at the provider."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from billing.models import LedgerEntry, PaidCall, Spend
from videos.models import VideoTask


def read_spends(tasks: Iterable[VideoTask]) -> dict[UUID, Spend]:
    """The spends of these tasks by task id, in one query."""
    return {spend.job_id: spend for spend in Spend.objects.filter(job_id__in=[task.pk for task in tasks])}


@dataclass(frozen=True)
class TaskCosts:
    """All ledger entries of one task, its spend (the record of its provider cost) and its paid calls."""

    entries: list[LedgerEntry]
    spend: Spend | None
    calls: list[PaidCall]

    @property
    def difference(self) -> Decimal | None:
        """How much more it cost than estimated, in provider credits; None while its cost is not known."""
        return self.spend.difference if self.spend else None


def read_costs(task: VideoTask) -> TaskCosts:
    """The task's ledger entries, spend and paid calls, oldest first."""
    entries = LedgerEntry.objects.filter(job_id=task.pk).select_related("actor", "reverses").order_by("id")
    spend = Spend.objects.filter(job_id=task.pk).select_related("account").first()
    calls = PaidCall.objects.filter(spend=spend).order_by("id") if spend else PaidCall.objects.none()
    return TaskCosts(list(entries), spend, list(calls))

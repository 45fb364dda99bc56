"""Reads from billing what tasks cost the users and what they cost us at the provider."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from billing.models import LedgerEntry, PaidCall, Spend
from videos.models import VideoTask


def read_spends(tasks: Iterable[VideoTask]) -> dict[UUID, Spend]:
    """The spend of each of these tasks (the record of its cost at the provider) by task id, in one query."""
    return {spend.job_id: spend for spend in Spend.objects.filter(job_id__in=[task.pk for task in tasks])}


@dataclass(frozen=True)
class TaskCosts:
    """All ledger entries of one task, its spend (the record of its provider cost) and its paid calls."""

    entries: list[LedgerEntry]
    spend: Spend | None
    calls: list[PaidCall]

    @property
    def difference(self) -> Decimal | None:
        """How much more the task cost than estimated, in provider credits; None while its cost is not known."""
        return self.spend.difference if self.spend else None


def read_costs(task: VideoTask) -> TaskCosts:
    """Read the ledger entries, the spend and the paid calls of a task; entries and calls are ordered oldest first."""
    entries = LedgerEntry.objects.filter(job_id=task.pk).select_related("actor", "reverses").order_by("id")
    spend = Spend.objects.filter(job_id=task.pk).select_related("account").first()
    calls = PaidCall.objects.filter(spend=spend).order_by("id") if spend else PaidCall.objects.none()
    return TaskCosts(list(entries), spend, list(calls))

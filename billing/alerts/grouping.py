"""Alerts about single jobs. A kind has at most MAX_SEPARATE of them; one grouped alert stands for all further jobs.

A `GroupedJob` is the row of one job in a grouped alert. The rows are counted, so that the number in the alert is
exact. The grouped alert is resolved when the last of its jobs is, or by an operator.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

from accounts.seams import clock
from billing.alerts import services as alerts
from billing.models import Alert, GroupedJob

# Maximum number of open alerts of a kind about single jobs; later ones are grouped. Each concurrent process may add one
# more.
MAX_SEPARATE = 10


def raise_job_alert(
    kind: Alert.Kind,
    *,
    reference: str,
    cause: str = "",
    detail: str = "",
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Raise an alert about the job with this reference.

    Pass a `cause` if a job can have several alerts of this kind; by default the cause is the reference.
    """
    cause = cause or reference
    with transaction.atomic():
        if _is_separate(kind, cause):
            alerts.raise_alert(kind, cause=cause, detail=detail, facts=facts, reference=reference)
            return
        # Locks the grouped alert's row until the commit, so that a concurrent process counts this job too.
        alerts.raise_alert(kind, cause=alerts.GROUP_CAUSE)
        GroupedJob.objects.update_or_create(kind=kind, cause=cause, defaults={"reference": reference, "ended_at": None})
        _update_group(kind)


def resolve_job_alerts(kinds: Iterable[Alert.Kind], *, reference: str) -> None:
    """Resolve the alerts of these kinds about one job."""
    job_filter = {"kind__in": list(kinds), "reference": reference}
    for kind, cause in Alert.objects.filter(resolved_at=None, **job_filter).values_list("kind", "cause"):
        alerts.resolve_alerts(Alert.Kind(kind), cause=cause)
    grouped = GroupedJob.objects.filter(ended_at=None, **job_filter)
    # Always in the same order, so that two processes cannot deadlock.
    for kind in sorted(set(grouped.values_list("kind", flat=True))):
        with transaction.atomic():
            list(Alert.objects.select_for_update().filter(kind=kind, cause=alerts.GROUP_CAUSE, resolved_at=None))
            grouped.filter(kind=kind).update(ended_at=clock.now())
            _update_group(Alert.Kind(kind))


def _is_separate(kind: Alert.Kind, cause: str) -> bool:
    if GroupedJob.objects.filter(kind=kind, cause=cause, ended_at=None).exists():
        return False
    separate_alerts = Alert.objects.filter(kind=kind, resolved_at=None).exclude(cause=alerts.GROUP_CAUSE)
    return separate_alerts.filter(cause=cause).exists() or separate_alerts.count() < MAX_SEPARATE


def _update_group(kind: Alert.Kind) -> None:
    count = GroupedJob.objects.filter(kind=kind, ended_at=None).count()
    if count:
        alerts.update_facts(kind, cause=alerts.GROUP_CAUSE, facts={"say": ["many"], "videos": count})
    else:
        alerts.resolve_alerts(kind, cause=alerts.GROUP_CAUSE)

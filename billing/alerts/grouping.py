"""Alerts about single jobs: told one by one while they are few, and by one alert of their kind for all others when they are many.

Whoever is told of by that one has a row all the same, so that its number is true and nothing is lost. It ends with the
last of them, or when a person says so.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

from accounts.seams import clock
from billing.alerts import services as alerts
from billing.models import Alert, GatheredCause

# So many open ones of a kind stand alone. Processes that tell in one moment may each add one.
MAX_SEPARATE = 10


def raise_job_alert(
    kind: Alert.Kind,
    *,
    reference: str,
    cause: str = "",
    detail: str = "",
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Note an alert about the job that `reference` names; `cause` is that too, unless the job has several."""
    cause = cause or reference
    with transaction.atomic():
        if _stands_alone(kind, cause):
            alerts.raise_alert(kind, cause=cause, detail=detail, facts=facts, reference=reference)
            return
        # This holds the row of the one for all until we are done: who comes next counts ours as well.
        alerts.raise_alert(kind, cause=alerts.GROUP_CAUSE)
        GatheredCause.objects.update_or_create(
            kind=kind, cause=cause, defaults={"reference": reference, "ended_at": None}
        )
        _recount(kind)


def resolve_job_alerts(kinds: Iterable[Alert.Kind], *, reference: str) -> None:
    """End what is told in these kinds of one job."""
    told = {"kind__in": list(kinds), "reference": reference}
    for kind, cause in Alert.objects.filter(resolved_at=None, **told).values_list("kind", "cause"):
        alerts.resolve_alerts(Alert.Kind(kind), cause=cause)
    gathered = GatheredCause.objects.filter(ended_at=None, **told)
    # In one order for all, so that nobody waits in a circle.
    for kind in sorted(set(gathered.values_list("kind", flat=True))):
        with transaction.atomic():
            list(Alert.objects.select_for_update().filter(kind=kind, cause=alerts.GROUP_CAUSE, resolved_at=None))
            gathered.filter(kind=kind).update(ended_at=clock.now())
            _recount(Alert.Kind(kind))


def _stands_alone(kind: Alert.Kind, cause: str) -> bool:
    if GatheredCause.objects.filter(kind=kind, cause=cause, ended_at=None).exists():
        return False
    alone = Alert.objects.filter(kind=kind, resolved_at=None).exclude(cause=alerts.GROUP_CAUSE)
    return alone.filter(cause=cause).exists() or alone.count() < MAX_SEPARATE


def _recount(kind: Alert.Kind) -> None:
    many = GatheredCause.objects.filter(kind=kind, ended_at=None).count()
    if many:
        alerts.update_facts(kind, cause=alerts.GROUP_CAUSE, facts={"say": ["many"], "videos": many})
    else:
        alerts.resolve_alerts(kind, cause=alerts.GROUP_CAUSE)

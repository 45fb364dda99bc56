"""Alerts to operators about one video, raised while it has a certain status and resolved when it leaves that status."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from billing.alerts import grouping as alert_grouping
from billing.models import Alert
from videos.models import VideoTask

Kind = Alert.Kind

# These are resolved when the task ends, however it ends. All other kinds report an event and stay open.
KINDS_WHILE_RUNNING = (Kind.UNCONFIRMED, Kind.DELAYED, Kind.NOT_VISIBLE, Kind.ODD_ANSWER, Kind.DOWNLOAD_FAILED)


def raise_alert(
    task: VideoTask, kind: Alert.Kind, *, cause: str = "", detail: str = "", facts: Mapping[str, Any] | None = None
) -> None:
    """Raise an alert about a task, unless its status has changed since the caller read it."""
    with transaction.atomic():
        # The lock ensures that the next status change also resolves this alert.
        if VideoTask.objects.select_for_update().filter(pk=task.pk, status=task.status).first() is not None:
            alert_grouping.raise_job_alert(kind, reference=task.reference, cause=cause, detail=detail, facts=facts)


def resolve_all(reference: str) -> None:
    """Resolve the KINDS_WHILE_RUNNING alerts of a task that has ended or is no longer polled."""
    alert_grouping.resolve_job_alerts(KINDS_WHILE_RUNNING, reference=reference)

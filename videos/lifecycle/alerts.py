"""Operators' alerts about one video: raised while it is in the state where the problem was seen, resolved when it leaves."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from billing.alerts import grouping as alert_grouping
from billing.models import Alert
from videos.models import VideoTask

Kind = Alert.Kind

# These end with the video, whichever way it ends. All other kinds report something that has happened.
KINDS_WHILE_RUNNING = (Kind.UNCONFIRMED, Kind.DELAYED, Kind.NOT_VISIBLE, Kind.ODD_ANSWER, Kind.DOWNLOAD_FAILED)


def raise_alert(
    task: VideoTask, kind: Alert.Kind, *, cause: str = "", detail: str = "", facts: Mapping[str, Any] | None = None
) -> None:
    """Raise an alert about a task as the caller read it; nothing is raised if its status has changed since."""
    with transaction.atomic():
        # Locked, so that the act that moves the task on also resolves this alert.
        if VideoTask.objects.select_for_update().filter(pk=task.pk, status=task.status).first() is not None:
            alert_grouping.raise_job_alert(kind, reference=task.reference, cause=cause, detail=detail, facts=facts)


def resolve_all(reference: str) -> None:
    """Resolve them: the video is ready, has failed or was cancelled, or is no longer polled."""
    alert_grouping.resolve_job_alerts(KINDS_WHILE_RUNNING, reference=reference)

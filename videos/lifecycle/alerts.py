"""What operators are told of one video: while it stands where the trouble was seen, and no longer than that."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from billing.alerts import grouping as alert_grouping
from billing.models import Alert
from videos.models import VideoTask

Kind = Alert.Kind

# Over when the video comes to rest, whichever way. The others tell of something that has happened.
UNDER_WAY = (Kind.UNCONFIRMED, Kind.DELAYED, Kind.NOT_VISIBLE, Kind.ODD_ANSWER, Kind.UNDOWNLOADED)


def tell(
    task: VideoTask, kind: Alert.Kind, *, cause: str = "", detail: str = "", facts: Mapping[str, Any] | None = None
) -> None:
    """Of a task as the caller knows it; if it has moved on meanwhile, there is nothing to tell any more."""
    with transaction.atomic():
        # Locked: whoever moves it on ends what is told by then.
        if VideoTask.objects.select_for_update().filter(pk=task.pk, status=task.status).first() is not None:
            alert_grouping.raise_job_alert(kind, reference=task.reference, cause=cause, detail=detail, facts=facts)


def at_rest(reference: str) -> None:
    """The video is ready, has failed or was cancelled, or nobody waits for it any more."""
    alert_grouping.resolve_job_alerts(UNDER_WAY, reference=reference)

"""Mails to users who want them when a video is ready, or failed and refunded; at most one per video."""

import logging
from datetime import timedelta

from django.db.models import Q, QuerySet

from accounts.mail import sending as mail
from accounts.seams import clock
from videos.models import VideoTask
from videos.presentation.timeline import explain_failure

log = logging.getLogger(__name__)

Status = VideoTask.Status

# After a long outage, mails about older videos are not sent any more.
MAX_AGE = timedelta(hours=12)
MAX_PER_JOB = 20


def list_due() -> QuerySet[VideoTask]:
    """Finished tasks whose owners want a mail and have not received one."""
    wanted = Q(status=Status.READY, user__notify_ready=True) | Q(
        status=Status.FAILED, late_at=None, user__notify_failed=True
    )
    recent = VideoTask.objects.filter(
        wanted, notified_at=None, deleted_at=None, finished_at__gt=clock.now() - MAX_AGE, user__is_active=True
    )
    return recent.order_by("finished_at")


def send_due(*, limit: int = MAX_PER_JOB) -> int:
    """Send due mails; returns how many were sent. A mail that the server refuses is not retried."""
    sent = 0
    for task in list_due().select_related("user")[:limit]:
        # Marked before sending, because a missing mail after a crash is better than two mails.
        if not VideoTask.objects.filter(pk=task.pk, notified_at=None).update(notified_at=clock.now()):
            continue
        template = "video_ready" if task.status == Status.READY else "video_failed"
        try:
            mail.send(task.user, template, {"task": task, "failure": explain_failure(task)})
        except OSError as problem:
            log.warning("mail about %s not sent: %s", task.pk, type(problem).__name__)
        else:
            sent += 1
    return sent

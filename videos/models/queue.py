"""Rows of the queue: when each user was last served, and which jobs are requested."""

from django.conf import settings
from django.db import models

from accounts.seams import clock


class UserTurn(models.Model):
    """When a video of this user was last sent to the provider. The user whose turn was longest ago is next."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="turn")
    last_served_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.user_id} {self.last_served_at:%H:%M:%S}"


class JobRequest(models.Model):
    """One kind of job: when it was last enqueued and started.

    While such a job waits to start, no second one is enqueued. `videos.worker.sweep` also keeps rows for chores that run
    inside the job `tidy`, to know when each was last done.
    """

    name = models.CharField(primary_key=True, max_length=40)
    requested_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

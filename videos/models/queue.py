"""Rows of the queue: when each user was last served, and which jobs are requested."""

from django.conf import settings
from django.db import models

from accounts.seams import clock


class UserTurn(models.Model):
    """When a user's video was last sent. The user who was served longest ago is next."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="turn")
    last_served_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.user_id} {self.last_served_at:%H:%M:%S}"


class JobRequest(models.Model):
    """One kind of job: when it was last enqueued and started. While one waits to start, no second one is enqueued."""

    name = models.CharField(primary_key=True, max_length=40)
    requested_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

"""Small rows that keep the queue honest: who was served last, which bell was rung."""

from django.conf import settings
from django.db import models

from accounts.seams import clock


class UserTurn(models.Model):
    """When a user's video was last sent: the least recently served goes first."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="turn")
    last_served_at = models.DateTimeField(default=clock.now)

    def __str__(self) -> str:
        return f"{self.user_id} {self.last_served_at:%H:%M:%S}"


class Doorbell(models.Model):
    """One kind of look: rung when a job was enqueued for it, answered when a job began. A second ring meanwhile is saved."""

    name = models.CharField(primary_key=True, max_length=40)
    rung_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

"""Stops by the spending monitor. Only `billing.guard.anomalies` writes them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.seams import clock
from billing.models.provider import ProviderAccount


class WatchTrip(models.Model):
    """One stop by the spending monitor: it paused an account, or held one user's new videos.

    `seen` is the value that caused the stop. `billing.guard.anomalies` explains when the monitor may stop again.
    """

    class Kind(models.TextChoices):
        SPEND = "spend", _("Unusual spending")  # `seen` and `usual` are provider credits ordered in the hour
        FAILURES = "failures", _("Unusually many failures")  # `seen` and `usual` are shares of the jobs that ended
        BURST = "burst", _("One user's burst")  # `seen` and `usual` are orders in ten minutes

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    account = models.ForeignKey(
        ProviderAccount, models.CASCADE, related_name="trips", verbose_name=_("provider account")
    )
    # The user of a burst; empty for kinds that stop everybody.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("user")
    )
    seen = models.DecimalField(_("seen"), max_digits=16, decimal_places=4)
    usual = models.DecimalField(_("usual"), max_digits=16, decimal_places=4)
    at = models.DateTimeField(_("at"), default=clock.now)
    # When the stop ends automatically; empty if an operator must end it.
    until = models.DateTimeField(_("until"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    by_person = models.BooleanField(_("ended by an operator"), default=False)

    class Meta:
        verbose_name = _("spending monitor stop")
        verbose_name_plural = _("spending monitor stops")
        ordering = ("-at", "-id")
        constraints = (
            models.CheckConstraint(
                condition=Q(kind="burst", user__isnull=False) | (~Q(kind="burst") & Q(user__isnull=True)),
                name="watch_trip_burst_has_user",
            ),
            # Two concurrent runs of the monitor must not record the same stop twice.
            models.UniqueConstraint(
                fields=["account"], condition=Q(ended_at=None, user=None), name="watch_trip_one_open_of_account"
            ),
            models.UniqueConstraint(fields=["user"], condition=Q(ended_at=None), name="watch_trip_one_open_of_user"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.seen} ({self.usual})"

"""Stops by the spending monitor. Only `billing.guard.anomalies` writes them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.seams import clock
from billing.models.provider import ProviderAccount


class WatchTrip(models.Model):
    """One stop by the spending monitor. Afterwards it stops again only above the amount `seen` in this one."""

    class Kind(models.TextChoices):
        SPEND = "spend", _("Unusual spending")  # `seen` and `usual` are provider credits ordered in the hour
        FAILURES = "failures", _("Unusually many failures")  # they are shares of the jobs that ended
        BURST = "burst", _("One user's burst")  # they are orders of the user in ten minutes

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
    # When it ends automatically; empty if an operator must end it.
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
            # Concurrent runs of the monitor stop only once.
            models.UniqueConstraint(
                fields=["account"], condition=Q(ended_at=None, user=None), name="watch_trip_one_open_of_account"
            ),
            models.UniqueConstraint(fields=["user"], condition=Q(ended_at=None), name="watch_trip_one_open_of_user"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.seen} ({self.usual})"

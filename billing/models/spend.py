"""What jobs cost us at the provider. Only `billing.costs.spend` writes it."""

from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.seams import clock
from billing.models.provider import ProviderAccount


class Spend(models.Model):
    """The cost of a job in provider credits: estimated when ordered, reserved when sent, actual when settled.

    The state PROMISED means that the credits are reserved: the job was sent and its cost is not known yet.
    """

    class State(models.TextChoices):
        ESTIMATED = "estimated", _("Estimated")
        PROMISED = "promised", _("Promised")
        SETTLED = "settled", _("Settled")

    class Basis(models.TextChoices):
        REPORTED = "reported", _("Reported by the provider")
        PRICE_LIST = "price_list", _("Price list")
        NOT_SPENT = "not_spent", _("Refused or never sent")
        ASSUMED = "assumed", _("Assumed for a failed job")
        POSSIBLE = "possible", _("Possibly spent: outcome unknown")

    job_id = models.UUIDField(_("job"), unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("user"))
    account = models.ForeignKey(
        ProviderAccount, models.PROTECT, null=True, blank=True, related_name="spends", verbose_name=_("account")
    )
    model = models.CharField(_("model"), max_length=40)
    resolution = models.CharField(_("resolution"), max_length=8)
    kind = models.CharField(_("kind"), max_length=12)
    user_credits = models.PositiveIntegerField(_("user credits"))
    estimated = models.DecimalField(_("estimated provider credits"), max_digits=12, decimal_places=4)
    actual = models.DecimalField(_("actual provider credits"), max_digits=12, decimal_places=4, null=True, blank=True)
    usd_per_credit = models.DecimalField(_("US$ per provider credit"), max_digits=10, decimal_places=6)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.ESTIMATED)
    basis = models.CharField(_("basis"), max_length=12, choices=Basis, blank=True)
    # The ids of the budget windows that count this job, and the amount counted. Written by `billing.budgets.usage`.
    counted_in = models.JSONField(default=list, editable=False)
    counted = models.DecimalField(max_digits=12, decimal_places=4, default=Decimal(0), editable=False)
    created_at = models.DateTimeField(_("estimated at"), default=clock.now)
    promised_at = models.DateTimeField(_("promised at"), null=True, blank=True)
    settled_at = models.DateTimeField(_("settled at"), null=True, blank=True)

    class Meta:
        verbose_name = _("spend")
        verbose_name_plural = _("spend")
        indexes = (
            # The first two indexes hold only unsettled jobs, so they stay small. They serve the limit of active
            # jobs and the sum of reserved credits.
            models.Index(fields=["user"], name="spend_open_of_user", condition=~Q(state="settled")),
            models.Index(fields=["account"], name="spend_promised", condition=Q(state="promised")),
            models.Index(fields=["created_at"], name="spend_by_time"),
            # Jobs settled in a time range, for reconciliation.
            models.Index(fields=["account", "settled_at"], name="spend_settled", condition=Q(state="settled")),
            # The latest costs of each item that the provider reported.
            models.Index(
                fields=["model", "resolution", "kind", "-settled_at"],
                name="spend_reported",
                condition=Q(state="settled", basis="reported"),
            ),
        )
        constraints = (
            models.CheckConstraint(condition=Q(estimated__gt=0), name="spend_estimate_above_zero"),
            models.CheckConstraint(
                condition=Q(state="settled", actual__isnull=False, settled_at__isnull=False, actual__gte=0)
                | (~Q(state="settled") & Q(actual__isnull=True, settled_at__isnull=True)),
                name="spend_settled_has_actual",
            ),
        )

    def __str__(self) -> str:
        return f"{self.job_id}: {self.actual if self.actual is not None else self.estimated}"

    @property
    def difference(self) -> Decimal | None:
        """Actual minus estimated provider credits; None while the cost is not known."""
        return None if self.actual is None else self.actual - self.estimated


class PaidCall(models.Model):
    """A paid request to the provider, stored before it is sent.

    For each spend, the database allows only one call that was accepted or may have been accepted.
    """

    class Outcome(models.TextChoices):
        # In flight: no response yet. Unconfirmed: no clear response, so the provider may have accepted the call.
        IN_FLIGHT = "in_flight", _("In flight")
        ACCEPTED = "accepted", _("Accepted")
        REFUSED = "refused", _("Refused")
        NOT_SENT = "not_sent", _("Not sent")
        UNCONFIRMED = "unconfirmed", _("Unconfirmed")

    spend = models.ForeignKey(Spend, models.PROTECT, related_name="calls", verbose_name=_("spend"))
    account = models.ForeignKey(ProviderAccount, models.PROTECT, related_name="calls", verbose_name=_("account"))
    started_at = models.DateTimeField(_("started at"))
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=12, choices=Outcome, default=Outcome.IN_FLIGHT)
    code = models.CharField(_("code"), max_length=40, blank=True)
    detail = models.CharField(_("detail"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("paid call")
        verbose_name_plural = _("paid calls")
        indexes = (
            # Calls that may have reached the provider in the last seconds, for the rate limit.
            models.Index(fields=["account", "answered_at"], name="paid_call_window"),
        )
        constraints = (
            # Prevents paying twice: a second request for the same spend cannot be stored while the first may have been accepted.
            models.UniqueConstraint(
                fields=["spend"],
                condition=Q(outcome__in=["in_flight", "accepted", "unconfirmed"]),
                name="paid_call_one_live_per_spend",
            ),
        )

    def __str__(self) -> str:
        return f"{self.spend.job_id} {self.outcome}"

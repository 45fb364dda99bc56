"""Our accounts at providers. Written by `billing.provider` and `billing.guard`, unless a comment says otherwise."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.seams import clock


class ProviderAccount(models.Model):
    """A key at a provider: its balance, and whether new work is paused, blocked by a refusal or stopped by the circuit breaker.

    Sending a video locks the row, so that decisions about spending are made one at a time.
    """

    class Source(models.TextChoices):
        ENVIRONMENT = "environment", _("Environment")
        ADMIN = "admin", _("Admin")
        SANDBOX = "sandbox", _("Sandbox")

    class Parked(models.TextChoices):
        """Why the provider refuses us. The stored word for a blocked account is `parked`.

        The block ends automatically when a sufficient balance is read (`billing.provider.accounts.record_balance`).
        """

        OUT_OF_CREDITS = "out_of_credits", _("Out of provider credits")
        ACCESS_DENIED = "access_denied", _("Key or address refused")

    class Pause(models.TextChoices):
        """Why an operator or the spending monitor stopped new work."""

        MAINTENANCE = "maintenance", _("Maintenance")
        PROVIDER = "provider", _("Problems at the provider")
        COST = "cost", _("Costs are being checked")
        UNUSUAL_SPEND = "unusual_spend", _("Unusual spending")
        OWN_WORDS = "own_words", _("Own text")

    class Breaker(models.TextChoices):
        # Closed: jobs are sent. Open: none is sent. Half-open: one job was sent as a probe, to see whether it succeeds.
        CLOSED = "closed", _("Closed")
        OPEN = "open", pgettext_lazy("circuit breaker", "Open")
        HALF_OPEN = "half_open", _("Half-open")

    provider = models.CharField(_("provider"), max_length=20, default="kie")
    label = models.CharField(_("label"), max_length=80)
    source = models.CharField(_("source"), max_length=12, choices=Source)
    base_url = models.URLField(_("address"), max_length=300)
    upload_base_url = models.URLField(_("upload address"), max_length=300)
    key_fingerprint = models.CharField(_("key fingerprint"), max_length=64, editable=False)
    sealed_key = models.TextField(_("sealed key"), blank=True, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(_("created at"), default=clock.now, editable=False)

    balance = models.DecimalField(_("balance"), max_digits=14, decimal_places=4, null=True, blank=True, editable=False)
    balance_at = models.DateTimeField(_("balance read at"), null=True, blank=True, editable=False)
    # Provider credits that the last reconciliation could not explain (negative: credits are missing).
    # Written by `billing.reconciliation.reconcile`.
    unexplained = models.DecimalField(
        _("unexplained"), max_digits=14, decimal_places=4, null=True, blank=True, editable=False
    )
    unexplained_at = models.DateTimeField(_("reconciled at"), null=True, blank=True, editable=False)

    paused_at = models.DateTimeField(_("paused at"), null=True, blank=True, editable=False)
    paused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", editable=False
    )
    # Users read the text of the code. If the code is OWN_WORDS, they read the reason; otherwise only operators read it.
    pause_code = models.CharField(_("pause"), max_length=20, choices=Pause, blank=True, editable=False)
    pause_reason = models.CharField(_("pause reason"), max_length=300, blank=True, editable=False)
    # The reason in several languages, by language code.
    pause_words = models.JSONField(_("pause reason in other languages"), default=dict, blank=True, editable=False)
    # Empty if the pause lasts until an operator resumes work.
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True, editable=False)
    parked_as = models.CharField(_("parked"), max_length=20, choices=Parked, blank=True, editable=False)
    parked_at = models.DateTimeField(_("parked at"), null=True, blank=True, editable=False)
    breaker = models.CharField(_("breaker"), max_length=10, choices=Breaker, default=Breaker.CLOSED, editable=False)
    # When the breaker entered its present state. While the breaker is closed, only outcomes after this time count.
    breaker_at = models.DateTimeField(_("breaker changed at"), null=True, blank=True, editable=False)
    breaker_opened = models.PositiveIntegerField(_("openings in a row"), default=0, editable=False)
    breaker_until = models.DateTimeField(_("breaker open until"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("provider account")
        verbose_name_plural = _("provider accounts")
        constraints = (
            models.UniqueConstraint(
                fields=["provider", "base_url", "key_fingerprint"], name="provider_account_one_key"
            ),
            models.CheckConstraint(
                condition=Q(paused_at__isnull=True) | ~Q(pause_reason="") | ~Q(pause_code__in=["", "own_words"]),
                name="provider_account_pause_has_reason",
            ),
        )

    def __str__(self) -> str:
        return self.label

    def is_paused_at(self, at: datetime) -> bool:
        """Whether a pause stops new work at this time."""
        return self.paused_at is not None and (self.paused_until is None or self.paused_until > at)

    @property
    def cause(self) -> str:
        """The cause of alerts about this account; not the label, which may not be unique."""
        return self.cause_of(self.pk)

    @staticmethod
    def cause_of(account_id: int) -> str:
        return f"provider account {account_id}"


class ProviderOutcome(models.Model):
    """The outcome of a call to the provider, from which the circuit breaker decides.

    A row is never changed, and is deleted after a day. Every paid call and every failed free call gets a row. A
    successful free call gets one only while there are recent failures.
    """

    class Call(models.TextChoices):
        PAID = "paid", _("Order")
        POLL = "poll", _("Poll")
        BALANCE = "balance", _("Balance")

    account = models.ForeignKey(ProviderAccount, models.CASCADE, related_name="outcomes", verbose_name=_("account"))
    call = models.CharField(_("call"), max_length=8, choices=Call, default=Call.PAID)
    is_ok = models.BooleanField(_("succeeded"))
    detail = models.CharField(_("detail"), max_length=300, blank=True)
    at = models.DateTimeField(_("at"), default=clock.now)

    class Meta:
        verbose_name = _("provider outcome")
        verbose_name_plural = _("provider outcomes")
        ordering = ("-id",)
        indexes = (
            # An account's last calls, for the circuit breaker.
            models.Index(fields=["account", "-at"], name="outcome_window"),
        )

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {'ok' if self.is_ok else self.detail}"


class UserHold(models.Model):
    """Refuses one user's new orders and keeps the waiting jobs of that user in the queue.

    A hold is set by an operator, or by the spending monitor after an unusual burst of orders.
    """

    class Code(models.TextChoices):
        BURST = "burst", _("Unusually many videos at once")
        OPERATOR = "person", _("By an operator")  # `person` is only the stored value

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="spend_hold", verbose_name=_("user")
    )
    code = models.CharField(_("why"), max_length=10, choices=Code)
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    held_at = models.DateTimeField(_("held at"), default=clock.now)
    held_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("by")
    )
    # Empty if the hold lasts until an operator releases it.
    until = models.DateTimeField(_("until"), null=True, blank=True)

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        ordering = ("-held_at",)

    def __str__(self) -> str:
        return f"{self.user_id} {self.code}"


class BalanceSnapshot(models.Model):
    """A reading of the provider's balance, and the credits reserved for open jobs at that time."""

    account = models.ForeignKey(ProviderAccount, models.PROTECT, related_name="snapshots", verbose_name=_("account"))
    balance = models.DecimalField(_("balance"), max_digits=14, decimal_places=4)
    promised = models.DecimalField(_("promised"), max_digits=14, decimal_places=4)
    taken_at = models.DateTimeField(_("taken at"), default=clock.now)

    class Meta:
        verbose_name = _("balance snapshot")
        verbose_name_plural = _("balance snapshots")
        ordering = ("-taken_at",)
        indexes = (
            # An account's balance history, newest first.
            models.Index(fields=["account", "-taken_at"], name="snapshot_history"),
        )

    def __str__(self) -> str:
        return f"{self.balance} · {self.taken_at:%Y-%m-%d %H:%M}"

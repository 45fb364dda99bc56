"""What operators must know. Written by `billing.alerts.services` alone."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.seams import clock


class Alert(models.Model):
    """One cause in one window, however often it was triggered."""

    class Severity(models.TextChoices):
        INFO = "info", _("Notice")
        WARNING = "warning", _("Warning")
        CRITICAL = "critical", _("Critical")

    class Kind(models.TextChoices):
        LOW_BALANCE = "low_balance", _("Provider balance is low")
        CRITICAL_BALANCE = "critical_balance", _("Provider balance is critical: new work waits")
        OUT_OF_CREDITS = "out_of_credits", _("Provider says: out of credits")
        ACCESS_DENIED = "access_denied", _("Provider refuses our key or address")
        PROVIDER_TROUBLE = "provider_trouble", _("Provider trouble: breaker open")
        UNCONFIRMED = "unconfirmed", _("A paid request is unconfirmed")
        POSSIBLE_SPEND = "possible_spend", _("Refunded although the provider may have charged")
        DELAYED = "delayed", _("A video takes unusually long")
        NOT_VISIBLE = "not_visible", _("The provider does not know a task of ours")
        ODD_ANSWER = "odd_answer", _("The provider answers in a way we do not know")
        FORBIDDEN_ADDRESS = "forbidden_address", _("A result points to a forbidden address")
        UNDOWNLOADED = "undownloaded", _("A result cannot be downloaded")
        ORPHAN_CALLBACK = "orphan_callback", _("A callback for no task of ours")
        BAD_SIGNATURE = "bad_signature", _("A callback's signature is wrong")
        STORAGE = "storage", _("Media storage has trouble")
        WORKER = "worker", _("The worker was restarted")
        BOOKS = "books", _("The books do not balance")
        BOOKS_LATE = "books_late", _("The books were not looked at for long")
        LATE_RESULT = "late_result", _("A video came after its refund")
        BUDGET_SOFT = "budget_soft", _("A budget is almost spent")
        BUDGET_HARD = "budget_hard", _("A budget is spent: new work waits")
        UNUSUAL_SPEND = "unusual_spend", _("Unusual spending")
        FAILURE_RATE = "failure_rate", _("Unusually many videos fail")
        USER_BURST = "user_burst", _("One user orders unusually much")
        UNEXPLAINED_SPEND = "unexplained_spend", _("Provider credits are gone that no video explains")
        PRICE_CHANGED = "price_changed", _("The provider charges another price")
        NEGATIVE_MARGIN = "negative_margin", _("A price is below what it costs us")
        CALLBACKS_DRY = "callbacks_dry", _("Callbacks stopped coming")
        SUMMARY_UNSENT = "summary_unsent", _("The daily summary was not sent")
        TEST = "test", _("A test")

    kind = models.CharField(_("kind"), max_length=24, choices=Kind)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity)
    cause = models.CharField(_("cause"), max_length=200, blank=True)
    # In English, as it was told; `facts` say the same in any language (`billing.alerts.messages`), if they are ours to say.
    detail = models.TextField(_("detail"), blank=True)
    facts = models.JSONField(_("facts"), default=dict, blank=True)
    reference = models.CharField(_("reference"), max_length=200, blank=True, db_index=True)
    window_key = models.CharField(_("window"), max_length=300, unique=True, editable=False)
    count = models.PositiveIntegerField(_("times"), default=1)
    first_at = models.DateTimeField(_("first at"), default=clock.now)
    last_at = models.DateTimeField(_("last at"), default=clock.now)
    reopened_at = models.DateTimeField(_("open again since"), null=True, blank=True)
    acknowledged_at = models.DateTimeField(_("acknowledged at"), null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("by")
    )
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True, blank=True)
    snoozed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("snoozed by")
    )
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = ("-last_at",)
        indexes = (
            # The inbox and the banner: what is open, however long the history is.
            models.Index(fields=["-last_at"], name="alert_open", condition=Q(resolved_at=None, acknowledged_at=None)),
            # What ends with its cause.
            models.Index(fields=["kind", "cause"], name="alert_open_kind", condition=Q(resolved_at=None)),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.cause}" if self.cause else self.get_kind_display()


class GatheredCause(models.Model):
    """A job of which the one alert for many of a kind tells. Written by `billing.alerts`."""

    kind = models.CharField(max_length=24)
    cause = models.CharField(max_length=200)
    reference = models.CharField(max_length=200, db_index=True)
    told_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (models.Index(fields=["kind"], name="gathered_open", condition=Q(ended_at=None)),)
        constraints = (models.UniqueConstraint(fields=["kind", "cause"], name="gathered_once"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.cause}"


class AlertDelivery(models.Model):
    """News of an alert on its way to one address: that it began, and that it is over. Written by `billing.alerts.outbox`."""

    class Channel(models.TextChoices):
        EMAIL = "email", _("E-mail")
        WEBHOOK = "webhook", _("Webhook")

    class Event(models.TextChoices):
        RAISED = "raised", _("Began")
        OVER = "over", _("Over")

    class State(models.TextChoices):
        DUE = "due", _("Due")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Given up")

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="deliveries", verbose_name=_("alert"))
    channel = models.CharField(_("by"), max_length=10, choices=Channel)
    event = models.CharField(_("news"), max_length=6, choices=Event, default=Event.RAISED)
    # A mail address, or the host of a webhook, whose path may be a secret.
    address = models.CharField(_("to"), max_length=300)
    # Counts up when the same news is due anew: a critical alert that opened again.
    round = models.PositiveSmallIntegerField(_("time"), default=1)
    state = models.CharField(_("state"), max_length=6, choices=State, default=State.DUE)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due at"), default=clock.now)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("alert delivery")
        verbose_name_plural = _("alert deliveries")
        ordering = ("-id",)
        indexes = (
            models.Index(fields=["due_at"], name="alert_delivery_due", condition=Q(state="due")),
            # How many mails an address was sent lately.
            models.Index(fields=["address", "-sent_at"], name="alert_delivery_lately"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=["alert", "channel", "address", "event"], name="alert_delivery_once_per_event"
            ),
        )

    def __str__(self) -> str:
        return f"{self.channel} {self.state}"


class DailySummary(models.Model):
    """The operators' morning mail about one day: whoever makes its row sends it. Written by `reports.summary_schedule`."""

    day = models.DateField(_("day"), unique=True)
    # Whom it has not reached yet.
    waiting = models.JSONField(_("still to be sent to"), default=list)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due at"), default=clock.now)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)

    class Meta:
        verbose_name = _("daily summary")
        verbose_name_plural = _("daily summaries")

    def __str__(self) -> str:
        return str(self.day)

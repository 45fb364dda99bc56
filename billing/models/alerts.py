"""Alerts to operators and their deliveries. Only `billing.alerts` writes them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.seams import clock


class Alert(models.Model):
    """An alert to operators: one row for each kind and cause in a calendar period (the window).

    `count` says how often the alert was raised in that period.
    """

    class Severity(models.TextChoices):
        INFO = "info", _("Notice")
        WARNING = "warning", _("Warning")
        CRITICAL = "critical", _("Critical")

    class Kind(models.TextChoices):
        # A stored value that differs from its name (`books`, `undownloaded`) is in the database and must not change.
        LOW_BALANCE = "low_balance", _("Provider balance is low")
        CRITICAL_BALANCE = "critical_balance", _("Provider balance is critical: new videos wait")
        OUT_OF_CREDITS = "out_of_credits", _("Provider account is out of credits")
        ACCESS_DENIED = "access_denied", _("Provider refuses our key or address")
        PROVIDER_TROUBLE = "provider_trouble", _("Provider trouble: circuit breaker open")
        UNCONFIRMED = "unconfirmed", _("A paid request is unconfirmed")
        POSSIBLE_SPEND = "possible_spend", _("Refunded although the provider may have charged")
        DELAYED = "delayed", _("A video takes unusually long")
        NOT_VISIBLE = "not_visible", _("The provider does not know one of our tasks")
        ODD_ANSWER = "odd_answer", _("The provider sent an unknown answer")
        FORBIDDEN_ADDRESS = "forbidden_address", _("A result points to a forbidden address")
        DOWNLOAD_FAILED = "undownloaded", _("A result cannot be downloaded")
        ORPHAN_CALLBACK = "orphan_callback", _("A callback for an unknown task")
        BAD_SIGNATURE = "bad_signature", _("A callback's signature is wrong")
        STORAGE = "storage", _("Media storage has trouble")
        WORKER = "worker", _("The worker was restarted")
        BOOKS_UNBALANCED = "books", _("The books do not balance")
        BOOKS_LATE = "books_late", _("The books have not been checked for long")
        LATE_RESULT = "late_result", _("A video arrived after its refund")
        BUDGET_SOFT = "budget_soft", _("A budget is almost used up")
        BUDGET_HARD = "budget_hard", _("A budget is used up: new videos wait")
        UNUSUAL_SPEND = "unusual_spend", _("Unusual spending")
        FAILURE_RATE = "failure_rate", _("Unusually many videos failed")
        USER_BURST = "user_burst", _("One user ordered unusually many videos")
        UNEXPLAINED_SPEND = "unexplained_spend", _("Provider credits are missing without explanation")
        PRICE_CHANGED = "price_changed", _("The provider charges a different price")
        NEGATIVE_MARGIN = "negative_margin", _("A price is below its cost")
        CALLBACKS_STOPPED = "callbacks_dry", _("Callbacks stopped arriving")
        SUMMARY_UNSENT = "summary_unsent", _("The daily summary was not sent")
        TEST = "test", _("Test")

    kind = models.CharField(_("kind"), max_length=24, choices=Kind)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity)
    cause = models.CharField(_("cause"), max_length=200, blank=True)
    # The text in English; `billing.alerts.messages` builds it from `facts` in any language.
    detail = models.TextField(_("detail"), blank=True)
    facts = models.JSONField(_("facts"), default=dict, blank=True)
    reference = models.CharField(_("reference"), max_length=200, blank=True, db_index=True)
    # Kind, cause and window of the alert in one text, so that there is only one row for them.
    window_key = models.CharField(_("window"), max_length=300, unique=True, editable=False)
    count = models.PositiveIntegerField(_("times"), default=1)
    first_at = models.DateTimeField(_("first at"), default=clock.now)
    last_at = models.DateTimeField(_("last at"), default=clock.now)
    reopened_at = models.DateTimeField(_("reopened at"), null=True, blank=True)
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
            # The inbox and the banner read open alerts only.
            models.Index(fields=["-last_at"], name="alert_open", condition=Q(resolved_at=None, acknowledged_at=None)),
            # Used to resolve the alerts of a cause.
            models.Index(fields=["kind", "cause"], name="alert_open_kind", condition=Q(resolved_at=None)),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} · {self.cause}" if self.cause else self.get_kind_display()


class GroupedJob(models.Model):
    """A job in a grouped alert, which stands for many jobs of one kind. Written by `billing.alerts.grouping`."""

    kind = models.CharField(max_length=24)
    cause = models.CharField(max_length=200)
    reference = models.CharField(max_length=200, db_index=True)
    reported_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (models.Index(fields=["kind"], name="grouped_job_open", condition=Q(ended_at=None)),)
        constraints = (models.UniqueConstraint(fields=["kind", "cause"], name="grouped_job_once"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.cause}"


class AlertDelivery(models.Model):
    """A notification for one address that an alert was raised or resolved. Written by `billing.alerts.outbox`."""

    class Channel(models.TextChoices):
        EMAIL = "email", _("E-mail")
        WEBHOOK = "webhook", _("Webhook")

    class Event(models.TextChoices):
        RAISED = "raised", _("Raised")
        RESOLVED = "over", _("Resolved")  # `over` is only the stored value

    class State(models.TextChoices):
        DUE = "due", _("Due")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Given up")

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="deliveries", verbose_name=_("alert"))
    channel = models.CharField(_("by"), max_length=10, choices=Channel)
    event = models.CharField(_("event"), max_length=6, choices=Event, default=Event.RAISED)
    # An e-mail address, or the host of a webhook without its path, because the path may be secret.
    address = models.CharField(_("to"), max_length=300)
    # How often the alert was reported with this row. A reopened critical alert is reported again with the same row.
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
            # The latest e-mails to an address.
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
    """The daily e-mail to operators about one day. Written by `billing.reports.summary_schedule`."""

    day = models.DateField(_("day"), unique=True)
    # The addresses that have not received the summary yet.
    waiting = models.JSONField(_("still to be sent to"), default=list)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due at"), default=clock.now)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)

    class Meta:
        verbose_name = _("daily summary")
        verbose_name_plural = _("daily summaries")

    def __str__(self) -> str:
        return str(self.day)

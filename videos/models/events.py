"""The history of tasks: their events, and the callbacks received."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.seams import clock
from videos.models.tasks import VideoTask


class TaskEvent(models.Model):
    """One event in the history of a task, shown to its user and to operators.

    `videos.lifecycle` writes events; they are never changed.
    """

    class Kind(models.TextChoices):
        CHARGED = "charged", _("Charged")
        WAITING = "waiting", _("Waiting")
        CLAIMED = "claimed", _("Being sent")
        REQUEUED = "requeued", _("Back in the queue")
        ACCEPTED = "accepted", _("Accepted by the provider")
        UNCONFIRMED = "unconfirmed", _("No answer: unconfirmed")
        ADOPTED = "adopted", _("Found again at the provider")
        DELAYED = "delayed", _("Takes longer than usual")
        PROVIDER_DONE = "provider_done", _("Finished by the provider")
        STORED = "stored", _("Saved and checked")
        READY = "ready", _("Ready")
        REFUSED = "refused", _("Refused by the provider")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")
        REFUNDED = "refunded", _("Credits returned")
        LATE_RESULT = "late_result", _("Arrived after the refund")
        DELETED = "deleted", _("Deleted by its owner")
        NOTE = "note", _("Note")

    task = models.ForeignKey(VideoTask, models.CASCADE, related_name="events", verbose_name=_("task"))
    at = models.DateTimeField(_("at"), default=clock.now)
    kind = models.CharField(_("event"), max_length=16, choices=Kind)
    from_status = models.CharField(_("from"), max_length=12, blank=True)
    to_status = models.CharField(_("to"), max_length=12, blank=True)
    code = models.CharField(_("code"), max_length=40, blank=True)
    detail = models.CharField(_("detail"), max_length=500, blank=True)
    user_credits = models.IntegerField(_("user credits"), null=True, blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("actor")
    )

    class Meta:
        verbose_name = _("task event")
        verbose_name_plural = _("task events")
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.kind}"


class CallbackReceipt(models.Model):
    """A callback as received (shortened if very long), and how it was handled. Written by `videos.pipeline`."""

    class Verdict(models.TextChoices):
        PENDING = "pending", _("Not yet checked")
        USED = "used", _("Led to a poll")
        MALFORMED = "malformed", _("Malformed")
        UNWANTED = "unwanted", _("Not needed")
        BAD_SIGNATURE = "bad_signature", _("Wrong signature")
        ORPHAN = "orphan", _("No such task")
        REJECTED = "rejected", _("Names a task that is not ours")

    task = models.ForeignKey(
        VideoTask, models.CASCADE, null=True, blank=True, related_name="callbacks", verbose_name=_("task")
    )
    provider_task_id = models.CharField(_("provider task id"), max_length=160, blank=True, db_index=True)
    body_sha256 = models.CharField(_("sha256 of the body"), max_length=64)
    body = models.TextField(_("body"), blank=True)
    content_type = models.CharField(_("content type"), max_length=100, blank=True)
    verdict = models.CharField(_("verdict"), max_length=14, choices=Verdict, default=Verdict.PENDING)
    problem = models.CharField(_("problem"), max_length=200, blank=True)
    signed = models.BooleanField(_("signed"), default=False)
    times = models.PositiveIntegerField(_("times"), default=1)
    received_at = models.DateTimeField(_("received at"), default=clock.now)
    last_at = models.DateTimeField(_("last at"), default=clock.now)

    class Meta:
        verbose_name = _("callback")
        verbose_name_plural = _("callbacks")
        ordering = ("-received_at",)
        constraints = (
            models.UniqueConstraint(fields=["task", "body_sha256"], name="callback_one_row_per_body"),
            models.UniqueConstraint(
                fields=["body_sha256"], condition=models.Q(task=None), name="callback_one_row_per_orphan_body"
            ),
        )

    def __str__(self) -> str:
        return f"{self.received_at:%Y-%m-%d %H:%M:%S} {self.verdict}"

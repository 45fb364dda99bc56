"""The video task: the order, its status, and when it is due."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.seams import clock, randomness
from billing.models import ProviderAccount


class VideoTask(models.Model):
    """One ordered video, from the charge to the stored file. Times are those of the database's clock.

    `due_at` is when a job handles the task next. A worker that is about to send the task claims it: until `lease_until`
    the task is reserved for that worker. Each claim raises `fence`, and later writes by the worker need this number.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        SUBMITTING = "submitting", _("Sending")
        UNCONFIRMED = "unconfirmed", _("Unconfirmed")
        GENERATING = "generating", _("Generating")
        DOWNLOADING = "downloading", _("Saving")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    FINAL: ClassVar[tuple[str, ...]] = (Status.READY, Status.FAILED, Status.CANCELLED)
    LIVE: ClassVar[tuple[str, ...]] = (
        Status.QUEUED,
        Status.SUBMITTING,
        Status.UNCONFIRMED,
        Status.GENERATING,
        Status.DOWNLOADING,
    )
    RUNNING: ClassVar[tuple[str, ...]] = (Status.SUBMITTING, Status.UNCONFIRMED, Status.GENERATING)

    class GenerationType(models.TextChoices):
        TEXT = "TEXT_2_VIDEO", _("Text")
        FRAMES = "FIRST_AND_LAST_FRAMES_2_VIDEO", _("First and last frame")
        REFERENCE = "REFERENCE_2_VIDEO", _("Reference images")

    id = models.UUIDField(primary_key=True, default=randomness.new_uuid, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="video_tasks", verbose_name=_("user")
    )
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.QUEUED)

    # The order. These fields never change.
    prompt = models.TextField(_("prompt"))
    model = models.CharField(_("model"), max_length=40)
    aspect_ratio = models.CharField(_("aspect ratio"), max_length=8)
    resolution = models.CharField(_("resolution"), max_length=8)
    duration_s = models.PositiveSmallIntegerField(_("duration in seconds"))
    generation_type = models.CharField(
        _("made from"), max_length=32, choices=GenerationType, default=GenerationType.TEXT
    )
    seed = models.PositiveIntegerField(_("seed"), null=True, blank=True)
    watermark = models.CharField(_("watermark"), max_length=60, blank=True)
    enable_translation = models.BooleanField(_("translate the prompt to English"), default=True)
    images = models.ManyToManyField("videos.SourceImage", through="videos.TaskImage", related_name="tasks")
    idempotency_key = models.CharField(_("idempotency key"), max_length=100)
    order_hash = models.CharField(_("hash of the order"), max_length=64)
    user_credits = models.PositiveIntegerField(_("price in user credits"))

    # The task at the provider.
    account = models.ForeignKey(
        ProviderAccount, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("provider account")
    )
    provider_task_id = models.CharField(_("provider task id"), max_length=160, null=True, blank=True, unique=True)
    callback_token_hash = models.CharField(max_length=64, blank=True, editable=False)

    # When it is due, and which worker holds it.
    due_at = models.DateTimeField(_("due at"), default=clock.now)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    fence = models.PositiveIntegerField(_("fence"), default=0)
    submit_attempts = models.PositiveSmallIntegerField(_("submit attempts"), default=0)
    poll_attempts = models.PositiveIntegerField(_("polls"), default=0)
    wait_code = models.CharField(_("waiting for"), max_length=20, blank=True)
    wait_until = models.DateTimeField(_("waiting until"), null=True, blank=True)
    trouble_since = models.DateTimeField(_("odd answers since"), null=True, blank=True)

    created_at = models.DateTimeField(_("ordered at"), default=clock.now, editable=False)
    submitted_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    generating_at = models.DateTimeField(_("accepted at"), null=True, blank=True)
    provider_done_at = models.DateTimeField(_("finished by the provider at"), null=True, blank=True)
    delayed_at = models.DateTimeField(_("delayed since"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    late_at = models.DateTimeField(_("delivered after refund at"), null=True, blank=True)
    notified_at = models.DateTimeField(_("notified at"), null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(_("deleted by its owner at"), null=True, blank=True)

    failure_code = models.CharField(_("failure"), max_length=40, blank=True)
    failure_detail = models.CharField(_("provider message"), max_length=500, blank=True)
    settled_by = models.CharField(_("verdict source"), max_length=10, blank=True)  # callback, poll or repair

    class Meta:
        verbose_name = _("video task")
        verbose_name_plural = _("video tasks")
        ordering = ("-created_at",)
        indexes = (
            # Due tasks, for the sweep, dispatch and polling.
            models.Index(
                fields=["status", "due_at"],
                name="task_due",
                condition=~Q(status__in=["ready", "failed", "cancelled"]),
            ),
            # Polling of refunded tasks whose result may still arrive.
            models.Index(fields=["due_at"], name="task_late_watch", condition=Q(status="failed", late_at=None)),
            # Mails to users: ended tasks for which no mail was sent.
            models.Index(
                fields=["finished_at"],
                name="task_to_notify",
                condition=Q(status__in=["ready", "failed"], notified_at=None),
            ),
            # The operators' list and today's figures, newest first.
            models.Index(fields=["-created_at"], name="task_newest"),
            # Recently ended tasks, for the anomaly checks.
            models.Index(fields=["-finished_at"], name="task_ended", condition=Q(status__in=["ready", "failed"])),
            # A user's gallery, newest first.
            models.Index(fields=["user", "-created_at"], name="task_gallery"),
            # The typical generation time of a model.
            models.Index(fields=["model", "-provider_done_at"], name="task_usual_time"),
        )
        constraints = (
            models.UniqueConstraint(fields=["user", "idempotency_key"], name="task_one_per_key"),
            models.CheckConstraint(
                condition=~Q(status__in=["generating", "downloading", "ready"]) | Q(provider_task_id__isnull=False),
                name="task_accepted_has_provider_id",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["ready", "failed", "cancelled"], finished_at__isnull=False)
                | (~Q(status__in=["ready", "failed", "cancelled"]) & Q(finished_at__isnull=True)),
                name="task_final_has_time",
            ),
        )

    def __str__(self) -> str:
        return f"{self.prompt[:60]} · {self.get_status_display()}"

    @property
    def reference(self) -> str:
        """The name of this task in ledger entries and alerts."""
        return f"video:{self.id}"

    @property
    def charge_key(self) -> str:
        return f"charge:video:{self.id}"

    @property
    def refund_key(self) -> str:
        return f"refund:video:{self.id}"

    @property
    def is_final(self) -> bool:
        return self.status in self.FINAL

    @property
    def is_delivered(self) -> bool:
        """Whether the task has a video to play: it is ready, or it was refunded and its video was delivered late."""
        return self.deleted_at is None and (self.status == self.Status.READY or self.late_at is not None)


class TaskImage(models.Model):
    """The position of an image in an order: first frame, last frame, or one of the references."""

    task = models.ForeignKey(VideoTask, models.CASCADE, related_name="task_images")
    image = models.ForeignKey("videos.SourceImage", models.PROTECT, related_name="+")
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint(fields=["task", "position"], name="task_image_one_per_place"),)

    def __str__(self) -> str:
        return f"{self.position}: {self.image_id}"

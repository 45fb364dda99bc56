"""Files: finished videos and uploaded source images. Written by `videos.pipeline` and `videos.storage`."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.seams import clock, randomness
from videos.models.tasks import VideoTask


class VideoFile(models.Model):
    """One result of a task: the provider's URL and, once stored, the object's name and properties.

    A worker claims the row until `lease_until`; each claim raises `fence`, and a write needs the latest number.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("To be saved")
        STORED = "stored", _("Saved and checked")
        LOST = "lost", _("Lost")
        DELETED = "deleted", _("Deleted")

    task = models.ForeignKey(VideoTask, models.CASCADE, related_name="files", verbose_name=_("task"))
    index = models.PositiveSmallIntegerField(_("number"))
    source_url = models.TextField(_("provider URL"))
    fetch_url = models.TextField(_("short-lived URL"), blank=True)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.PENDING)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due at"), default=clock.now)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    fence = models.PositiveIntegerField(_("fence"), default=0)
    last_error = models.CharField(_("last error"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("created at"), default=clock.now)

    name = models.CharField(_("name in storage"), max_length=300, blank=True)
    poster_name = models.CharField(_("poster in storage"), max_length=300, blank=True)
    sha256 = models.CharField(_("sha256"), max_length=64, blank=True)
    size_bytes = models.PositiveBigIntegerField(_("bytes"), null=True, blank=True)
    duration_s = models.FloatField(_("duration in seconds"), null=True, blank=True)
    width = models.PositiveIntegerField(_("width"), null=True, blank=True)
    height = models.PositiveIntegerField(_("height"), null=True, blank=True)
    frame_rate = models.FloatField(_("frames per second"), null=True, blank=True)
    video_codec = models.CharField(_("video codec"), max_length=20, blank=True)
    audio_codec = models.CharField(_("audio codec"), max_length=20, blank=True)
    stored_at = models.DateTimeField(_("saved at"), null=True, blank=True)
    # When the audit last checked the stored objects, and the problem it found. Written by `videos.audit.files`.
    checked_at = models.DateTimeField(_("checked at"), null=True, blank=True, editable=False)
    problem = models.CharField(_("problem"), max_length=100, blank=True, editable=False)

    class Meta:
        verbose_name = _("video file")
        verbose_name_plural = _("video files")
        ordering = ("task", "index")
        indexes = (
            # Files due for download.
            models.Index(fields=["due_at"], name="file_due", condition=Q(state="pending")),
        )
        constraints = (
            models.UniqueConstraint(fields=["task", "index"], name="file_one_per_number"),
            models.UniqueConstraint(fields=["name"], condition=~Q(name=""), name="file_name_used_once"),
            models.CheckConstraint(
                condition=~Q(state="stored") | (~Q(name="") & ~Q(sha256="") & Q(size_bytes__gt=0)),
                name="file_stored_is_complete",
            ),
        )

    def __str__(self) -> str:
        return f"{self.task_id} #{self.index} {self.state}"


class SourceImage(models.Model):
    """An image that a user uploaded and we re-encoded. `provider_url` leads to a temporary copy at the provider."""

    id = models.UUIDField(primary_key=True, default=randomness.new_uuid, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="source_images")
    name = models.CharField(_("name in storage"), max_length=300, unique=True)
    mime_type = models.CharField(_("type"), max_length=40)
    width = models.PositiveIntegerField(_("width"))
    height = models.PositiveIntegerField(_("height"))
    size_bytes = models.PositiveIntegerField(_("bytes"))
    sha256 = models.CharField(_("sha256"), max_length=64)
    created_at = models.DateTimeField(_("uploaded at"), default=clock.now)
    provider_account_id = models.BigIntegerField(null=True, blank=True)
    provider_url = models.TextField(_("provider URL"), blank=True)
    provider_url_until = models.DateTimeField(_("available until"), null=True, blank=True)
    # When the audit last checked the stored object, and the problem it found, as in VideoFile.
    checked_at = models.DateTimeField(_("checked at"), null=True, blank=True, editable=False)
    problem = models.CharField(_("problem"), max_length=100, blank=True, editable=False)

    class Meta:
        verbose_name = _("image")
        verbose_name_plural = _("images")

    def __str__(self) -> str:
        return f"{self.width}×{self.height} {self.id}"

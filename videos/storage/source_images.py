"""Source images that users upload: re-encoded, kept private, and uploaded to the provider for a while."""

import hashlib
from contextlib import suppress
from datetime import datetime, timedelta

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import User
from accounts.seams import clock
from videos.models import SourceImage, VideoTask
from videos.models.tasks import TaskImage
from videos.providers import errors
from videos.providers.base import Provider
from videos.storage import image_reencoding, media_store
from videos.storage.image_reencoding import ImageRefused

# Images in no order: more than a user needs at once, too few to fill a disk.
MAX_UNUSED = 100
KEEP_UNUSED_FOR = timedelta(days=7)
# The vendor's pages say 24 hours or 3 days.
PROVIDER_KEEPS_FOR = timedelta(hours=24)
# An order may wait in the provider's own queue before its images are fetched.
MIN_REMAINING = timedelta(hours=2)
BATCH_SIZE = 500


def store(*, user: User, upload: "UploadedFile[bytes]") -> SourceImage:
    """Re-encode and store a user's image; the same image again returns the row there is. Raises ImageRefused, StorageError."""
    encoded = image_reencoding.reencode(upload)
    digest = hashlib.sha256(encoded.content).hexdigest()
    existing = SourceImage.objects.filter(user=user, sha256=digest).first()
    if existing is not None:
        # It is wanted again, so the time it is kept unused starts again.
        existing.created_at = clock.now()
        existing.save(update_fields=["created_at"])
        return existing
    if _unneeded_images().filter(user=user).count() >= MAX_UNUSED:
        raise ImageRefused("quota")
    name = media_store.new_name(media_store.IMAGES, encoded.suffix)
    media_store.store_bytes(encoded.content, name, mime_type=encoded.mime_type)
    return SourceImage.objects.create(
        user=user,
        name=name,
        mime_type=encoded.mime_type,
        width=encoded.width,
        height=encoded.height,
        size_bytes=len(encoded.content),
        sha256=digest,
    )


def are_at_provider(*, task: VideoTask, account_id: int) -> bool:
    """Whether every image of the order is at this account's upload host, and stays there long enough."""
    return not any(_is_missing(image, account_id) for image in _images_of(task))


def upload_to_provider(*, task: VideoTask, account_id: int, client: Provider) -> None:
    """Upload the missing images (free, and harmless when repeated). Raises NoAnswer, OutOfCredits, AccessDenied."""
    for image in _images_of(task):
        if not _is_missing(image, account_id):
            continue
        try:
            content = media_store.read_bytes(image.name)
        except (media_store.StorageError, FileNotFoundError) as problem:
            raise errors.NoAnswer(f"the image cannot be read from our storage: {type(problem).__name__}") from problem
        suffix = image_reencoding.SUFFIXES[image.mime_type]
        until = clock.now() + PROVIDER_KEEPS_FOR
        url = client.upload(content, file_name=f"{image.pk}{suffix}", mime_type=image.mime_type)
        SourceImage.objects.filter(pk=image.pk).update(
            provider_url=url, provider_account_id=account_id, provider_url_until=until
        )


def provider_urls(*, task: VideoTask) -> list[str]:
    """The provider's URLs of the order's images: first and last frame, or the references in their order."""
    return [image.provider_url for image in _images_of(task)]


def delete_unused(now: datetime) -> int:
    """Remove images that no order needs any more and nobody uploaded in the last week; returns how many."""
    return _delete_all(_unneeded_images().filter(created_at__lt=now - KEEP_UNUSED_FOR))


def delete_images_of(*, user: User) -> int:
    """Remove a closed account's images, except those of unfinished orders; returns how many."""
    return _delete_all(_unneeded_images(ended=True).filter(user=user))


def _images_of(task: VideoTask) -> list[SourceImage]:
    task_images = TaskImage.objects.filter(task=task).select_related("image").order_by("position")
    return [task_image.image for task_image in task_images]


def _is_missing(image: SourceImage, account_id: int) -> bool:
    until = image.provider_url_until
    return (
        not image.provider_url
        or image.provider_account_id != account_id
        or until is None
        or until - clock.now() < MIN_REMAINING
    )


def _unneeded_images(*, ended: bool = False) -> QuerySet[SourceImage]:
    """Images that no visible order uses or, with `ended`, no unfinished order."""
    is_over = Q(task__deleted_at__isnull=False)
    if ended:
        is_over |= Q(task__status__in=VideoTask.FINAL)
    return SourceImage.objects.filter(~Exists(TaskImage.objects.filter(~is_over, image=OuterRef("pk"))))


def _delete_if_unneeded(images: QuerySet[SourceImage], image: SourceImage) -> bool:
    """Delete the row and its uses in deleted orders; False when an order has come to need it meanwhile."""
    with transaction.atomic():
        # Lock first, then check: an order that is just being created holds the row until it names the image.
        if not SourceImage.objects.select_for_update().filter(pk=image.pk).first() or not images.filter(pk=image.pk):
            return False
        TaskImage.objects.filter(image=image).delete()
        image.delete()
        return True


def _delete_all(images: QuerySet[SourceImage]) -> int:
    """Delete rows first, then objects: the sweep of files finds an object without a row, but not a row without an object."""
    removed = 0
    for image in list(images.order_by("created_at")[:BATCH_SIZE]):
        if not _delete_if_unneeded(images, image):
            continue
        removed += 1
        with suppress(media_store.StorageError):
            media_store.delete(image.name)
    return removed

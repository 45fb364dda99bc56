"""Source images that users upload: stores them re-encoded, uploads copies to the provider, deletes them when unused."""

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

# Maximum number of images per user that no order uses, so that nobody can fill the disk.
MAX_UNUSED = 100
KEEP_UNUSED_FOR = timedelta(days=7)
# The provider's documentation says 24 hours in one place and 3 days in another, so the shorter time is used.
PROVIDER_KEEPS_FOR = timedelta(hours=24)
# An image must stay available this long, because the provider may queue an order before it fetches the images.
MIN_REMAINING = timedelta(hours=2)
BATCH_SIZE = 500


def store(*, user: User, upload: "UploadedFile[bytes]") -> SourceImage:
    """Re-encode and store an image; if the user has it already, return the existing row.

    Raises ImageRefused, StorageError.
    """
    encoded = image_reencoding.reencode(upload)
    digest = hashlib.sha256(encoded.content).hexdigest()
    existing = SourceImage.objects.filter(user=user, sha256=digest).first()
    if existing is not None:
        # The user uploaded it again, so it is kept for another KEEP_UNUSED_FOR.
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
    """Whether every image of the order is at the provider, uploaded by this account, for at least MIN_REMAINING."""
    return not any(_is_missing(image, account_id) for image in _images_of(task))


def upload_to_provider(*, task: VideoTask, account_id: int, client: Provider) -> None:
    """Upload the images of the order that are not at the provider. The calls are free and safe to repeat.

    Raises NoAnswer, OutOfCredits, AccessDenied.
    """
    for image in _images_of(task):
        if not _is_missing(image, account_id):
            continue
        try:
            content = media_store.read_bytes(image.name)
        except (media_store.StorageError, FileNotFoundError) as error:
            raise errors.NoAnswer(f"the image cannot be read from our storage: {type(error).__name__}") from error
        suffix = image_reencoding.SUFFIXES[image.mime_type]
        provider_url_until = clock.now() + PROVIDER_KEEPS_FOR
        url = client.upload(content, file_name=f"{image.pk}{suffix}", mime_type=image.mime_type)
        SourceImage.objects.filter(pk=image.pk).update(
            provider_url=url, provider_account_id=account_id, provider_url_until=provider_url_until
        )


def provider_urls(*, task: VideoTask) -> list[str]:
    """The provider's URLs of the order's images: first and last frame, or the reference images in their order."""
    return [image.provider_url for image in _images_of(task)]


def delete_unused(now: datetime) -> int:
    """Remove images that no order needs and that were uploaded more than a week ago; returns how many."""
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
    """Images that no order uses; deleted orders do not count.

    With `ended`, orders that have ended do not count either.
    """
    is_unneeded = Q(task__deleted_at__isnull=False)
    if ended:
        is_unneeded |= Q(task__status__in=VideoTask.FINAL)
    return SourceImage.objects.filter(~Exists(TaskImage.objects.filter(~is_unneeded, image=OuterRef("pk"))))


def _delete_if_unneeded(images: QuerySet[SourceImage], image: SourceImage) -> bool:
    """Delete the row of an image and the rows that link it to orders.

    Returns False if a new order uses the image meanwhile, or if it is already deleted.
    """
    with transaction.atomic():
        # Lock first, then check: an order that is just being created locks the row until it has recorded the use.
        if not SourceImage.objects.select_for_update().filter(pk=image.pk).first() or not images.filter(pk=image.pk):
            return False
        TaskImage.objects.filter(image=image).delete()
        image.delete()
        return True


def _delete_all(images: QuerySet[SourceImage]) -> int:
    """Delete images: first the row, then the object.

    If this is interrupted in between, the sweep finds the object without a row; it would not find a row without an
    object.
    """
    removed = 0
    for image in list(images.order_by("created_at")[:BATCH_SIZE]):
        if not _delete_if_unneeded(images, image):
            continue
        removed += 1
        with suppress(media_store.StorageError):
            media_store.delete(image.name)
    return removed

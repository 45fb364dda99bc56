"""Images that people bring: decoded with care, drawn anew without what hid in them, kept private, lent to the provider."""

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

__all__ = ["ImageRefused", "are_at_provider", "forget", "keep", "provider_urls", "send_to_provider", "sweep_images"]

# Kept without being in any order; more than a person needs at once, too few to fill a disk with.
UNUSED_AT_MOST = 100
UNUSED_FOR = timedelta(days=7)
# The vendor's pages say 24 hours or 3 days.
PROVIDER_KEEPS_FOR = timedelta(hours=24)
# An order may wait in the provider's own queue.
STILL_NEEDED_FOR = timedelta(hours=2)
BATCH = 500


def keep(*, user: User, upload: "UploadedFile[bytes]") -> SourceImage:
    """Keep an image for its person, drawn anew; the same again is the one kept before. Raises ImageRefused, StorageTrouble."""
    picture = image_reencoding.redraw(upload)
    digest = hashlib.sha256(picture.content).hexdigest()
    former = SourceImage.objects.filter(user=user, sha256=digest).first()
    if former is not None:
        # Brought again is wanted again: the week begins anew.
        former.created_at = clock.now()
        former.save(update_fields=["created_at"])
        return former
    if _unneeded().filter(user=user).count() >= UNUSED_AT_MOST:
        raise ImageRefused("quota")
    name = media_store.new_name(media_store.IMAGES, picture.suffix)
    media_store.keep_bytes(picture.content, name, mime_type=picture.mime_type)
    return SourceImage.objects.create(
        user=user,
        name=name,
        mime_type=picture.mime_type,
        width=picture.width,
        height=picture.height,
        size_bytes=len(picture.content),
        sha256=digest,
    )


def are_at_provider(*, task: VideoTask, account_id: int) -> bool:
    """Whether every image of the order lies at this account's upload host, and will for long enough."""
    return not any(_is_missing(image, account_id) for image in _of(task))


def send_to_provider(*, task: VideoTask, account_id: int, client: Provider) -> None:
    """Upload what is not there (free, and harmless when repeated). Raises NoAnswer, OutOfCredits, AccessDenied."""
    for image in _of(task):
        if not _is_missing(image, account_id):
            continue
        try:
            content = media_store.read_bytes(image.name)
        except (media_store.StorageTrouble, FileNotFoundError) as problem:
            raise errors.NoAnswer(f"our own storage does not give the image: {type(problem).__name__}") from problem
        suffix = image_reencoding.SUFFIXES[image.mime_type]
        until = clock.now() + PROVIDER_KEEPS_FOR
        url = client.upload(content, file_name=f"{image.pk}{suffix}", mime_type=image.mime_type)
        SourceImage.objects.filter(pk=image.pk).update(
            provider_url=url, provider_account_id=account_id, provider_url_until=until
        )


def provider_urls(*, task: VideoTask) -> list[str]:
    """Where the provider finds the order's images: first and last frame, or the references in their order."""
    return [image.provider_url for image in _of(task)]


def sweep_images(now: datetime) -> int:
    """Remove images that no order needs any more and nobody brought in the last week; returns how many."""
    return _remove(_unneeded().filter(created_at__lt=now - UNUSED_FOR))


def forget(*, user: User) -> int:
    """Remove a leaving person's images, except those of orders still on their way; returns how many."""
    return _remove(_unneeded(ended=True).filter(user=user))


def _of(task: VideoTask) -> list[SourceImage]:
    places = TaskImage.objects.filter(task=task).select_related("image").order_by("position")
    return [place.image for place in places]


def _is_missing(image: SourceImage, account_id: int) -> bool:
    until = image.provider_url_until
    return (
        not image.provider_url
        or image.provider_account_id != account_id
        or until is None
        or until - clock.now() < STILL_NEEDED_FOR
    )


def _unneeded(*, ended: bool = False) -> QuerySet[SourceImage]:
    """Images of no order that is still shown, or with `ended`, of none on its way."""
    over = Q(task__deleted_at__isnull=False)
    if ended:
        over |= Q(task__status__in=VideoTask.FINAL)
    return SourceImage.objects.filter(~Exists(TaskImage.objects.filter(~over, image=OuterRef("pk"))))


def _let_go(images: QuerySet[SourceImage], image: SourceImage) -> bool:
    """Delete the row and its places in deleted orders; False when an order has come to need it meanwhile."""
    with transaction.atomic():
        # Locked first and judged after: an order that is just being made holds the row until it has its place.
        if not SourceImage.objects.select_for_update().filter(pk=image.pk).first() or not images.filter(pk=image.pk):
            return False
        TaskImage.objects.filter(image=image).delete()
        image.delete()
        return True


def _remove(images: QuerySet[SourceImage]) -> int:
    """The row first, then the object: an object without a row is found by the sweep of files, a row without one by nobody."""
    removed = 0
    for image in list(images.order_by("created_at")[:BATCH]):
        if not _let_go(images, image):
            continue
        removed += 1
        with suppress(media_store.StorageTrouble):
            media_store.delete(image.name)
    return removed

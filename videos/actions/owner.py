"""The owner's actions on a video (cancel, delete), deletion after the retention time, and erasure of closed accounts."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Max, OuterRef

from accounts.models import User
from accounts.seams import clock
from videos.lifecycle import status_changes as lifecycle
from videos.models import CallbackReceipt, SourceImage, TaskEvent, VideoTask
from videos.storage import cleanup as storage_cleanup
from videos.storage import source_images

Status = VideoTask.Status

# The transaction that closes an account deletes at most this many videos; the sweep deletes the others later.
MAX_DELETED_PER_CLOSING = 300


def cancel(*, task_id: UUID, actor: User) -> None:
    """Cancel a queued order with a full refund. Raises NotPossible if it is no longer queued."""
    if not lifecycle.cancel(task_id=task_id, code="user", actor=actor):
        raise lifecycle.NotPossible(VideoTask.objects.values_list("status", flat=True).get(pk=task_id))


def delete(*, task_id: UUID, actor: User | None) -> bool:
    """Delete a finished task's files and hide it; False if it was already deleted. Raises NotPossible if it is unfinished.

    The row, its events and its ledger entries stay.
    """
    with transaction.atomic():
        task = VideoTask.objects.select_for_update().get(pk=task_id)
        if not task.is_final:
            raise lifecycle.NotPossible(task.status)
        at = clock.database_now()
        # Compare-and-set, because SQLite does not lock rows: only one of two concurrent calls continues.
        if not VideoTask.objects.filter(pk=task_id, deleted_at=None).update(deleted_at=at):
            return False
        # The provider is no longer polled for a late result of this task if it was refunded.
        refunded = VideoTask.objects.filter(pk=task_id, status=Status.FAILED, provider_done_at=None, settled_by="")
        refunded.update(provider_done_at=at)
        storage_cleanup.delete_files(task)
        lifecycle.add_note(task_id=task_id, kind=TaskEvent.Kind.DELETED, actor=actor)
        return True


@transaction.atomic
def erase_user_videos(*, user: User, actor: User | None = None) -> int:
    """Erase a closed account's videos: cancel queued ones, delete finished ones, and blank the prompts of both.

    Returns the number of tasks whose prompt was blanked. A video that the provider is generating is finished
    first and erased later by `erase_closed_accounts`.
    """
    queued = VideoTask.objects.filter(user=user, status=Status.QUEUED)
    # All tasks are locked before the credit account, which the refunds lock: every transaction uses this order, so that
    # two of them never wait for each other.
    for task_id in list(queued.select_for_update().order_by("pk").values_list("pk", flat=True)):
        lifecycle.cancel(task_id=task_id, code="account_closed", actor=actor)
    ended = VideoTask.objects.filter(user=user, status__in=VideoTask.FINAL)
    for task_id in ended.filter(deleted_at=None).values_list("pk", flat=True)[:MAX_DELETED_PER_CLOSING]:
        delete(task_id=task_id, actor=actor)
    # An unfinished task keeps its prompt, because a lost task is recognised at the provider by its prompt.
    CallbackReceipt.objects.filter(task__in=ended).update(body="")
    # Stored objects are deleted only after the transaction has committed.
    transaction.on_commit(lambda: source_images.delete_images_of(user=user))
    return ended.exclude(prompt="", watermark="").update(prompt="", watermark="")


def erase_closed_accounts() -> int:
    """Erase videos that finished after their account was closed; run by the sweep. Returns how many prompts were blanked."""
    tasks = VideoTask.objects.filter(user=OuterRef("pk"))
    not_erased = tasks.exclude(prompt="", watermark="") | tasks.filter(deleted_at=None)
    closed_users = User.objects.filter(anonymised_at__isnull=False)
    closed_users = closed_users.filter(Exists(not_erased) | Exists(SourceImage.objects.filter(user=OuterRef("pk"))))
    return sum(erase_user_videos(user=user) for user in closed_users)


# One run of the sweep deletes at most this many expired videos.
MAX_EXPIRED_PER_RUN = 200


def delete_expired(now: datetime) -> int:
    """Delete videos stored for longer than VIDEO_RETENTION_DAYS; returns how many. If it is 0, all are kept."""
    days = settings.VIDEO_RETENTION_DAYS
    if days <= 0:
        return 0
    stored = VideoTask.objects.filter(status__in=VideoTask.FINAL, deleted_at=None).annotate(
        last_stored_at=Max("files__stored_at")
    )
    expired = stored.filter(last_stored_at__lt=now - timedelta(days=days)).order_by("last_stored_at")
    deleted = 0
    for task_id in list(expired.values_list("pk", flat=True)[:MAX_EXPIRED_PER_RUN]):
        if delete(task_id=task_id, actor=None):
            lifecycle.add_note(task_id=task_id, code="retention", detail=f"kept for {days} days")
            deleted += 1
    return deleted

"""What the owner of a video may do with it, and what is left of it when the owner leaves for good."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, Max, OuterRef

from accounts.models import User
from accounts.seams import clock
from videos.lifecycle import acts as lifecycle
from videos.models import CallbackReceipt, SourceImage, TaskEvent, VideoTask
from videos.storage import cleanup as storage_cleanup
from videos.storage import source_images

Status = VideoTask.Status

# A closing is one transaction; the sweep deletes what a long history has beyond this.
MAX_DELETED_PER_CLOSING = 300


def cancel(*, task_id: UUID, actor: User) -> None:
    """Take a waiting order back, with its whole price. Raises NotPossible once it is no longer waiting."""
    if not lifecycle.cancelled(task_id=task_id, code="user", actor=actor):
        raise lifecycle.NotPossible(VideoTask.objects.values_list("status", flat=True).get(pk=task_id))


def delete(*, task_id: UUID, actor: User | None) -> bool:
    """Delete an ended task's files and hide it; False when it was deleted before. Raises NotPossible while it is on its way.

    The row, its receipt and its money stay: they are history.
    """
    with transaction.atomic():
        task = VideoTask.objects.select_for_update().get(pk=task_id)
        if not task.is_final:
            raise lifecycle.NotPossible(task.status)
        at = clock.database_now()
        # Compare-and-set: on SQLite, where nothing locks a row, this decides who of two was first.
        if not VideoTask.objects.filter(pk=task_id, deleted_at=None).update(deleted_at=at):
            return False
        # Nobody waits any more for the late result of a refunded task.
        watched = VideoTask.objects.filter(pk=task_id, status=Status.FAILED, provider_done_at=None, settled_by="")
        watched.update(provider_done_at=at)
        storage_cleanup.delete_files(task)
        lifecycle.note(task_id=task_id, kind=TaskEvent.Kind.DELETED, actor=actor)
        return True


@transaction.atomic
def erase_user_videos(*, user: User, actor: User | None = None) -> int:
    """Let go of all that a leaving person's videos hold: cancel what waits, delete what has ended, and forget its words.

    What the provider is making goes on to its end and is forgotten then (`forget_closed`). Returns how many were forgotten.
    """
    waiting = VideoTask.objects.filter(user=user, status=Status.QUEUED)
    # All rows before the purse: whoever else ends one of them holds its row and waits for the purse.
    for task_id in list(waiting.select_for_update().order_by("pk").values_list("pk", flat=True)):
        lifecycle.cancelled(task_id=task_id, code="account_closed", actor=actor)
    ended = VideoTask.objects.filter(user=user, status__in=VideoTask.FINAL)
    for task_id in ended.filter(deleted_at=None).values_list("pk", flat=True)[:MAX_DELETED_PER_CLOSING]:
        delete(task_id=task_id, actor=actor)
    # A task on its way keeps its prompt: it is how a lost one is recognised at the provider.
    CallbackReceipt.objects.filter(task__in=ended).update(body="")
    # Objects in the storage go only when the rows are sure to go.
    transaction.on_commit(lambda: source_images.forget(user=user))
    return ended.exclude(prompt="", watermark="").update(prompt="", watermark="")


def erase_closed_accounts() -> int:
    """Forget what has ended since its owner left; the sweep's chore. Returns how many were forgotten."""
    theirs = VideoTask.objects.filter(user=OuterRef("pk"))
    held = theirs.exclude(prompt="", watermark="") | theirs.filter(deleted_at=None)
    left = User.objects.filter(anonymised_at__isnull=False)
    left = left.filter(Exists(held) | Exists(SourceImage.objects.filter(user=OuterRef("pk"))))
    return sum(erase_user_videos(user=user) for user in left)


BATCH = 200


def delete_expired(now: datetime) -> int:
    """Delete what was stored longer ago than is kept, as its owner would; returns how many. 0 days: nothing ever."""
    days = settings.VIDEO_RETENTION_DAYS
    if days <= 0:
        return 0
    stored = VideoTask.objects.filter(status__in=VideoTask.FINAL, deleted_at=None).annotate(
        last_stored_at=Max("files__stored_at")
    )
    aged = stored.filter(last_stored_at__lt=now - timedelta(days=days)).order_by("last_stored_at")
    expired = 0
    for task_id in list(aged.values_list("pk", flat=True)[:BATCH]):
        if delete(task_id=task_id, actor=None):
            lifecycle.note(task_id=task_id, code="retention", detail=f"kept for {days} days")
            expired += 1
    return expired

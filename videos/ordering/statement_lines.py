"""What was ordered, for the statements of its owners: by the references of their ledger entries, until it is deleted."""

from collections.abc import Collection
from uuid import UUID

from billing.credits import statements
from videos.models import VideoTask


def find_videos(named: Collection[str]) -> dict[str, VideoTask]:
    """The videos among these references, with model and prompt, in one query."""
    ids = {UUID(key) for app, _colon, key in (reference.partition(":") for reference in named) if app == "video"}
    tasks = VideoTask.objects.filter(pk__in=ids, deleted_at=None).only("id", "prompt", "model")
    return {task.reference: task for task in tasks}


def _describe_references(named: Collection[str]) -> dict[str, str]:
    return {reference: task.prompt for reference, task in find_videos(named).items()}


statements.register_describer(_describe_references)

"""Prompts for the lines of a credit statement, found by the entries' references; deleted videos have none."""

from collections.abc import Collection
from uuid import UUID

from billing.credits import statements
from videos.models import VideoTask


def find_videos(references: Collection[str]) -> dict[str, VideoTask]:
    """The videos among these references, with model and prompt, in one query."""
    ids = {UUID(key) for kind, _colon, key in (reference.partition(":") for reference in references) if kind == "video"}
    tasks = VideoTask.objects.filter(pk__in=ids, deleted_at=None).only("id", "prompt", "model")
    return {task.reference: task for task in tasks}


def _describe_references(references: Collection[str]) -> dict[str, str]:
    return {reference: task.prompt for reference, task in find_videos(references).items()}


statements.register_describer(_describe_references)

"""Finds the prompts that a credit statement shows beside its lines; lines about deleted videos show none.

Each line carries a reference such as `video:<uuid>`. The billing app, which must not import this one, calls the
function that is registered below.
"""

from collections.abc import Collection
from uuid import UUID

from billing.credits import statements
from videos.models import VideoTask


def find_videos(references: Collection[str]) -> dict[str, VideoTask]:
    """The videos that these references name, by reference; read with model and prompt in one query."""
    ids = {UUID(key) for kind, _colon, key in (reference.partition(":") for reference in references) if kind == "video"}
    tasks = VideoTask.objects.filter(pk__in=ids, deleted_at=None).only("id", "prompt", "model")
    return {task.reference: task for task in tasks}


def _describe_references(references: Collection[str]) -> dict[str, str]:
    return {reference: task.prompt for reference, task in find_videos(references).items()}


statements.register_describer(_describe_references)

"""The tables of videos. `videos.lifecycle.status_changes` alone writes a task's status."""

from videos.models.events import CallbackReceipt, TaskEvent
from videos.models.files import SourceImage, VideoFile
from videos.models.queue import JobRequest, UserTurn
from videos.models.tasks import VideoTask

__all__ = ["CallbackReceipt", "JobRequest", "SourceImage", "TaskEvent", "UserTurn", "VideoFile", "VideoTask"]

"""The tables of the app `videos`. Only `videos.lifecycle` writes the status of a task."""

from videos.models.events import CallbackReceipt, TaskEvent
from videos.models.files import SourceImage, VideoFile
from videos.models.queue import JobRequest, UserTurn
from videos.models.tasks import VideoTask

__all__ = ["CallbackReceipt", "JobRequest", "SourceImage", "TaskEvent", "UserTurn", "VideoFile", "VideoTask"]

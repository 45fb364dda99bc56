"""Helpers that read and use the operators' pages about videos."""

from django.test import Client

from accounts.models import User
from tests.videos.world import World
from videos.models import VideoTask

LIST = "/admin/videos/videotask/"


def video_page(staff: Client, task: VideoTask) -> str:
    """The operators' page of a video."""
    response = staff.get(f"{LIST}{task.pk}/change/")
    assert response.status_code == 200
    return response.text


def perform(staff: Client, action: str, *tasks: VideoTask, shown_status: str = "") -> str:
    """Confirm an action as if the page had shown `shown_status` (default: the task's); returns the next page's text."""
    form = {"action": action, "_selected_action": [str(task.pk) for task in tasks], "confirmed": "yes"}
    form |= {f"seen_{task.pk}": shown_status or task.status for task in tasks}
    return staff.post(LIST, form, follow=True).text


def unconfirmed_video(world: World, user: User) -> VideoTask:
    """A video whose request was sent and whose response was lost; sends all other queued videos too."""
    task = world.order(user)
    world.sandbox.set_faults("drop-answer")
    world.send()
    world.sandbox.set_faults()
    assert world.reload(task).status == "unconfirmed"
    return world.reload(task)

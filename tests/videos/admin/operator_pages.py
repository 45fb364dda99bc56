"""Helpers that read and use the operators' pages about videos."""

from django.test import Client

from accounts.models import User
from tests.videos.world import World
from videos.models import VideoTask

LIST = "/admin/videos/videotask/"


def video_page(desk: Client, task: VideoTask) -> str:
    """The operators' page of a video."""
    answer = desk.get(f"{LIST}{task.pk}/change/")
    assert answer.status_code == 200
    return answer.text


def perform(desk: Client, act: str, *tasks: VideoTask, seen: str = "") -> str:
    """Confirm an action as if the page had shown the status `seen` (default: the task's); returns the next page's text."""
    form = {"action": act, "_selected_action": [str(task.pk) for task in tasks], "confirmed": "yes"}
    form |= {f"seen_{task.pk}": seen or task.status for task in tasks}
    return desk.post(LIST, form, follow=True).text


def unconfirmed_video(world: World, user: User) -> VideoTask:
    """A video whose request was sent and whose answer was lost; sends all other queued videos too."""
    task = world.order(user)
    world.sandbox.set_faults("drop-answer")
    world.send()
    world.sandbox.set_faults()
    assert world.reload(task).status == "unconfirmed"
    return world.reload(task)

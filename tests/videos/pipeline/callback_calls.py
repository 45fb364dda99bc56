"""Helpers that send callbacks and wait for them."""

import json
import time

import requests

from tests.videos.world import World
from videos.models import CallbackReceipt, VideoTask
from videos.pipeline import dispatch


def wait_for_callbacks(world: World, task: VideoTask, *, times: int = 1) -> list[CallbackReceipt]:
    """Wait until `times` callbacks for the task have arrived."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        receipts = list(task.callbacks.order_by("id"))
        if sum(receipt.times for receipt in receipts) >= times:
            return receipts
        time.sleep(0.05)
    raise AssertionError(f"no callback arrived: {world.sandbox.read_state()['events']}")


def post_callback(task: VideoTask, token: str, body: bytes, **headers: str) -> requests.Response:
    """Send a callback to a task's URL that does not come from the provider."""
    headers = {"Content-Type": "application/json", **headers}
    return requests.post(dispatch.build_callback_url(task.pk, token), data=body, headers=headers, timeout=10)


def make_body(provider_task_id: str, code: int = 200, url: str = "https://example.com/video.mp4") -> bytes:
    """The body of a callback about this provider task."""
    data = {"taskId": provider_task_id, "info": {"resultUrls": [url]}}
    return json.dumps({"code": code, "msg": "Veo3.1 video generated successfully.", "data": data}).encode()

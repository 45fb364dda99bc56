"""Builds the bodies of genuine, false and forged callbacks, and their signatures."""

import time

from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.provider_state import new_id
from videos.sandbox.state.tasks import FAILED, SUCCESS, Task
from videos.sandbox.task_fields import Json, file_urls, param_json, put_credits, result_urls
from videos.sandbox.wire.delivery import Callback, sign
from videos.sandbox.wire.messages import FAILED_4K, HOSTILE_URL, dump

GENERATED = "Veo3.1 video generated successfully."
EXTENDED = "Veo3.1 video extension successful."
UPGRADED = "4K Video generated successfully."


def signed(
    box: Sandbox, task: Task, body: Json, *, kind: str = "genuine", url: str = "", retried: bool = True
) -> Callback:
    """A callback about the task with this body. The signature covers the task id that the body contains."""
    data = body.get("data") or {}
    ids = [part.get(name) for part in (data, body) for name in ("taskId", "task_id")]
    return Callback(
        task_id=task.id,
        url=url or task.callback_url,
        body=dump(body),
        kind=kind,
        headers=_signature_headers(box, str(next(filter(None, ids), task.id))),
        retried=retried,
    )


def _signature_headers(box: Sandbox, task_id: str) -> dict[str, str]:
    """The signature headers; none if no key is set. They hold the real time, because receivers check it."""
    key, at = box.settings.hmac_key, int(time.time())
    if not key or box.faults.strikes("no-signature"):
        return {}
    if order := box.faults.strikes("stale-signature"):
        at -= int(order.number(3600))
    headers = sign(task_id, key=key, at=at)
    if box.faults.strikes("bad-signature"):
        headers["X-Webhook-Signature"] = sign(task_id, key=key + "-wrong", at=at)["X-Webhook-Signature"]
    return headers


def true_body(box: Sandbox, task: Task) -> Json:
    """The body for a generate or extend task that has ended."""
    if task.flag != SUCCESS:
        return failure_body(task)
    info: Json = {
        "resultUrls": result_urls(box, task),
        "originUrls": file_urls(box, task.origin_paths) or None,
        "resolution": task.video.resolution,
    }
    data = {"taskId": task.id, "promptJson": dump(param_json(task)).decode(), "info": info, "fallbackFlag": False}
    return {"code": 200, "msg": EXTENDED if task.kind == "extend" else GENERATED, "data": data}


def failure_body(task: Task, *, code: int | None = None) -> Json:
    """The body for a failed task, which has no `info`."""
    if code is None:
        code = task.error_code if task.error_code in (400, 422, 500, 501) else 501
    msg = task.error_message or "Failed - Video generation task failed"
    if code == 422:
        msg = (
            f"Your request was rejected by Flow({msg}). You may consider using our other fallback channels, "
            "which are likely to succeed. Please refer to the documentation."
        )
    return {"code": code, "msg": msg, "data": {"taskId": task.id, "fallbackFlag": False}}


def upgrade_body(box: Sandbox, task: Task) -> Json:
    """The body for a 4K upgrade that is ready or has failed."""
    upgrade = task.upgrade_4k
    if upgrade is None or upgrade.failed:
        return {"code": 500, "msg": FAILED_4K, "data": {"taskId": upgrade.task_id if upgrade else task.id}}
    results, images = file_urls(box, [upgrade.video_path]), file_urls(box, [upgrade.image_path])
    data: Json = {"info": {"imageUrls": images, "resultUrls": results}, "taskId": upgrade.task_id}
    if box.faults.strikes("callback-snake"):
        data = {"task_id": upgrade.task_id, "result_urls": results, "media_ids": [task.id], "image_urls": images}
        return {"code": 200, "msg": UPGRADED, "data": data}
    if not box.faults.strikes("callback-no-credits"):
        put_credits(data, box.state.prices["upgrade:4k"], "data")
    return {"code": 200, "data": data, "msg": UPGRADED}


def hostile_success(task_id: str, **more: str) -> Json:
    """A body that reports success for a task id, with a hostile result URL."""
    info = {"resultUrls": [HOSTILE_URL], **more}
    return {"code": 200, "msg": GENERATED, "data": {"taskId": task_id, "info": info}}


def false_body(box: Sandbox, task: Task, *, flag: int) -> Json:
    """A body that claims an outcome which the task does not have."""
    if flag == FAILED:
        return failure_body(task, code=501)
    urls = file_urls(box, [f"/v/{new_id()}_{int(time.time())}.mp4"])
    info = {"resultUrls": urls, "resolution": task.video.resolution}
    return {"code": 200, "msg": GENERATED, "data": {"taskId": task.id, "info": info, "fallbackFlag": False}}

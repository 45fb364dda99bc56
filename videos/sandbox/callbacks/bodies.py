"""The bodies of callbacks, true, false and forged, and their signatures."""

import time

from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.provider_state import new_id
from videos.sandbox.state.tasks import FAILED, SUCCESS, Task
from videos.sandbox.task_fields import Json, param_json, put_credits, result_urls, urls_of
from videos.sandbox.wire.delivery import Callback, sign
from videos.sandbox.wire.messages import FAILED_4K, HOSTILE_URL, dump

GENERATED = "Veo3.1 video generated successfully."
EXTENDED = "Veo3.1 video extension successful."
UPGRADED = "4K Video generated successfully."


def signed(
    box: Sandbox, task: Task, body: Json, *, kind: str = "genuine", url: str = "", retried: bool = True
) -> Callback:
    """A callback about the task, with the body as it is. The id that is signed is the one a receiver will look for."""
    data = body.get("data") or {}
    ids = [part.get(name) for part in (data, body) for name in ("taskId", "task_id")]
    return Callback(
        task_id=task.id,
        url=url or task.callback_url,
        body=dump(body),
        kind=kind,
        headers=_signature(box, str(next(filter(None, ids), task.id))),
        retried=retried,
    )


def _signature(box: Sandbox, task_id: str) -> dict[str, str]:
    """The headers of a signature, or none without a key. Their time is the real one, by which receivers check it."""
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
    """What is sent when a generate or extend has ended."""
    if task.flag != SUCCESS:
        return failure_body(task)
    info: Json = {
        "resultUrls": result_urls(box, task),
        "originUrls": urls_of(box, task.origin_paths) or None,
        "resolution": task.video.resolution,
    }
    data = {"taskId": task.id, "promptJson": dump(param_json(task)).decode(), "info": info, "fallbackFlag": False}
    return {"code": 200, "msg": EXTENDED if task.kind == "extend" else GENERATED, "data": data}


def failure_body(task: Task, *, code: int | None = None) -> Json:
    """What is sent when a task failed: no info."""
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
    """What is sent when a 4K version is ready, or never will be."""
    upgrade = task.upgrade_4k
    if upgrade is None or upgrade.failed:
        return {"code": 500, "msg": FAILED_4K, "data": {"taskId": upgrade.task_id if upgrade else task.id}}
    results, images = urls_of(box, [upgrade.video_path]), urls_of(box, [upgrade.image_path])
    data: Json = {"info": {"imageUrls": images, "resultUrls": results}, "taskId": upgrade.task_id}
    if box.faults.strikes("callback-snake"):
        data = {"task_id": upgrade.task_id, "result_urls": results, "media_ids": [task.id], "image_urls": images}
        return {"code": 200, "msg": UPGRADED, "data": data}
    if not box.faults.strikes("callback-no-credits"):
        put_credits(data, box.state.prices["upgrade:4k"], "data")
    return {"code": 200, "data": data, "msg": UPGRADED}


def hostile_body(task_id: str, **more: str) -> Json:
    """A success for an id, with a hostile address."""
    info = {"resultUrls": [HOSTILE_URL], **more}
    return {"code": 200, "msg": GENERATED, "data": {"taskId": task_id, "info": info}}


def false_body(box: Sandbox, task: Task, *, flag: int) -> Json:
    """An ending that is not true."""
    if flag == FAILED:
        return failure_body(task, code=501)
    urls = urls_of(box, [f"/v/{new_id()}_{int(time.time())}.mp4"])
    info = {"resultUrls": urls, "resolution": task.video.resolution}
    return {"code": 200, "msg": GENERATED, "data": {"taskId": task.id, "info": info, "fallbackFlag": False}}

"""The endpoints that report on a task: record-info, and get-1080p-video, which also starts the upgrade."""

import math
from dataclasses import replace

from videos.sandbox.api.records import record
from videos.sandbox.lifecycle import upgrades
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.tasks import FAILED, SUCCESS, Task
from videos.sandbox.task_fields import file_urls
from videos.sandbox.wire import messages
from videos.sandbox.wire.messages import Reply, Request, envelope, success
from videos.sandbox.wire.validation import check_index

_RECORD_LIFE_S = 14 * 86400


def record_info(box: Sandbox, request: Request) -> Reply:
    """The current state of a task."""
    task = box.state.tasks.get(request.argument("taskId"))
    if fault_reply := _fault_reply(box, task):
        return fault_reply
    if task is None or not _is_visible(box, task):
        return success(None) if box.settings.invisible_as == "null" else envelope(422, messages.RECORD_NULL)
    if box.clock.now() - task.accepted_at > _RECORD_LIFE_S:
        return envelope(422, messages.TOO_OLD)
    return _apply_body_faults(box, success(record(box, _apply_flip(box, task))))


def _is_visible(box: Sandbox, task: Task) -> bool:
    return task.completed_at is not None or box.clock.now() - task.accepted_at >= box.settings.invisible_s


def _apply_flip(box: Sandbox, task: Task) -> Task:
    """The task; if record-flips is ordered, a failed copy of it once its success has been reported."""
    order = box.faults.strikes("record-flips", key=task.id) if task.flag == SUCCESS else None
    if order and box.faults.times(order, task.id) > 1:
        return replace(task, flag=FAILED, error_code=501, error_message="failed", result_paths=[])
    return task


def _fault_reply(box: Sandbox, task: Task | None) -> Reply | None:
    """A reply without the state of the task, if a fault is ordered for this request."""
    strikes = box.faults.strikes
    age_s = box.clock.now() - task.accepted_at if task else math.inf
    replies_to_new_tasks = {
        "record-404": envelope(404, "Not Found"),
        "record-null": envelope(422, messages.RECORD_NULL),
        "data-null": success(None),
    }
    for name, reply in replies_to_new_tasks.items():
        if (order := strikes(name)) and age_s < order.number(math.inf):
            return reply
    if strikes("record-drop"):
        return Reply(silent=True)
    if order := strikes("record-422"):
        return envelope(422, order.arg or messages.RECORD_BLANK)
    for name in ("record-code", "record-http"):
        if order := strikes(name):
            code = int(order.number(500))
            return envelope(code, messages.INTERNAL, status=code if name == "record-http" else 200)
    return messages.html(502, "Bad Gateway") if strikes("record-html") else None


_ODD_BODIES = {
    "record-truncated": messages.truncated,
    "record-gzip-bomb": messages.gzip_bomb,
    "record-huge": messages.huge,
}


def _apply_body_faults(box: Sandbox, reply: Reply) -> Reply:
    for name, change in _ODD_BODIES.items():
        if box.faults.strikes(name):
            reply = change(reply)
    if order := box.faults.strikes("record-slow"):
        reply.wait_s = order.number(30)
    return reply


def get_1080p(box: Sandbox, request: Request) -> Reply:
    """The first request starts the upgrade for 5 credits; later requests get "busy" and finally the URL."""
    task = box.state.tasks.get(request.argument("taskId"))
    if task is None or task.kind == "upgrade-4k":
        return envelope(422, messages.RECORD_NULL)
    check_index(request.argument("index") or 0)
    with box.state.lock:
        if task.flag != SUCCESS:
            return envelope(422, messages.NOT_SUCCESS)
        upgrade = task.upgrade_1080p
        if upgrade and upgrade.ready:
            return success({"resultUrl": file_urls(box, [upgrade.video_path])[0]})
        if upgrade is None:
            price = box.state.prices["upgrade:1080p"]
            if not box.state.change_balance(-price, why="charge 1080p", task_id=task.id):
                return envelope(402, messages.NO_CREDITS)
            box.log.append("submission", kind="upgrade-1080p", accepted=True, task_id=task.id, charged=str(price))
            upgrades.begin_1080p(box, task)
    return envelope(422 if box.faults.strikes("upgrade-422") else 400, messages.BUSY_1080P)

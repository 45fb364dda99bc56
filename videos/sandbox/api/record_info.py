"""Questions about a task: record-info, and get-1080p-video, which also begins the upgrade."""

import math
from dataclasses import replace

from videos.sandbox.api.records import record
from videos.sandbox.lifecycle import upgrades
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.tasks import FAILED, SUCCESS, Task
from videos.sandbox.task_fields import urls_of
from videos.sandbox.wire import messages
from videos.sandbox.wire.messages import Reply, Request, envelope, success
from videos.sandbox.wire.validation import check_index

_RECORDS_S = 14 * 86400


def record_info(box: Sandbox, request: Request) -> Reply:
    """The authoritative state of a task."""
    task = box.state.tasks.get(request.argument("taskId"))
    if odd := _odd_answer(box, task):
        return odd
    if task is None or not _visible(box, task):
        return success(None) if box.settings.invisible_as == "null" else envelope(422, messages.RECORD_NULL)
    if box.clock.now() - task.accepted_at > _RECORDS_S:
        return envelope(422, messages.TOO_OLD)
    return _hampered(box, success(record(box, _flipped(box, task))))


def _visible(box: Sandbox, task: Task) -> bool:
    return task.completed_at is not None or box.clock.now() - task.accepted_at >= box.settings.invisible_s


def _flipped(box: Sandbox, task: Task) -> Task:
    """After one look at the success, a failure, if so ordered."""
    order = box.faults.strikes("record-flips", key=task.id) if task.flag == SUCCESS else None
    if order and box.faults.times(order, task.id) > 1:
        return replace(task, flag=FAILED, error_code=501, error_message="failed", result_paths=[])
    return task


def _odd_answer(box: Sandbox, task: Task | None) -> Reply | None:
    """An answer that says nothing about the task, if one is ordered for this look."""
    strikes = box.faults.strikes
    age_s = box.clock.now() - task.accepted_at if task else math.inf
    young = {
        "record-404": envelope(404, "Not Found"),
        "record-null": envelope(422, messages.RECORD_NULL),
        "data-null": success(None),
    }
    for name, reply in young.items():
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


def _hampered(box: Sandbox, reply: Reply) -> Reply:
    for name, change in _ODD_BODIES.items():
        if box.faults.strikes(name):
            reply = change(reply)
    if order := box.faults.strikes("record-slow"):
        reply.wait_s = order.number(30)
    return reply


def get_1080p(box: Sandbox, request: Request) -> Reply:
    """The first request begins the upgrade, for 5 credits; later ones answer busy, and then the address."""
    task = box.state.tasks.get(request.argument("taskId"))
    if task is None or task.kind == "upgrade-4k":
        return envelope(422, messages.RECORD_NULL)
    check_index(request.argument("index") or 0)
    with box.state.lock:
        if task.flag != SUCCESS:
            return envelope(422, messages.NOT_SUCCESS)
        upgrade = task.upgrade_1080p
        if upgrade and upgrade.ready:
            return success({"resultUrl": urls_of(box, [upgrade.video_path])[0]})
        if upgrade is None:
            price = box.state.prices["upgrade:1080p"]
            if not box.state.change_balance(-price, why="charge 1080p", task_id=task.id):
                return envelope(402, messages.NO_CREDITS)
            box.log.append("submission", kind="upgrade-1080p", accepted=True, task_id=task.id, charged=str(price))
            upgrades.begin_1080p(box, task)
    return envelope(422 if box.faults.strikes("upgrade-422") else 400, messages.BUSY_1080P)

"""Paid requests: generate, extend and get-4k-video, from the rate window to the answer, with all that can go wrong."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from videos.sandbox.faults.orders import Order
from videos.sandbox.lifecycle import endings, upgrades
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.provider_state import new_id
from videos.sandbox.state.tasks import SUCCESS, Task
from videos.sandbox.task_fields import urls_of
from videos.sandbox.video_spec import VideoSpec
from videos.sandbox.wire import messages
from videos.sandbox.wire.messages import Refused, Reply, Request, envelope, success
from videos.sandbox.wire.validation import Invalid, body_of, check_4k, check_extend, check_generate

Body = dict[str, Any]

_EXTEND_MODELS = {"fast": "veo3_fast", "quality": "veo3", "lite": "veo3_lite"}
_EXTENSION_S = 8
_TOTAL_MAX_S = 64

# Refused, nothing was created: (HTTP status, code, text).
_REFUSALS = {
    "code-402": (200, 402, messages.NO_CREDITS),
    "code-433": (200, 433, "The spending limit of this API key has been reached."),
    "credits-500": (200, 500, messages.NO_CREDITS),
    "code-401": (200, 401, messages.NO_ACCESS),
    "http-401": (401, 401, messages.NO_ACCESS),
    "code-404": (200, 404, "Not Found"),
    "code-400-policy": (200, 400, messages.POLICY),
    "code-422": (200, 422, "The request parameters are invalid."),
    "code-451": (200, 451, messages.IMAGE),
    "code-429": (200, 429, messages.TOO_OFTEN),
    "http-429": (429, 429, messages.TOO_OFTEN),
    "code-455": (200, 455, "The service is under maintenance. Please try again later."),
    "code-505": (200, 505, "This feature is currently disabled."),
}
# The answer does not tell whether the task exists; it does when the order says `accepted`.
_UNSURE: dict[str, Callable[[Order], Reply]] = {
    "html-502": lambda _: messages.html(502, "Bad Gateway"),
    "html-504": lambda _: messages.html(504, "Gateway Time-out"),
    "http-500": lambda _: envelope(500, messages.INTERNAL, status=500),
    "code-500-no-id": lambda _: envelope(500, messages.INTERNAL),
    "code-501-no-id": lambda _: envelope(501, "Failed - Video generation task failed"),
    "odd-code": lambda order: envelope(int(order.arg.partition(",")[0] or 799), "Something else happened."),
}
# Data of the answer to an accepted task, without an id that can be used.
_ODD_IDS: dict[str, Body] = {
    "no-task-id": {},
    "number-task-id": {"taskId": 1776728214},
    "null-task-id": {"taskId": None},
}
_ODD_BODIES = {"truncated-json": messages.truncated, "huge-json": messages.huge, "gzip-bomb": messages.gzip_bomb}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A checked request, priced: what will become a task."""

    kind: str
    body: Body
    price_item: str
    model: str = ""
    parent: Task | None = None


def _submit(box: Sandbox, request: Request, *, kind: str, check: Callable[[Sandbox, Body], Job]) -> Reply:
    """Log the submission, whatever becomes of it."""
    entry: Body = {"kind": kind, "accepted": False, "task_id": "", "charged": "0", "body": None}
    try:
        reply = _accept(box, request, entry, check)
    except Refused as refused:
        reply = refused.reply
    except Invalid as invalid:
        reply = envelope(422, str(invalid))
    box.log.append("submission", **entry, http=reply.status, answer=reply.body[:300].decode(errors="replace"))
    return reply


def _accept(box: Sandbox, request: Request, entry: Body, check: Callable[[Sandbox, Body], Job]) -> Reply:
    if not box.state.within_rate():
        raise Refused(envelope(429, messages.TOO_OFTEN, status=429))
    entry["body"] = body = body_of(request)
    _refuse_by_fault(box)
    for name, answer in _UNSURE.items():
        if order := box.faults.strikes(name):
            if "accepted" in order.arg:
                _create(box, check(box, body), entry)
            return answer(order)
    job = check(box, body)
    if "[refuse]" in str(body.get("prompt")):
        raise Refused(envelope(400, messages.POLICY))
    return _answer(box, _create(box, job, entry), job)


def _refuse_by_fault(box: Sandbox) -> None:
    strikes = box.faults.strikes
    if strikes("drop-request"):
        raise Refused(Reply(silent=True))
    if order := strikes("redirect"):
        raise Refused(Reply(status=307, headers={"Location": order.arg or messages.PRIVATE_URL}))
    for name, (status, code, text) in _REFUSALS.items():
        if order := strikes(name):
            raise Refused(envelope(code, text, status=500 if order.arg == "http" else status))
    if (order := strikes("balance-runs-out", key="once")) and box.state.accepted >= order.number(1):
        box.state.set_balance(box.state.balance * 0, why="runs out by order")


def _check_generate(_box: Sandbox, body: Body) -> Job:
    filled = check_generate(body)
    model = filled["model"]
    return Job(kind="generate", body=filled, model=model, price_item=f"{model}:{filled['resolution']}")


def _check_extend(box: Sandbox, body: Body) -> Job:
    filled = check_extend(body)
    parent, model = _finished(box, filled["taskId"]), filled["model"]
    if parent.upgrade_1080p:
        raise Refused(envelope(422, "A video that was upgraded to 1080P cannot be extended"))
    return Job(kind="extend", body=filled, model=_EXTEND_MODELS[model], price_item=f"extend:{model}", parent=parent)


def _check_4k(box: Sandbox, body: Body) -> Job:
    filled = check_4k(body)
    parent = _finished(box, filled["taskId"])
    if upgrade := parent.upgrade_4k:
        if upgrade.failed:
            raise Refused(envelope(500, messages.FAILED_4K, {"taskId": upgrade.task_id}))
        data = _data_4k(upgrade.task_id)
        if upgrade.ready:
            data["resultUrls"], data["imageUrls"] = (
                urls_of(box, [upgrade.video_path]),
                urls_of(box, [upgrade.image_path]),
            )
        raise Refused(envelope(422, messages.DONE_4K if upgrade.ready else messages.BUSY_4K, data))
    return Job(kind="upgrade-4k", body=filled, price_item="upgrade:4k", parent=parent)


def _data_4k(task_id: str) -> Body:
    return {"taskId": task_id, "resultUrls": None, "imageUrls": None}


def _finished(box: Sandbox, task_id: str) -> Task:
    """A task of ours that succeeded and made a video of its own."""
    task = box.state.tasks.get(task_id)
    if task is None or task.kind == "upgrade-4k":
        raise Refused(envelope(404, "The original task was not found"))
    if task.flag != SUCCESS:
        raise Refused(envelope(422, messages.NOT_SUCCESS))
    return task


def _create(box: Sandbox, job: Job, entry: Body) -> Task:
    """Take the credits and start the work; Refused with 402 when there are not enough."""
    state = box.state
    with state.lock:
        price, task_id = state.prices[job.price_item], new_id()
        if state.balance < price:
            raise Refused(envelope(402, messages.NO_CREDITS))
        if job.kind == "upgrade-4k" and job.parent:
            return _create_4k(box, job, job.parent, entry)
        charged = price if (at_acceptance := box.settings.charge == "acceptance") else 0
        if at_acceptance:
            state.change_balance(-price, why="charge", task_id=task_id)
        now, video = box.clock.now(), _video(box, job, mark=task_id)
        task = Task(
            id=task_id,
            kind=job.kind,
            params=job.body,
            video=video,
            price=price,
            accepted_at=now,
            ends_at=now + _takes_s(box, job),
            created_at=time.time(),
            parent=job.parent,
            total_s=min(_TOTAL_MAX_S, video.duration_s + (job.parent.total_s if job.parent else 0)),
        )
        state.tasks[task_id] = task
        state.accepted += 1
    entry.update(accepted=True, task_id=task_id, price=str(price), charged=str(charged))
    endings.begin(box, task)
    return task


def _create_4k(box: Sandbox, job: Job, parent: Task, entry: Body) -> Task:
    price = box.state.prices[job.price_item]
    box.state.change_balance(-price, why="charge 4k", task_id=parent.id)
    task_id = new_id() if box.faults.strikes("4k-new-id") else parent.id
    upgrades.begin_4k(box, parent, task_id=task_id, callback_url=str(job.body.get("callBackUrl") or ""))
    entry.update(accepted=True, task_id=task_id, price=str(price), charged=str(price))
    return box.state.tasks[task_id]


def _video(box: Sandbox, job: Job, *, mark: str) -> VideoSpec:
    prompt, seed = str(job.body["prompt"]), int(job.body.get("seeds") or box.state.rng.randrange(10_000, 100_000))
    if job.parent:
        return replace(job.parent.video, prompt=prompt, resolution="720p", duration_s=_EXTENSION_S, mark=mark)
    aspect = job.body["aspect_ratio"]
    return VideoSpec(
        prompt=prompt,
        aspect="16:9" if aspect == "Auto" else aspect,
        resolution=job.body["resolution"],
        duration_s=job.body["duration"],
        seed=seed,
        mark=mark,
    )


def _takes_s(box: Sandbox, job: Job) -> float:
    lite, fast, quality = box.settings.times_s
    usual = {"veo3_lite": lite, "veo3_fast": fast, "veo3": quality}[job.model]
    slow = 5 if "[slow]" in str(job.body.get("prompt")) else 1
    return usual * slow * box.state.rng.uniform(0.85, 1.15)


def _answer(box: Sandbox, task: Task, job: Job) -> Reply:
    """The answer to an accepted task, or what is left of it."""
    strikes = box.faults.strikes
    reply = success(_data_4k(task.id) if job.kind == "upgrade-4k" else {"taskId": task.id})
    if strikes("early-callback"):
        endings.end(box, task, at_once=True)
    if order := strikes("task-id-key"):
        key = order.arg or "task_id"
        root = {"code": 200, "msg": "success", "taskId": task.id}
        reply.body = messages.dump(root) if key == "root" else success({key: task.id}).body
    for name, data in _ODD_IDS.items():
        if strikes(name):
            reply.body = success(data).body
    if strikes("repeated-task-id") and (other := box.state.other_task(task)):
        reply.body = success({"taskId": other.id}).body
    if order := strikes("slow-answer"):
        reply.wait_s = order.number(90)
    for name, change in _ODD_BODIES.items():
        if strikes(name):
            reply = change(reply)
    if strikes("reset-mid-answer"):
        reply.length, reply.reset, reply.body = len(reply.body), True, reply.body[: len(reply.body) // 2]
    if strikes("drop-answer") or "[lost]" in task.prompt:
        reply.silent = True
    return reply


generate = partial(_submit, kind="generate", check=_check_generate)
extend = partial(_submit, kind="extend", check=_check_extend)
get_4k = partial(_submit, kind="upgrade-4k", check=_check_4k)

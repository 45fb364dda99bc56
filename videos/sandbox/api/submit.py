"""The paid endpoints generate, extend and get-4k-video: rate limit, checks, charge, reply, and their faults."""

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
from videos.sandbox.task_fields import file_urls
from videos.sandbox.video_spec import VideoSpec
from videos.sandbox.wire import messages
from videos.sandbox.wire.messages import Refused, Reply, Request, envelope, success
from videos.sandbox.wire.validation import Invalid, check_4k, check_extend, check_generate, parse_body

Body = dict[str, Any]

_EXTEND_MODELS = {"fast": "veo3_fast", "quality": "veo3", "lite": "veo3_lite"}
_EXTENSION_S = 8
_TOTAL_MAX_S = 64

# Faults that refuse the request: (HTTP status, code, text). No task is created.
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
# Replies that do not show whether a task was created. It is created if the argument of the order contains `accepted`.
_AMBIGUOUS_REPLIES: dict[str, Callable[[Order], Reply]] = {
    "html-502": lambda _: messages.html(502, "Bad Gateway"),
    "html-504": lambda _: messages.html(504, "Gateway Time-out"),
    "http-500": lambda _: envelope(500, messages.INTERNAL, status=500),
    "code-500-no-id": lambda _: envelope(500, messages.INTERNAL),
    "code-501-no-id": lambda _: envelope(501, "Failed - Video generation task failed"),
    "odd-code": lambda order: envelope(int(order.arg.partition(",")[0] or 799), "Something else happened."),
}
# `data` of the reply to an accepted task, without a usable id.
_UNUSABLE_IDS: dict[str, Body] = {
    "no-task-id": {},
    "number-task-id": {"taskId": 1776728214},
    "null-task-id": {"taskId": None},
}
_ODD_BODIES = {"truncated-json": messages.truncated, "huge-json": messages.huge, "gzip-bomb": messages.gzip_bomb}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A checked request and the name of its price; it becomes a task if the balance is sufficient."""

    kind: str
    body: Body
    price_item: str
    model: str = ""
    parent: Task | None = None


def _submit(box: Sandbox, request: Request, *, kind: str, check: Callable[[Sandbox, Body], Job]) -> Reply:
    """Handle a paid request and log it as a submission, accepted or not."""
    log_fields: Body = {"kind": kind, "accepted": False, "task_id": "", "charged": "0", "body": None}
    try:
        reply = _accept(box, request, log_fields, check)
    except Refused as refused:
        reply = refused.reply
    except Invalid as invalid:
        reply = envelope(422, str(invalid))
    box.log.append("submission", **log_fields, http=reply.status, answer=reply.body[:300].decode(errors="replace"))
    return reply


def _accept(box: Sandbox, request: Request, log_fields: Body, check: Callable[[Sandbox, Body], Job]) -> Reply:
    if not box.state.take_rate_slot():
        raise Refused(envelope(429, messages.TOO_OFTEN, status=429))
    log_fields["body"] = body = parse_body(request)
    _refuse_by_fault(box)
    for name, make_reply in _AMBIGUOUS_REPLIES.items():
        if order := box.faults.strikes(name):
            if "accepted" in order.arg:
                _create_task(box, check(box, body), log_fields)
            return make_reply(order)
    job = check(box, body)
    if "[refuse]" in str(body.get("prompt")):
        raise Refused(envelope(400, messages.POLICY))
    return _build_reply(box, _create_task(box, job, log_fields), job)


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
    parent, model = _find_finished_task(box, filled["taskId"]), filled["model"]
    if parent.upgrade_1080p:
        raise Refused(envelope(422, "A video that was upgraded to 1080P cannot be extended"))
    return Job(kind="extend", body=filled, model=_EXTEND_MODELS[model], price_item=f"extend:{model}", parent=parent)


def _check_4k(box: Sandbox, body: Body) -> Job:
    filled = check_4k(body)
    parent = _find_finished_task(box, filled["taskId"])
    if upgrade := parent.upgrade_4k:
        if upgrade.failed:
            raise Refused(envelope(500, messages.FAILED_4K, {"taskId": upgrade.task_id}))
        data = _data_4k(upgrade.task_id)
        if upgrade.ready:
            data["resultUrls"], data["imageUrls"] = (
                file_urls(box, [upgrade.video_path]),
                file_urls(box, [upgrade.image_path]),
            )
        raise Refused(envelope(422, messages.DONE_4K if upgrade.ready else messages.BUSY_4K, data))
    return Job(kind="upgrade-4k", body=filled, price_item="upgrade:4k", parent=parent)


def _data_4k(task_id: str) -> Body:
    return {"taskId": task_id, "resultUrls": None, "imageUrls": None}


def _find_finished_task(box: Sandbox, task_id: str) -> Task:
    """A task that has succeeded and is no upgrade. Raises Refused."""
    task = box.state.tasks.get(task_id)
    if task is None or task.kind == "upgrade-4k":
        raise Refused(envelope(404, "The original task was not found"))
    if task.flag != SUCCESS:
        raise Refused(envelope(422, messages.NOT_SUCCESS))
    return task


def _create_task(box: Sandbox, job: Job, log_fields: Body) -> Task:
    """Charge the credits and start the task. Raises Refused with 402 if there are too few."""
    state = box.state
    with state.lock:
        price, task_id = state.prices[job.price_item], new_id()
        if state.balance < price:
            raise Refused(envelope(402, messages.NO_CREDITS))
        if job.kind == "upgrade-4k" and job.parent:
            return _create_4k_task(box, job, job.parent, log_fields)
        charged = price if (at_acceptance := box.settings.charge == "acceptance") else 0
        if at_acceptance:
            state.change_balance(-price, why="charge", task_id=task_id)
        now, video = box.clock.now(), _make_video_spec(box, job, mark=task_id)
        task = Task(
            id=task_id,
            kind=job.kind,
            params=job.body,
            video=video,
            price=price,
            accepted_at=now,
            ends_at=now + _choose_generation_s(box, job),
            created_at=time.time(),
            parent=job.parent,
            total_s=min(_TOTAL_MAX_S, video.duration_s + (job.parent.total_s if job.parent else 0)),
        )
        state.tasks[task_id] = task
        state.accepted += 1
    log_fields.update(accepted=True, task_id=task_id, price=str(price), charged=str(charged))
    endings.begin(box, task)
    return task


def _create_4k_task(box: Sandbox, job: Job, parent: Task, log_fields: Body) -> Task:
    price = box.state.prices[job.price_item]
    box.state.change_balance(-price, why="charge 4k", task_id=parent.id)
    task_id = new_id() if box.faults.strikes("4k-new-id") else parent.id
    upgrades.begin_4k(box, parent, task_id=task_id, callback_url=str(job.body.get("callBackUrl") or ""))
    log_fields.update(accepted=True, task_id=task_id, price=str(price), charged=str(price))
    return box.state.tasks[task_id]


def _make_video_spec(box: Sandbox, job: Job, *, mark: str) -> VideoSpec:
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


def _choose_generation_s(box: Sandbox, job: Job) -> float:
    lite, fast, quality = box.settings.times_s
    duration_s = {"veo3_lite": lite, "veo3_fast": fast, "veo3": quality}[job.model]
    slow_factor = 5 if "[slow]" in str(job.body.get("prompt")) else 1
    return duration_s * slow_factor * box.state.rng.uniform(0.85, 1.15)


def _build_reply(box: Sandbox, task: Task, job: Job) -> Reply:
    """The reply to an accepted task, changed by the ordered faults."""
    strikes = box.faults.strikes
    reply = success(_data_4k(task.id) if job.kind == "upgrade-4k" else {"taskId": task.id})
    if strikes("early-callback"):
        endings.end(box, task, wait=True)
    if order := strikes("task-id-key"):
        key = order.arg or "task_id"
        root = {"code": 200, "msg": "success", "taskId": task.id}
        reply.body = messages.dump(root) if key == "root" else success({key: task.id}).body
    for name, data in _UNUSABLE_IDS.items():
        if strikes(name):
            reply.body = success(data).body
    if strikes("repeated-task-id") and (other := box.state.find_other_task(task)):
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

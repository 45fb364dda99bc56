"""Paid requests: generate, extend and get-4k-video, from the rate window to the answer, with all that can go wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from videos.sandbox import outcome, wire
from videos.sandbox.faults import Order
from videos.sandbox.house import Sandbox
from videos.sandbox.validation import Invalid, body_of, check_4k, check_extend, check_generate
from videos.sandbox.video_spec import VideoSpec
from videos.sandbox.wire import Reply, Request, refusal, success
from videos.sandbox.world import SUCCESS, Task, new_id

Body = dict[str, Any]

_EXTEND_MODELS = {"fast": "veo3_fast", "quality": "veo3", "lite": "veo3_lite"}
_EXTENSION_S = 8
_TOTAL_MAX_S = 64

# Refused, nothing was created: (HTTP status, code, text).
_REFUSED = {
    "code-402": (200, 402, wire.CREDITS),
    "code-433": (200, 433, "The spending limit of this API key has been reached."),
    "credits-500": (200, 500, wire.CREDITS),
    "code-401": (200, 401, wire.NO_ACCESS),
    "http-401": (401, 401, wire.NO_ACCESS),
    "code-404": (200, 404, "Not Found"),
    "code-400-policy": (200, 400, wire.POLICY),
    "code-422": (200, 422, "The request parameters are invalid."),
    "code-451": (200, 451, wire.IMAGE),
    "code-429": (200, 429, wire.TOO_OFTEN),
    "http-429": (429, 429, wire.TOO_OFTEN),
    "code-455": (200, 455, "The service is under maintenance. Please try again later."),
    "code-505": (200, 505, "This feature is currently disabled."),
}
# The answer does not tell whether the task exists; it does when the order says `accepted`.
_UNSURE: dict[str, Callable[[Order], Reply]] = {
    "html-502": lambda _: wire.html(502, "Bad Gateway"),
    "html-504": lambda _: wire.html(504, "Gateway Time-out"),
    "http-500": lambda _: _with_status(refusal(500, wire.INTERNAL), 500),
    "code-500-no-id": lambda _: refusal(500, wire.INTERNAL),
    "code-501-no-id": lambda _: refusal(501, "Failed - Video generation task failed"),
    "odd-code": lambda order: refusal(int(order.arg.partition(",")[0] or 799), "Something else happened."),
}


def _with_status(reply: Reply, status: int) -> Reply:
    reply.status = status
    return reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A checked request, priced: what will become a task."""

    kind: str
    body: Body
    price_item: str
    model: str
    parent: Task | None = None


class Refused(Exception):
    """The request ends here with this reply; nothing was created."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


def generate(box: Sandbox, request: Request) -> Reply:
    return _submit(box, request, "generate", _check_generate)


def extend(box: Sandbox, request: Request) -> Reply:
    return _submit(box, request, "extend", _check_extend)


def get_4k(box: Sandbox, request: Request) -> Reply:
    return _submit(box, request, "upgrade-4k", _check_4k)


def _submit(box: Sandbox, request: Request, kind: str, check: Callable[[Sandbox, Body], Job]) -> Reply:
    """Log the submission, whatever becomes of it."""
    entry: Body = {"kind": kind, "accepted": False, "task_id": "", "charged": "0", "body": None}
    try:
        reply = _accept(box, request, entry, check)
    except Refused as refused:
        reply = refused.reply
    except Invalid as invalid:
        reply = refusal(422, str(invalid))
    box.truth.append("submission", **entry, http=reply.status, answer=reply.body[:300].decode(errors="replace"))
    return reply


def _accept(box: Sandbox, request: Request, entry: Body, check: Callable[[Sandbox, Body], Job]) -> Reply:
    if not box.world.within_rate():
        raise Refused(_with_status(refusal(429, wire.TOO_OFTEN), 429))
    entry["body"] = body = body_of(request)
    _refuse_by_fault(box)
    for name, answer in _UNSURE.items():
        if order := box.book.strikes(name):
            if "accepted" in order.arg:
                _create(box, check(box, body), entry)
            return answer(order)
    job = check(box, body)
    if "[refuse]" in str(body.get("prompt")):
        raise Refused(refusal(400, wire.POLICY))
    task = _create(box, job, entry)
    return _answer(box, task, success(_created(job, task)))


def _refuse_by_fault(box: Sandbox) -> None:
    strikes = box.book.strikes
    if strikes("drop-request"):
        raise Refused(Reply(silent=True))
    if order := strikes("redirect"):
        raise Refused(Reply(status=307, headers={"Location": order.arg or wire.PRIVATE_URL}))
    for name, (status, code, text) in _REFUSED.items():
        if order := strikes(name):
            raise Refused(_with_status(refusal(code, text), 500 if order.arg == "http" else status))
    if (order := strikes("balance-runs-out", key="once")) and box.world.accepted >= order.number(1):
        box.world.set_balance(box.world.balance * 0, why="runs out by order")


def _check_generate(_box: Sandbox, body: Body) -> Job:
    filled = check_generate(body)
    return Job(
        kind="generate", body=filled, model=filled["model"], price_item=f"{filled['model']}:{filled['resolution']}"
    )


def _check_extend(box: Sandbox, body: Body) -> Job:
    filled = check_extend(body)
    parent = _finished(box, filled["taskId"])
    if parent.hd:
        raise Refused(refusal(422, "A video that was upgraded to 1080P cannot be extended"))
    return Job(
        kind="extend",
        body=filled,
        model=_EXTEND_MODELS[filled["model"]],
        price_item=f"extend:{filled['model']}",
        parent=parent,
    )


def _check_4k(box: Sandbox, body: Body) -> Job:
    filled = check_4k(body)
    parent = _finished(box, filled["taskId"])
    if upgrade := parent.uhd:
        if upgrade.failed:
            raise Refused(refusal(500, wire.UHD_FAILED, {"taskId": upgrade.task_id}))
        data: Body = {"taskId": upgrade.task_id, "resultUrls": None, "imageUrls": None}
        if upgrade.ready:
            data |= {
                "resultUrls": [box.base_url + upgrade.film_path],
                "imageUrls": [box.base_url + upgrade.image_path],
            }
        raise Refused(refusal(422, wire.UHD_DONE if upgrade.ready else wire.UHD_BUSY, data))
    return Job(kind="upgrade-4k", body=filled, model="", price_item="upgrade:4k", parent=parent)


def _finished(box: Sandbox, task_id: str) -> Task:
    """A task of ours that succeeded and made a video of its own."""
    task = box.world.task(task_id)
    if task is None or task.kind == "upgrade-4k":
        raise Refused(refusal(404, "The original task was not found"))
    if task.flag != SUCCESS:
        raise Refused(refusal(422, wire.NOT_SUCCESS))
    return task


def _create(box: Sandbox, job: Job, entry: Body) -> Task:
    """Take the credits and start the work; Refused with 402 when there are not enough."""
    world = box.world
    with world.lock:
        price = world.prices.of(job.price_item)
        task_id = new_id()
        if world.balance < price:
            raise Refused(refusal(402, wire.CREDITS))
        if job.kind == "upgrade-4k":
            return _create_4k(box, job, entry)
        if box.settings.charge == "acceptance":
            world.move(-price, why="charge", task_id=task_id)
        now = box.clock.now()
        task = Task(
            id=task_id,
            kind=job.kind,
            params=job.body,
            film=_film(box, job, mark=task_id),
            price=price,
            accepted_at=now,
            ends_at=now + _takes_s(box, job),
            created_at=box.clock.wall(),
            parent=job.parent,
        )
        task.total_s = min(_TOTAL_MAX_S, task.film.duration_s + (job.parent.total_s if job.parent else 0))
        world.tasks[task_id] = task
        world.accepted += 1
    charged = price if box.settings.charge == "acceptance" else 0
    entry.update(accepted=True, task_id=task_id, price=str(price), charged=str(charged))
    outcome.begin(box, task)
    return task


def _create_4k(box: Sandbox, job: Job, entry: Body) -> Task:
    if job.parent is None:
        raise Refused(refusal(404, "The original task was not found"))
    world, parent = box.world, job.parent
    price = world.prices.of(job.price_item)
    world.move(-price, why="charge 4k", task_id=parent.id)
    task_id = new_id() if box.book.strikes("4k-new-id") else parent.id
    outcome.begin_uhd(box, parent, task_id=task_id, callback_url=str(job.body.get("callBackUrl") or ""))
    entry.update(accepted=True, task_id=task_id, price=str(price), charged=str(price))
    return world.tasks[task_id]


def _film(box: Sandbox, job: Job, *, mark: str) -> VideoSpec:
    seed = int(job.body.get("seeds") or box.world.dice.randrange(10_000, 100_000))
    if job.parent:
        film = job.parent.film
        return VideoSpec(
            prompt=str(job.body["prompt"]),
            aspect=film.aspect,
            resolution="720p",
            duration_s=_EXTENSION_S,
            seed=film.seed,
            mark=mark,
        )
    aspect = job.body["aspect_ratio"]
    return VideoSpec(
        prompt=str(job.body["prompt"]),
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
    return usual * slow * box.world.dice.uniform(0.85, 1.15)


def _created(job: Job, task: Task) -> Body:
    if job.kind == "upgrade-4k":
        return {"taskId": task.id, "resultUrls": None, "imageUrls": None}
    return {"taskId": task.id}


def _answer(box: Sandbox, task: Task, reply: Reply) -> Reply:
    """The answer to an accepted task, or what is left of it."""
    strikes = box.book.strikes
    if strikes("early-callback"):
        outcome.settle(box, task, at_once=True)
    if order := strikes("task-id-key"):
        key = order.arg or "task_id"
        root = {"code": 200, "msg": "success", "taskId": task.id}
        reply.body = wire.dump(root) if key == "root" else success({key: task.id}).body
    if strikes("no-task-id"):
        reply.body = success({}).body
    if strikes("number-task-id"):
        reply.body = success({"taskId": 1776728214}).body
    if strikes("null-task-id"):
        reply.body = success({"taskId": None}).body
    if strikes("repeated-task-id") and (other := box.world.other_task(task)):
        reply.body = success({"taskId": other.id}).body
    if order := strikes("slow-answer"):
        reply.wait_s = order.number(90)
    if strikes("truncated-json"):
        reply = wire.halved(reply)
    if strikes("huge-json"):
        reply = wire.huge(reply)
    if strikes("gzip-bomb"):
        reply = wire.bomb(reply)
    if strikes("reset-mid-answer"):
        reply.length, reply.reset, reply.body = len(reply.body), True, reply.body[: len(reply.body) // 2]
    if strikes("drop-answer") or "[lost]" in task.prompt:
        reply.silent = True
    return reply

"""Which callbacks are sent when a task has ended: the true one, copies of it, forgeries before it, contradictions after it."""

import re
from dataclasses import replace
from functools import partial

from videos.sandbox.callbacks import bodies
from videos.sandbox.callbacks.variants import hamper, vary
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.provider_state import new_id
from videos.sandbox.state.tasks import FAILED, SUCCESS, Task
from videos.sandbox.wire.delivery import Callback


def send(box: Sandbox, task: Task, *, at_once: bool = False) -> None:
    """Call back about a task that has ended; `at_once` waits for the answer of the receiver."""
    strikes, deliver = box.faults.strikes, box.delivery.send_now if at_once else box.delivery.send
    for forgery in _forgeries(box, task):
        deliver(forgery)
    if strikes("no-callback"):
        return
    genuine = bodies.signed(box, task, vary(box, task, bodies.true_body(box, task)))
    hamper(box, genuine)
    if not at_once and (order := strikes("late-callback")):
        box.schedule.after(order.number(60), partial(deliver, genuine))
    else:
        deliver(genuine)
    if order := strikes("duplicate-callback"):
        for _ in range(int(order.number(10)) - 1):
            box.delivery.send(replace(genuine, kind="duplicate", retried=False))
    for contradiction in _contradictions(box, task, genuine):
        # After the true one, not beside it.
        box.schedule.after(1.0, partial(box.delivery.send, contradiction))


def schedule_false_endings(box: Sandbox, task: Task) -> None:
    """Half-way through a task, callbacks about an ending that has not come, if that is ordered."""
    half_way = (task.accepted_at + task.ends_at) / 2
    for name, flag in (("callback-lies-success", SUCCESS), ("callback-lies-failure", FAILED)):
        if task.callback_url and box.faults.strikes(name):
            lie = bodies.signed(box, task, bodies.false_body(box, task, flag=flag), kind="lie")
            box.schedule.at(half_way, partial(box.delivery.send, lie))


def _forgeries(box: Sandbox, task: Task) -> list[Callback]:
    strikes, other, found = box.faults.strikes, box.state.other_task(task), []
    if strikes("callback-forged-body"):
        body = bodies.hostile_body(other.id if other else new_id(), resolution="1080p")
        found.append(bodies.signed(box, task, body, kind="forged", retried=False))
    if strikes("callback-stranger"):
        found.append(bodies.signed(box, task, bodies.hostile_body(new_id()), kind="stranger", retried=False))
    wrong_urls = []
    if strikes("callback-wrong-token"):
        wrong_urls.append(("wrong token", _altered(task.callback_url)))
    if strikes("callback-other-token") and other and other.callback_url:
        wrong_urls.append(("other token", other.callback_url))
    for kind, url in wrong_urls:
        found.append(bodies.signed(box, task, bodies.true_body(box, task), kind=kind, url=url, retried=False))
    return found


def _contradictions(box: Sandbox, task: Task, genuine: Callback) -> list[Callback]:
    strikes, done, found = box.faults.strikes, task.flag == SUCCESS, []
    opposite = bodies.false_body(box, task, flag=FAILED if done else SUCCESS)
    if strikes("fail-after-success" if done else "success-after-fail"):
        found.append(bodies.signed(box, task, opposite, kind="contrary"))
    if strikes("replayed-signature"):
        replayed = bodies.signed(box, task, opposite, kind="replayed", retried=False)
        found.append(replace(replayed, headers=dict(genuine.headers)))
    return found


def _altered(url: str) -> str:
    """The address with the last letters of its last part replaced, so that its token is wrong."""
    return re.sub(r"([A-Za-z0-9_-]{4})(/?)$", lambda match: ("AAAA" if match[1] != "AAAA" else "BBBB") + match[2], url)

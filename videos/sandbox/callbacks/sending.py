"""Sends the callbacks about a task that has ended: forgeries, the genuine one, its copies, then contradictions."""

import re
from dataclasses import replace
from functools import partial

from videos.sandbox.callbacks import bodies
from videos.sandbox.callbacks.variants import apply_body_faults, apply_delivery_faults
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.provider_state import new_id
from videos.sandbox.state.tasks import FAILED, SUCCESS, Task
from videos.sandbox.wire.delivery import Callback


def send(box: Sandbox, task: Task, *, wait: bool = False) -> None:
    """Send the callbacks about a task that has ended; `wait` waits for the response of the receiver."""
    strikes, deliver = box.faults.strikes, box.delivery.send_now if wait else box.delivery.send
    for forgery in _forgeries(box, task):
        deliver(forgery)
    if strikes("no-callback"):
        return
    genuine = bodies.signed(box, task, apply_body_faults(box, task, bodies.true_body(box, task)))
    apply_delivery_faults(box, genuine)
    if not wait and (order := strikes("late-callback")):
        box.schedule.after(order.number(60), partial(deliver, genuine))
    else:
        deliver(genuine)
    if order := strikes("duplicate-callback"):
        for _ in range(int(order.number(10)) - 1):
            box.delivery.send(replace(genuine, kind="duplicate", retried=False))
    for contradiction in _contradictions(box, task, genuine):
        # Sent later, so that the contradiction arrives after the genuine callback.
        box.schedule.after(1.0, partial(box.delivery.send, contradiction))


def schedule_false_endings(box: Sandbox, task: Task) -> None:
    """If ordered, schedule callbacks halfway through a task that claim it has already ended."""
    halfway = (task.accepted_at + task.ends_at) / 2
    for name, flag in (("callback-lies-success", SUCCESS), ("callback-lies-failure", FAILED)):
        if task.callback_url and box.faults.strikes(name):
            false_callback = bodies.signed(box, task, bodies.false_body(box, task, flag=flag), kind="lie")
            box.schedule.at(halfway, partial(box.delivery.send, false_callback))


def _forgeries(box: Sandbox, task: Task) -> list[Callback]:
    strikes, other, forgeries = box.faults.strikes, box.state.find_other_task(task), []
    if strikes("callback-forged-body"):
        body = bodies.hostile_success(other.id if other else new_id(), resolution="1080p")
        forgeries.append(bodies.signed(box, task, body, kind="forged", retried=False))
    if strikes("callback-stranger"):
        forgeries.append(bodies.signed(box, task, bodies.hostile_success(new_id()), kind="stranger", retried=False))
    wrong_urls = []
    if strikes("callback-wrong-token"):
        wrong_urls.append(("wrong token", _altered_url(task.callback_url)))
    if strikes("callback-other-token") and other and other.callback_url:
        wrong_urls.append(("other token", other.callback_url))
    for kind, url in wrong_urls:
        forgeries.append(bodies.signed(box, task, bodies.true_body(box, task), kind=kind, url=url, retried=False))
    return forgeries


def _contradictions(box: Sandbox, task: Task, genuine: Callback) -> list[Callback]:
    strikes, succeeded, contradictions = box.faults.strikes, task.flag == SUCCESS, []
    opposite = bodies.false_body(box, task, flag=FAILED if succeeded else SUCCESS)
    if strikes("fail-after-success" if succeeded else "success-after-fail"):
        contradictions.append(bodies.signed(box, task, opposite, kind="contrary"))
    if strikes("replayed-signature"):
        replayed = bodies.signed(box, task, opposite, kind="replayed", retried=False)
        contradictions.append(replace(replayed, headers=dict(genuine.headers)))
    return contradictions


def _altered_url(url: str) -> str:
    """The URL with its last four letters replaced, so that its token is wrong."""
    return re.sub(r"([A-Za-z0-9_-]{4})(/?)$", lambda match: ("AAAA" if match[1] != "AAAA" else "BBBB") + match[2], url)

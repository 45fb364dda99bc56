"""Ends tasks: when, with which outcome, and at what cost."""

import time
from dataclasses import replace
from functools import partial

from videos.sandbox.callbacks.sending import schedule_false_endings, send
from videos.sandbox.lifecycle.upgrades import end_4k, end_1080p
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.tasks import FAILED, FAILED_EARLY, GENERATING, SUCCESS, Task
from videos.sandbox.wire.messages import INTERNAL

_NO_AUDIO = "The Google model was unable to generate audio for this request."
_STUCK_CHECK_S = 1.0


def begin(box: Sandbox, task: Task) -> None:
    """Schedule the end of an accepted task, and false callbacks about it if ordered."""
    if "[stuck]" not in task.prompt:
        box.schedule.at(task.ends_at, partial(end, box, task))
    schedule_false_endings(box, task)


def end(box: Sandbox, task: Task, *, wait: bool = False) -> None:
    """End the task and send its callbacks; `wait` waits for the response of the receiver."""
    if box.state.closed:
        return
    if box.faults.strikes("stuck-generating", key=task.id):
        box.schedule.after(_STUCK_CHECK_S, partial(end, box, task))
        return
    with box.state.lock:
        if task.flag != GENERATING:
            return
        _set_outcome(box, task)
        task.completed_at = time.time()
        _charge_at_end(box, task)
        box.log.append(
            "settled", task_id=task.id, flag=task.flag, error_code=task.error_code, error_message=task.error_message
        )
    if task.callback_url:
        send(box, task, wait=wait)


def _set_outcome(box: Sandbox, task: Task) -> None:
    strikes = box.faults.strikes
    if order := strikes("fail-flag-2", key=task.id):
        task.flag, task.error_code, task.error_message = FAILED_EARLY, 500, order.arg or INTERNAL
    elif order := strikes("fail-flag-3", key=task.id):
        task.flag, task.error_code, task.error_message = FAILED, 400, order.arg or _NO_AUDIO
    elif strikes("success-after-fail", key=task.id) or "[fail]" in task.prompt:
        task.flag, task.error_code, task.error_message = FAILED, 422, "failed"
    else:
        task.flag = SUCCESS
        _store_results(box, task)


def _store_results(box: Sandbox, task: Task) -> None:
    video = task.video
    if box.faults.strikes("short-film", key=task.id):
        video = replace(video, duration_s=1)
    task.result_paths = [box.state.store(video, task_id=task.id)]
    if task.kind == "extend":
        task.full_paths = [box.state.store(replace(video, duration_s=task.total_s), task_id=task.id)]
    if video.aspect != "16:9":
        task.origin_paths = [box.state.store(replace(video, aspect="16:9"), task_id=task.id)]


def _charge_at_end(box: Sandbox, task: Task) -> None:
    failed, settings = task.flag != SUCCESS, box.settings
    if settings.charge == "acceptance":
        if failed and settings.failed == "refunded":
            box.state.change_balance(task.price, why="refund", task_id=task.id)
    elif not failed or settings.failed == "charged":
        # The balance never falls below zero: at most the remaining credits are taken.
        charge = min(task.price, box.state.balance)
        box.state.change_balance(-charge, why="charge", task_id=task.id)


def end_all(box: Sandbox) -> int:
    """End all running tasks and upgrades now; returns the number of tasks."""
    tasks = list(box.state.tasks.values())
    running = [task for task in tasks if task.flag == GENERATING and task.kind != "upgrade-4k"]
    for task in running:
        end(box, task)
    for task in tasks:
        end_1080p(box, task)
        end_4k(box, task)
    return len(running)

"""The 1080p and 4K versions of a finished task: when they are ready, what is stored, and their callbacks."""

import time
from dataclasses import replace
from functools import partial

from videos.sandbox.callbacks import bodies
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.tasks import FAILED, GENERATING, SUCCESS, Task, Upgrade

DURATION_1080P_S, DURATION_4K_S = 6.0, 15.0


def begin_1080p(box: Sandbox, task: Task) -> None:
    """Start the 1080p version of a finished task, which can no longer be extended."""
    task.upgrade_1080p = Upgrade(ready_at=box.clock.now() + DURATION_1080P_S)
    schedule_ends(box, task)


def begin_4k(box: Sandbox, task: Task, *, task_id: str, callback_url: str) -> None:
    """Start the 4K version of a finished task, under the id of the task or a new one."""
    task.upgrade_4k = Upgrade(ready_at=box.clock.now() + DURATION_4K_S, task_id=task_id, callback_url=callback_url)
    if task_id != task.id:
        task_4k = replace(task, id=task_id, kind="upgrade-4k", video=replace(task.video, resolution="4k"))
        task_4k.flag, task_4k.result_paths, task_4k.created_at, task_4k.completed_at = GENERATING, [], time.time(), None
        task_4k.upgrade_1080p = task_4k.upgrade_4k = None
        box.state.tasks[task_id] = task_4k
    schedule_ends(box, task)


def schedule_ends(box: Sandbox, task: Task) -> None:
    """Schedule the ends of pending upgrades; ending an upgrade twice has no effect."""
    for upgrade, end in ((task.upgrade_1080p, end_1080p), (task.upgrade_4k, end_4k)):
        if upgrade and upgrade.pending:
            box.schedule.at(upgrade.ready_at, partial(end, box, task))


def end_1080p(box: Sandbox, task: Task) -> None:
    upgrade = task.upgrade_1080p
    with box.state.lock:
        if not box.state.closed and upgrade and upgrade.pending:
            video = replace(task.video, resolution="1080p")
            upgrade.video_path = box.state.store(video, task_id=task.id, folder="p")
            box.log.append("upgraded", task_id=task.id, resolution="1080p")


def end_4k(box: Sandbox, task: Task) -> None:
    upgrade = task.upgrade_4k
    with box.state.lock:
        if box.state.closed or upgrade is None or not upgrade.pending:
            return
        if box.faults.strikes("4k-fails", key=task.id):
            upgrade.failed = True
            if box.settings.failed == "refunded":
                box.state.change_balance(box.state.prices["upgrade:4k"], why="refund", task_id=task.id)
        else:
            video = replace(task.video, resolution="4k")
            upgrade.video_path = box.state.store(video, task_id=task.id)
            upgrade.image_path = box.state.store(video, task_id=task.id, poster=True)
        if upgrade.task_id != task.id:
            task_4k = box.state.tasks[upgrade.task_id]
            task_4k.flag, task_4k.completed_at = (FAILED if upgrade.failed else SUCCESS), time.time()
            task_4k.result_paths = [upgrade.video_path] if upgrade.ready else []
        box.log.append("upgraded", task_id=task.id, resolution="4k", failed=upgrade.failed)
    if upgrade.callback_url and not box.faults.strikes("no-callback"):
        box.delivery.send(bodies.signed(box, task, bodies.upgrade_body(box, task), url=upgrade.callback_url))

"""The 1080p and 4K versions of a finished task: when they are ready, and what then is stored and called back."""

import time
from dataclasses import replace
from functools import partial

from videos.sandbox.callbacks import bodies
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.tasks import FAILED, GENERATING, SUCCESS, Task, Upgrade

TAKES_1080P_S, TAKES_4K_S = 6.0, 15.0


def begin_1080p(box: Sandbox, task: Task) -> None:
    """Start the 1080p version of a finished task; from now on it cannot be extended."""
    task.upgrade_1080p = Upgrade(ready_at=box.clock.now() + TAKES_1080P_S)
    schedule_ends(box, task)


def begin_4k(box: Sandbox, task: Task, *, task_id: str, callback_url: str) -> None:
    """Start the 4K version of a finished task, under the task's own id or a new one."""
    task.upgrade_4k = Upgrade(ready_at=box.clock.now() + TAKES_4K_S, task_id=task_id, callback_url=callback_url)
    if task_id != task.id:
        own = replace(task, id=task_id, kind="upgrade-4k", video=replace(task.video, resolution="4k"))
        own.flag, own.result_paths, own.created_at, own.completed_at = GENERATING, [], time.time(), None
        own.upgrade_1080p = own.upgrade_4k = None
        box.state.tasks[task_id] = own
    schedule_ends(box, task)


def schedule_ends(box: Sandbox, task: Task) -> None:
    """Schedule the ends of the upgrades that are under way; an end that comes twice changes nothing."""
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
            own = box.state.tasks[upgrade.task_id]
            own.flag, own.completed_at = (FAILED if upgrade.failed else SUCCESS), time.time()
            own.result_paths = [upgrade.video_path] if upgrade.ready else []
        box.log.append("upgraded", task_id=task.id, resolution="4k", failed=upgrade.failed)
    if upgrade.callback_url and not box.faults.strikes("no-callback"):
        box.delivery.send(bodies.signed(box, task, bodies.upgrade_body(box, task), url=upgrade.callback_url))

"""How tasks end: when, how, what it costs, and what is told to whom."""

import re
from dataclasses import replace

from videos.sandbox import letters
from videos.sandbox.courier import Letter
from videos.sandbox.house import Sandbox
from videos.sandbox.video_spec import VideoSpec
from videos.sandbox.wire import INTERNAL
from videos.sandbox.world import FAILED, FAILED_EARLY, GENERATING, SUCCESS, Task, Upgrade

_NO_AUDIO = "The Google model was unable to generate audio for this request."
_LOOK_AGAIN_S = 1.0
HD_S, UHD_S = 6.0, 15.0


def begin(box: Sandbox, task: Task) -> None:
    """The task is accepted: put its end, and any lies about it, on the agenda."""
    if "[stuck]" not in task.prompt:
        box.agenda.at(task.ends_at, lambda: settle(box, task))
    half_way = (task.accepted_at + task.ends_at) / 2
    for name, flag in (("callback-lies-success", SUCCESS), ("callback-lies-failure", FAILED)):
        if task.callback_url and box.book.strikes(name):
            lie = letters.letter(box, task, letters.lying_body(box, task, flag=flag), kind="lie")
            box.agenda.at(half_way, lambda lie=lie: box.courier.send(lie))  # type: ignore[misc]


def settle(box: Sandbox, task: Task, *, at_once: bool = False) -> None:
    """End the task and call back. `at_once` waits for the callback's answer."""
    world = box.world
    if world.over:
        return
    if box.book.strikes("stuck-generating", key=task.id):
        box.agenda.after(_LOOK_AGAIN_S, lambda: settle(box, task))
        return
    with world.lock:
        if task.flag != GENERATING:
            return
        _decide(box, task)
        task.completed_at = box.clock.wall()
        _charge_at_end(box, task)
        world.truth.append(
            "settled", task_id=task.id, flag=task.flag, error_code=task.error_code, error_message=task.error_message
        )
    if task.callback_url:
        _call_back(box, task, at_once=at_once)


def _decide(box: Sandbox, task: Task) -> None:
    if order := box.book.strikes("fail-flag-2", key=task.id):
        task.flag, task.error_code, task.error_message = FAILED_EARLY, 500, order.arg or INTERNAL
    elif order := box.book.strikes("fail-flag-3", key=task.id):
        task.flag, task.error_code, task.error_message = FAILED, 400, order.arg or _NO_AUDIO
    elif box.book.strikes("success-after-fail", key=task.id) or "[fail]" in task.prompt:
        task.flag, task.error_code, task.error_message = FAILED, 422, "failed"
    else:
        task.flag = SUCCESS
        _store_results(box, task)


def _store_results(box: Sandbox, task: Task) -> None:
    film = task.film
    if box.book.strikes("short-film", key=task.id):
        film = replace(film, duration_s=1)
    task.result_paths = [box.world.store(film, task_id=task.id)]
    if task.kind == "extend":
        task.full_paths = [box.world.store(replace(film, duration_s=task.total_s), task_id=task.id)]
    if film.aspect != "16:9":
        task.origin_paths = [box.world.store(replace(film, aspect="16:9"), task_id=task.id)]


def _charge_at_end(box: Sandbox, task: Task) -> None:
    failed, settings = task.flag != SUCCESS, box.settings
    if settings.charge == "acceptance":
        if failed and settings.failed == "refunded":
            box.world.move(task.price, why="refund", task_id=task.id)
    elif not failed or settings.failed == "charged":
        # The real one would hardly let a balance go below zero either: it takes what is there.
        taken = min(task.price, box.world.balance)
        box.world.move(-taken, why="charge", task_id=task.id)


def _call_back(box: Sandbox, task: Task, *, at_once: bool) -> None:
    strikes, courier = box.book.strikes, box.courier
    for extra in _extras_before(box, task):
        courier.send_now(extra) if at_once else courier.send(extra)
    if strikes("no-callback"):
        return
    true_body = letters.success_body(box, task) if task.flag == SUCCESS else letters.failure_body(task)
    sealed = letters.letter(box, task, letters.vary(box, task, true_body))
    sealed = _handicap(box, sealed)
    if at_once:
        courier.send_now(sealed)
    elif order := strikes("late-callback"):
        box.agenda.after(order.number(60), lambda: courier.send(sealed))
    else:
        courier.send(sealed)
    if order := strikes("duplicate-callback"):
        for _ in range(int(order.number(10)) - 1):
            courier.send(_copy(sealed, kind="duplicate"))
    _extras_after(box, task, sealed)


def _extras_before(box: Sandbox, task: Task) -> list[Letter]:
    strikes, url, extras = box.book.strikes, task.callback_url, []
    if strikes("callback-forged-body"):
        extras.append(letters.letter(box, task, letters.forged_body(box, task), kind="forged", retried=False))
    if strikes("callback-stranger"):
        extras.append(letters.letter(box, task, letters.stranger_body(), kind="stranger", retried=False))
    wrong: list[tuple[str, str]] = []
    if strikes("callback-wrong-token"):
        wrong.append(("wrong token", _altered(url)))
    if strikes("callback-other-token") and (other := box.world.other_task(task)) and other.callback_url:
        wrong.append(("other token", other.callback_url))
    for kind, address in wrong:
        body = letters.success_body(box, task) if task.flag == SUCCESS else letters.failure_body(task)
        extras.append(letters.letter(box, task, body, kind=kind, url=address, retried=False))
    return extras


def _extras_after(box: Sandbox, task: Task, sealed: Letter) -> None:
    strikes = box.book.strikes
    if task.flag == SUCCESS and strikes("fail-after-success"):
        _soon(box, letters.letter(box, task, letters.failure_body(task, code=501), kind="contrary"))
    if task.flag != SUCCESS and strikes("success-after-fail"):
        _soon(box, letters.letter(box, task, letters.lying_body(box, task, flag=SUCCESS), kind="contrary"))
    if strikes("replayed-signature"):
        changed = letters.lying_body(box, task, flag=FAILED if task.flag == SUCCESS else SUCCESS)
        replayed = letters.letter(box, task, changed, kind="replayed", retried=False)
        replayed.headers = dict(sealed.headers)
        _soon(box, replayed)


def _soon(box: Sandbox, sealed: Letter) -> None:
    """After the true one, not beside it."""
    box.agenda.after(1.0, lambda: box.courier.send(sealed))


def _copy(sealed: Letter, *, kind: str) -> Letter:
    return replace(sealed, kind=kind, headers=dict(sealed.headers), retried=False)


def _altered(url: str) -> str:
    """The address with the last letters of its last part turned around, so that its token is wrong."""
    return re.sub(r"([A-Za-z0-9_-]{4})(/?)$", lambda match: ("AAAA" if match[1] != "AAAA" else "BBBB") + match[2], url)


def _handicap(box: Sandbox, sealed: Letter) -> Letter:
    """Make the letter hard to receive, if that is ordered."""
    strikes = box.book.strikes
    if order := strikes("callback-malformed"):
        sealed = letters.spoil(sealed, order.arg)
    if order := strikes("callback-big"):
        sealed = letters.swell(sealed, int(order.number(50)))
    if order := strikes("callback-slow"):
        sealed = letters.drip(sealed, order.number(1))
    if strikes("callback-endless"):
        sealed = letters.endless(sealed)
    return sealed


def begin_hd(box: Sandbox, task: Task) -> None:
    """Start the 1080p version of a finished task; from now on it cannot be extended."""
    task.hd = Upgrade(ready_at=box.clock.now() + HD_S)
    box.agenda.at(task.hd.ready_at, lambda: settle_hd(box, task))


def settle_hd(box: Sandbox, task: Task) -> None:
    with box.world.lock:
        if not box.world.over and task.hd and not task.hd.ready:
            task.hd.film_path = box.world.store(_at(task.film, "1080p"), task_id=task.id, folder="p")
            box.truth.append("upgraded", task_id=task.id, resolution="1080p")


def begin_uhd(box: Sandbox, task: Task, *, task_id: str, callback_url: str) -> None:
    """Start the 4K version of a finished task, under the task's own id or a new one."""
    ready_at = box.clock.now() + UHD_S
    task.uhd = Upgrade(ready_at=ready_at, task_id=task_id, callback_url=callback_url)
    if task_id != task.id:
        alias = replace(
            task, id=task_id, kind="upgrade-4k", film=_at(task.film, "4k"), flag=GENERATING, result_paths=[]
        )
        alias.completed_at, alias.created_at, alias.hd, alias.uhd = None, box.clock.wall(), None, None
        box.world.tasks[task_id] = alias
    box.agenda.at(ready_at, lambda: settle_uhd(box, task))


def go_on_upgrading(box: Sandbox, task: Task) -> None:
    """Put the ends of upgrades under way on the agenda, after a restart."""
    if task.hd and not task.hd.ready:
        box.agenda.at(task.hd.ready_at, lambda: settle_hd(box, task))
    if task.uhd and not task.uhd.ready and not task.uhd.failed:
        box.agenda.at(task.uhd.ready_at, lambda: settle_uhd(box, task))


def settle_uhd(box: Sandbox, task: Task) -> None:
    upgrade = task.uhd
    with box.world.lock:
        if box.world.over or upgrade is None or upgrade.ready or upgrade.failed:
            return
        if box.book.strikes("4k-fails", key=task.id):
            upgrade.failed = True
            if box.settings.failed == "refunded":
                box.world.move(box.world.prices.of("upgrade:4k"), why="refund", task_id=task.id)
        else:
            film = _at(task.film, "4k")
            upgrade.film_path = box.world.store(film, task_id=task.id)
            upgrade.image_path = box.world.store(film, task_id=task.id, still=True)
        if upgrade.task_id != task.id:
            alias = box.world.tasks[upgrade.task_id]
            alias.flag, alias.completed_at = (FAILED if upgrade.failed else SUCCESS), box.clock.wall()
            alias.result_paths = [upgrade.film_path] if upgrade.ready else []
        box.truth.append("upgraded", task_id=task.id, resolution="4k", failed=upgrade.failed)
    if upgrade.callback_url and not box.book.strikes("no-callback"):
        box.courier.send(letters.letter(box, task, letters.upgrade_body(box, task), url=upgrade.callback_url))


def _at(film: VideoSpec, resolution: str) -> VideoSpec:
    return replace(film, resolution=resolution)


def finish_all(box: Sandbox) -> int:
    """End everything that runs, now; how many tasks and upgrades that were."""
    running = [task for task in box.world.running() if task.kind != "upgrade-4k"]
    for task in running:
        settle(box, task)
    with box.world.lock:
        tasks = list(box.world.tasks.values())
    for task in tasks:
        settle_hd(box, task)
        settle_uhd(box, task)
    return len(running)

"""`/_sandbox/...`: the controls that tests use. They are not part of kie.ai's API and are open to this machine only.

GET  truth[?since=N]  events, requests by path, balance, tasks      GET  faults
POST faults    ["drop-answer", ...] replaces the current ones, {"add": [...]} adds to them
POST balance   {"balance": "12.5"}        POST clock   {"advance": 60, "speed": 10}
POST prices    {"veo3_fast:720p": "30"}   POST settings {"hmac_key": "k", "failed": "refunded", ...}
POST finish    end all running tasks      POST reset   everything as at the start, without faults
"""

from collections.abc import Callable
from typing import Any

from videos.sandbox.faults.orders import parse
from videos.sandbox.lifecycle.endings import end_all
from videos.sandbox.options import Settings, amount
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.tasks import Task
from videos.sandbox.wire.messages import Reply, Request, dump

_MAX_ADVANCE_S = 366 * 86400


def control(box: Sandbox, request: Request) -> Reply:
    """Run one control; reply {"ok": true, ...}, or HTTP 400 with {"error": ...}."""
    action = _ACTIONS.get((request.method, request.path.removeprefix("/_sandbox/")))
    if action is None:
        return _json_reply({"error": f"no control {request.method} {request.path}", "controls": __doc__}, status=404)
    try:
        return _json_reply({"ok": True} | (action(box, request) or {}))
    except (TypeError, ValueError) as error:
        return _json_reply({"error": str(error)}, status=400)


def _json_reply(body: dict[str, Any], *, status: int = 200) -> Reply:
    return Reply(status=status, body=dump(body), content_type="application/json")


def _parse_object(request: Request) -> dict[str, Any]:
    body = request.json() if request.body else {}
    if not isinstance(body, dict):
        raise ValueError("the body must be an object")
    return body


def _read_truth(box: Sandbox, request: Request) -> dict[str, Any]:
    since = request.argument("since")
    with box.state.lock:
        tasks, balance = [_task_row(task) for task in box.state.tasks.values()], str(box.state.balance)
    events = box.log.events(since=int(since) if since.isdigit() else 0)
    requests, now = box.log.requests(), box.clock.now()
    return {"events": events, "requests": requests, "balance": balance, "tasks": tasks, "now": now}


def _task_row(task: Task) -> dict[str, Any]:
    names = ("kind", "flag", "prompt", "callback_url", "created_at", "completed_at")
    files = [*task.result_paths, *task.full_paths, *task.origin_paths]
    return {"task_id": task.id, "price": str(task.price), "files": files} | {
        name: getattr(task, name) for name in names
    }


def _show_faults(box: Sandbox, _request: Request) -> dict[str, Any]:
    return {"faults": [str(order) for order in box.faults.orders()]}


def _order_faults(box: Sandbox, request: Request) -> dict[str, Any]:
    body = request.json()
    if isinstance(body, dict) and isinstance(body.get("add"), list):
        box.faults.add([parse(str(text)) for text in body["add"]])
    elif isinstance(body, list):
        box.faults.replace([parse(str(text)) for text in body])
    else:
        raise ValueError('a list of orders, or {"add": [...]}')
    return _show_faults(box, request)


def _set_balance(box: Sandbox, request: Request) -> dict[str, Any]:
    box.state.set_balance(amount(_parse_object(request).get("balance")), why="set by control")
    return {"balance": str(box.state.balance)}


def _set_clock(box: Sandbox, request: Request) -> dict[str, Any]:
    body = _parse_object(request)
    seconds, speed = amount(body.get("advance", 0)), amount(body.get("speed", str(box.clock.speed)))
    if seconds > _MAX_ADVANCE_S or not speed:
        raise ValueError("advance at most a year; a speed is more than 0")
    box.clock.set_speed(float(speed))
    box.clock.advance(float(seconds))
    box.schedule.wake()
    return {"now": box.clock.now(), "speed": box.clock.speed}


def _set_prices(box: Sandbox, request: Request) -> dict[str, Any]:
    box.state.set_prices({item: amount(price) for item, price in _parse_object(request).items()})
    return {"prices": {item: str(price) for item, price in box.state.prices.items()}}


def _set_settings(box: Sandbox, request: Request) -> None:
    for name, value in _parse_object(request).items():
        if name not in Settings.__slots__:
            raise ValueError(f"no setting is called {name!r}")
        setattr(box.settings, name, _convert(name, value, getattr(box.settings, name)))


def _convert(name: str, value: Any, current: Any) -> Any:
    """The new value of a setting, in the type of the current one."""
    if isinstance(current, tuple) and isinstance(value, list) and len(value) == len(current):
        return tuple(float(number) for number in value)
    if isinstance(current, float) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(current):
        raise ValueError(f"{name} is a {type(current).__name__}")
    return value


_ACTIONS: dict[tuple[str, str], Callable[[Sandbox, Request], dict[str, Any] | None]] = {
    ("GET", "truth"): _read_truth,
    ("GET", "faults"): _show_faults,
    ("POST", "faults"): _order_faults,
    ("POST", "balance"): _set_balance,
    ("POST", "clock"): _set_clock,
    ("POST", "prices"): _set_prices,
    ("POST", "settings"): _set_settings,
    ("POST", "finish"): lambda box, _request: {"finished": end_all(box)},
    ("POST", "reset"): lambda box, _request: box.reset(),
}

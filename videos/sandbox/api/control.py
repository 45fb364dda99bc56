"""`/_sandbox/...`: the controls that tests use. No part of kie.ai's wire, and open to this machine only.

GET  truth[?since=N]  events, requests by path, balance, tasks      GET  faults
POST faults    ["drop-answer", ...] instead of the present ones, or {"add": [...]}
POST balance   {"balance": "12.5"}        POST clock   {"advance": 60, "speed": 10}
POST prices    {"veo3_fast:720p": "30"}   POST settings {"hmac_key": "k", "failed": "refunded", ...}
POST finish    end all running tasks      POST reset   everything as at the start, faults lifted
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from videos.sandbox import options
from videos.sandbox.faults.orders import BadOrder, parse
from videos.sandbox.lifecycle.endings import end_all
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.tasks import Task
from videos.sandbox.wire.messages import Reply, Request, dump

_LONGEST_S = 366 * 86400


class BadControl(ValueError):
    """The request to the sandbox's own controls makes no sense; the text says why."""


def control(box: Sandbox, request: Request) -> Reply:
    """Answers {"ok": true, ...}, or HTTP 400 with {"error": ...}."""
    act = _ACTS.get((request.method, request.path.removeprefix("/_sandbox/")))
    if act is None:
        return _answer({"error": f"no control {request.method} {request.path}", "controls": __doc__}, status=404)
    try:
        return _answer({"ok": True, **act(box, request)})
    except (BadControl, BadOrder) as error:
        return _answer({"error": str(error)}, status=400)


def _answer(answer: dict[str, Any], *, status: int = 200) -> Reply:
    return Reply(status=status, body=dump(answer), content_type="application/json")


def _body(request: Request) -> Any:
    try:
        return request.json() if request.body else {}
    except ValueError:
        raise BadControl("the body is not JSON") from None


def _object(request: Request) -> dict[str, Any]:
    body = _body(request)
    if not isinstance(body, dict):
        raise BadControl("the body must be an object")
    return body


def _amount(value: Any) -> Decimal:
    try:
        return options.amount(value)
    except ValueError as error:
        raise BadControl(str(error)) from None


def _truth(box: Sandbox, request: Request) -> dict[str, Any]:
    since = request.argument("since")
    with box.state.lock:
        tasks, balance = [_row(task) for task in box.state.tasks.values()], str(box.state.balance)
    events = box.log.events(since=int(since) if since.isdigit() else 0)
    requests, now = box.log.requests(), box.clock.now()
    return {"events": events, "requests": requests, "balance": balance, "tasks": tasks, "now": now}


def _row(task: Task) -> dict[str, Any]:
    return {
        "task_id": task.id,
        "kind": task.kind,
        "flag": task.flag,
        "price": str(task.price),
        "prompt": task.prompt,
        "callback_url": task.callback_url,
        "created_at": task.created_at,
        "completed_at": task.completed_at,
        "files": [*task.result_paths, *task.full_paths, *task.origin_paths],
    }


def _show_faults(box: Sandbox, _request: Request) -> dict[str, Any]:
    return {"faults": [str(order) for order in box.faults.orders()]}


def _order_faults(box: Sandbox, request: Request) -> dict[str, Any]:
    body = _body(request)
    if isinstance(body, dict) and isinstance(body.get("add"), list):
        box.faults.add([parse(str(text)) for text in body["add"]])
    elif isinstance(body, list):
        box.faults.replace([parse(str(text)) for text in body])
    else:
        raise BadControl('a list of orders, or {"add": [...]}')
    return _show_faults(box, request)


def _set_balance(box: Sandbox, request: Request) -> dict[str, Any]:
    box.state.set_balance(_amount(_object(request).get("balance")), why="set by control")
    return {"balance": str(box.state.balance)}


def _set_clock(box: Sandbox, request: Request) -> dict[str, Any]:
    body = _object(request)
    seconds, speed = _amount(body.get("advance", 0)), _amount(body.get("speed", str(box.clock.speed)))
    if seconds > _LONGEST_S or not speed:
        raise BadControl("advance at most a year; a speed is more than 0")
    box.clock.set_speed(float(speed))
    box.clock.advance(float(seconds))
    box.schedule.wake()
    return {"now": box.clock.now(), "speed": box.clock.speed}


def _set_prices(box: Sandbox, request: Request) -> dict[str, Any]:
    try:
        box.state.set_prices({item: _amount(price) for item, price in _object(request).items()})
    except KeyError as unknown:
        raise BadControl(f"no price is called {unknown}") from None
    return {"prices": {item: str(price) for item, price in box.state.prices.items()}}


def _set_settings(box: Sandbox, request: Request) -> dict[str, Any]:
    for name, value in _object(request).items():
        if name not in options.Settings.__slots__:
            raise BadControl(f"no setting is called {name!r}")
        setattr(box.settings, name, _like(name, value, getattr(box.settings, name)))
    return {}


def _like(name: str, value: Any, present: Any) -> Any:
    """The value as the type of the present one."""
    try:
        if isinstance(present, tuple) and isinstance(value, list) and len(value) == len(present):
            return tuple(float(number) for number in value)
        if isinstance(present, float) and not isinstance(value, bool):
            return float(value)
    except (TypeError, ValueError):
        raise BadControl(f"{name}: {value!r} is not a number of seconds") from None
    if type(value) is not type(present):
        raise BadControl(f"{name} is a {type(present).__name__}")
    return value


def _reset(box: Sandbox, _request: Request) -> dict[str, Any]:
    box.reset()
    return {}


_ACTS: dict[tuple[str, str], Callable[[Sandbox, Request], dict[str, Any]]] = {
    ("GET", "truth"): _truth,
    ("GET", "faults"): _show_faults,
    ("POST", "faults"): _order_faults,
    ("POST", "balance"): _set_balance,
    ("POST", "clock"): _set_clock,
    ("POST", "prices"): _set_prices,
    ("POST", "settings"): _set_settings,
    ("POST", "finish"): lambda box, _request: {"finished": end_all(box)},
    ("POST", "reset"): _reset,
}

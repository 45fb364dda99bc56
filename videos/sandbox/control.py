"""`/_sandbox/...`: how a test holds the strings. No part of kie.ai's wire, and open to this machine only.

GET  truth[?since=N]  events, requests by path, balance, tasks      GET  faults
POST faults    ["drop-answer", ...] instead of the present ones, or {"add": [...]}
POST balance   {"balance": "12.5"}        POST clock   {"advance": 60, "speed": 10}
POST prices    {"veo3_fast:720p": "30"}   POST settings {"hmac_key": "k", "failed": "refunded", ...}
POST finish    end all running tasks      POST reset   everything as at the start, faults lifted
"""

from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal, InvalidOperation
from typing import Any

from videos.sandbox import outcome, wire
from videos.sandbox.faults import BadOrder, Order, parse
from videos.sandbox.house import Sandbox
from videos.sandbox.options import Settings
from videos.sandbox.wire import Reply, Request

_LONGEST_S = 366 * 86400


class BadControl(ValueError):
    """The request to the sandbox's own controls makes no sense; the text says why."""


def control(box: Sandbox, request: Request) -> Reply:
    """Answers {"ok": true, ...}, or HTTP 400 with {"error": ...}."""
    act = _ACTS.get((request.method, request.path.removeprefix("/_sandbox/")))
    if act is None:
        return _say({"error": f"no control {request.method} {request.path}", "controls": __doc__}, status=404)
    try:
        return _say({"ok": True, **act(box, request)})
    except (BadControl, BadOrder) as error:
        return _say({"error": str(error)}, status=400)


def _say(answer: dict[str, Any], *, status: int = 200) -> Reply:
    return Reply(status=status, body=wire.dump(answer), content_type="application/json")


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


def _truth(box: Sandbox, request: Request) -> dict[str, Any]:
    since = request.argument("since")
    with box.world.lock:
        tasks = [
            {
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
            for task in box.world.tasks.values()
        ]
        balance = str(box.world.balance)
    events = box.truth.events(since=int(since) if since.isdigit() else 0)
    now = box.clock.now()
    return {"events": events, "requests": box.truth.requests(), "balance": balance, "tasks": tasks, "now": now}


def _faults(box: Sandbox, _request: Request) -> dict[str, Any]:
    return {"faults": [str(order) for order in box.book.orders()]}


def _order(box: Sandbox, request: Request) -> dict[str, Any]:
    body = _body(request)
    if isinstance(body, dict) and isinstance(body.get("add"), list):
        box.book.add(_orders(body["add"]))
    elif isinstance(body, list):
        box.book.replace(_orders(body))
    else:
        raise BadControl('a list of orders, or {"add": [...]}')
    return _faults(box, request)


def _orders(texts: list[Any]) -> list[Order]:
    return [parse(str(text)) for text in texts]


def _balance(box: Sandbox, request: Request) -> dict[str, Any]:
    box.world.set_balance(_amount(_object(request).get("balance")), why="set by control")
    return {"balance": str(box.world.balance)}


def _amount(value: Any) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise BadControl(f"{value!r} is not an amount") from None
    if not amount.is_finite() or amount < 0:
        raise BadControl("amounts are 0 or more")
    return amount


def _clock(box: Sandbox, request: Request) -> dict[str, Any]:
    body = _object(request)
    seconds, speed = _amount(body.get("advance", 0)), _amount(body.get("speed", str(box.clock.speed)))
    if seconds > _LONGEST_S or not speed:
        raise BadControl("advance at most a year; a speed is more than 0")
    box.clock.set_speed(float(speed))
    box.clock.advance(float(seconds))
    box.agenda.wake()
    return {"now": box.clock.now(), "speed": box.clock.speed}


def _prices(box: Sandbox, request: Request) -> dict[str, Any]:
    try:
        box.world.prices.edit({item: _amount(price) for item, price in _object(request).items()})
    except KeyError as unknown:
        raise BadControl(f"no price is called {unknown}") from None
    return {"prices": {item: str(price) for item, price in box.world.prices.all().items()}}


def _settings(box: Sandbox, request: Request) -> dict[str, Any]:
    body = _object(request)
    for name, value in body.items():
        if name not in {spec.name for spec in fields(Settings)}:
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


def _finish(box: Sandbox, _request: Request) -> dict[str, Any]:
    return {"finished": outcome.finish_all(box)}


def _reset(box: Sandbox, _request: Request) -> dict[str, Any]:
    box.reset()
    return {}


_ACTS: dict[tuple[str, str], Callable[[Sandbox, Request], dict[str, Any]]] = {
    ("GET", "truth"): _truth,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _order,
    ("POST", "balance"): _balance,
    ("POST", "clock"): _clock,
    ("POST", "prices"): _prices,
    ("POST", "settings"): _settings,
    ("POST", "finish"): _finish,
    ("POST", "reset"): _reset,
}

"""Faults of the genuine callback: other body formats, and bodies that are malformed, huge or slow."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.tasks import SUCCESS, Task
from videos.sandbox.task_fields import Json, encode_urls, param_json, put_credits
from videos.sandbox.wire.delivery import Callback
from videos.sandbox.wire.messages import HOSTILE_URL

_ENDLESS_S = 60.0
# Ways to make a body unreadable; "content-type" only changes a header.
_MALFORMED: dict[str, Callable[[bytes], bytes]] = {
    "bad-json": lambda body: body[:-7],
    "content-type": lambda body: body,
    "bad-utf8": lambda body: body.replace(b'"msg"', b'"msg\xff\xfe"'),
    "deep": lambda _: b"[" * 10_000 + b"]" * 10_000,
    "nan": lambda body: body.replace(b'"code":200', b'"code":NaN'),
    "duplicate-keys": lambda body: b'{"code":500,"data":{"taskId":"x"},' + body[1:],
    "empty": lambda _: b"",
    "array": lambda body: b"[" + body + b"]",
}
_kinds_in_turn = itertools.cycle(_MALFORMED)


def apply_body_faults(box: Sandbox, task: Task, body: Json) -> Json:
    """The genuine body, changed by every ordered fault in turn."""
    strikes, data = box.faults.strikes, body["data"]
    if order := strikes("callback-unknown-code"):
        body["code"] = int(order.number(777))
    if order := strikes("callback-msg"):
        body["msg"] = order.arg
    if order := strikes("credits-consumed"):
        put_credits(data, task.price, order.arg)
    if strikes("callback-prompt-object"):
        data["promptJson"] = param_json(task)
    if strikes("callback-no-prompt"):
        data.pop("promptJson", None)
    if "info" in data:
        _apply_info_faults(box, data)
    if strikes("callback-snake"):
        data["task_id"] = data.pop("taskId")
        if "info" in data:
            data["result_urls"] = data.pop("info")["resultUrls"]
    if strikes("callback-market"):
        body = _market_body(task, body)
    if strikes("callback-flat"):
        body = _flat_body(task, body)
    if strikes("callback-message-key"):
        body["message"] = body.pop("msg", "")
    return body


def _apply_info_faults(box: Sandbox, data: Json) -> None:
    strikes, info = box.faults.strikes, data["info"]
    if order := strikes("callback-evil-url"):
        info["resultUrls"] = [order.arg or HOSTILE_URL]
    for name, kind in (("json-string", "json"), ("bare-string", "bare"), ("unquoted-list", "unquoted")):
        if strikes(f"callback-{name}"):
            info["resultUrls"] = encode_urls(info["resultUrls"], kind)
    for name, urls in (("callback-empty-urls", []), ("callback-null-urls", None)):
        if strikes(name):
            info["resultUrls"] = urls
    if strikes("callback-no-info"):
        del data["info"]


def _result_urls(body: Json) -> Any:
    return body["data"].get("info", {}).get("resultUrls")


def _market_body(task: Task, body: Json) -> Json:
    if task.flag == SUCCESS:
        data: Json = {"state": "success", "resultJson": json.dumps({"resultUrls": _result_urls(body)})}
    else:
        data = {"state": "fail", "failCode": str(task.error_code), "failMsg": task.error_message}
    return {"code": body["code"], "msg": body.get("msg"), "data": {"taskId": task.id} | data}


def _flat_body(task: Task, body: Json) -> Json:
    flat: Json = {"taskId": task.id, "successFlag": task.flag}
    if task.flag == SUCCESS:
        return flat | {"resultUrls": _result_urls(body)}
    return flat | {"errorCode": task.error_code, "errorMessage": task.error_message}


def apply_delivery_faults(box: Sandbox, callback: Callback) -> None:
    """If ordered, make the callback malformed, huge or slow. Such a callback is not retried."""
    strikes, body = box.faults.strikes, callback.body
    if order := strikes("callback-malformed"):
        kind = order.arg if order.arg in _MALFORMED else next(_kinds_in_turn)
        callback.body, callback.kind = _MALFORMED[kind](body), f"malformed {kind}"
        if kind == "content-type":
            callback.headers["Content-Type"] = "text/plain"
        callback.retried = False
    if order := strikes("callback-big"):
        callback.body += b" " * (int(order.number(50)) * 1024 * 1024)
        callback.retried = False
    if order := strikes("callback-slow"):
        callback.stream, callback.retried = _byte_by_byte(callback.body, order.number(1)), False
    if strikes("callback-endless"):
        callback.stream, callback.retried = _endless(callback.body), False


def _byte_by_byte(body: bytes, byte_s: float) -> Iterator[bytes]:
    for byte in body:
        yield bytes([byte])
        time.sleep(byte_s)


def _endless(body: bytes) -> Iterator[bytes]:
    """The body, followed by blanks for a minute of real time."""
    until = time.monotonic() + _ENDLESS_S
    yield body
    while time.monotonic() < until:
        yield b" " * 65536

"""The bodies of callbacks: kie.ai's real ones, every variant ordered, and the forgeries."""

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

from videos.sandbox.courier import Letter, sign
from videos.sandbox.house import Sandbox
from videos.sandbox.records import addresses, encode_urls, param_json, put_credits
from videos.sandbox.wire import HOSTILE_URL, UHD_FAILED, dump
from videos.sandbox.world import FAILED, SUCCESS, Task, new_id

Body = dict[str, Any]

DONE = "Veo3.1 video generated successfully."
EXTENDED = "Veo3.1 video extension successful."
UPGRADED = "4K Video generated successfully."
_MALFORMED = ("bad-json", "content-type", "bad-utf8", "deep", "nan", "duplicate-keys", "empty", "array")
_turn = itertools.cycle(_MALFORMED)
_ENDLESS_S = 60.0


def success_body(box: Sandbox, task: Task) -> Body:
    """What is sent when a generate or extend ended well."""
    info: Body = {
        "resultUrls": addresses(task, base=box.base_url, book=box.book),
        "originUrls": [box.base_url + path for path in task.origin_paths] or None,
        "resolution": task.film.resolution,
    }
    data = {"taskId": task.id, "promptJson": dump(param_json(task)).decode(), "info": info, "fallbackFlag": False}
    return {"code": 200, "msg": EXTENDED if task.kind == "extend" else DONE, "data": data}


def failure_body(task: Task, *, code: int | None = None, msg: str = "") -> Body:
    """What is sent when a task failed: no info."""
    if code is None:
        code = task.error_code if task.error_code in (400, 422, 500, 501) else 501
    if not msg:
        msg = task.error_message or "Failed - Video generation task failed"
        if code == 422:
            msg = (
                f"Your request was rejected by Flow({msg}). You may consider using our other fallback channels, "
                "which are likely to succeed. Please refer to the documentation."
            )
    return {"code": code, "msg": msg, "data": {"taskId": task.id, "fallbackFlag": False}}


def upgrade_body(box: Sandbox, task: Task) -> Body:
    """What is sent when a 4K version is ready, or never will be."""
    upgrade = task.uhd
    if upgrade is None or upgrade.failed:
        return {"code": 500, "msg": UHD_FAILED, "data": {"taskId": upgrade.task_id if upgrade else task.id}}
    results, images = [box.base_url + upgrade.film_path], [box.base_url + upgrade.image_path]
    if box.book.strikes("callback-snake"):
        data: Body = {"task_id": upgrade.task_id, "result_urls": results, "media_ids": [task.id], "image_urls": images}
        return {"code": 200, "msg": UPGRADED, "data": data}
    data = {"info": {"imageUrls": images, "resultUrls": results}, "taskId": upgrade.task_id}
    if not box.book.strikes("callback-no-credits"):
        put_credits(data, box.world.prices.of("upgrade:4k"), "data")
    return {"code": 200, "data": data, "msg": UPGRADED}


def letter(
    box: Sandbox, task: Task, body: Body, *, kind: str = "genuine", url: str = "", retried: bool = True
) -> Letter:
    """A signed letter about the task, with the body as it is."""
    return Letter(
        task_id=task.id,
        url=url or task.callback_url,
        body=dump(body),
        kind=kind,
        headers=signature(box, _signed_id(body) or task.id),
        retried=retried,
    )


def _signed_id(body: Body) -> str:
    """The id a receiver will look for: in data, else at the root."""
    data = body.get("data") or {}
    return str(data.get("taskId") or data.get("task_id") or body.get("taskId") or body.get("task_id") or "")


def signature(box: Sandbox, task_id: str) -> dict[str, str]:
    """The headers of protocols §4, or none without a key. Their time is the real one, by which receivers check it."""
    key, at = box.settings.hmac_key, int(time.time())
    if not key or box.book.strikes("no-signature"):
        return {}
    if order := box.book.strikes("stale-signature"):
        at -= int(order.number(3600))
    headers = sign(task_id, key=key, at=at)
    if box.book.strikes("bad-signature"):
        headers["X-Webhook-Signature"] = sign(task_id, key=key + "-wrong", at=at)["X-Webhook-Signature"]
    return headers


def vary(box: Sandbox, task: Task, body: Body) -> Body:
    """The true body in the dress that is ordered. Several orders apply one after the other."""
    strikes, data = box.book.strikes, body["data"]
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
        _vary_info(box, data)
    if strikes("callback-snake"):
        data["task_id"] = data.pop("taskId")
        if "info" in data:
            data["result_urls"] = data.pop("info")["resultUrls"]
    if strikes("callback-market"):
        body = _market(task, body)
    if strikes("callback-flat"):
        body = _flat(task, body)
    if strikes("callback-message-key"):
        body["message"] = body.pop("msg", "")
    return body


def _vary_info(box: Sandbox, data: Body) -> None:
    strikes, info = box.book.strikes, data["info"]
    if order := strikes("callback-evil-url"):
        info["resultUrls"] = [order.arg or HOSTILE_URL]
    for name, kind in (("json-string", "json"), ("bare-string", "bare"), ("unquoted-list", "unquoted")):
        if strikes(f"callback-{name}"):
            info["resultUrls"] = encode_urls(info["resultUrls"], kind)
    if strikes("callback-empty-urls"):
        info["resultUrls"] = []
    if strikes("callback-null-urls"):
        info["resultUrls"] = None
    if strikes("callback-no-info"):
        del data["info"]


def _urls(body: Body) -> Any:
    return body["data"].get("info", {}).get("resultUrls")


def _market(task: Task, body: Body) -> Body:
    done = task.flag == SUCCESS
    data: Body = {"taskId": task.id, "state": "success" if done else "fail"}
    if done:
        data["resultJson"] = json.dumps({"resultUrls": _urls(body)})
    else:
        data |= {"failCode": str(task.error_code), "failMsg": task.error_message}
    return {"code": body["code"], "msg": body.get("msg"), "data": data}


def _flat(task: Task, body: Body) -> Body:
    flat: Body = {"taskId": task.id, "successFlag": task.flag}
    if task.flag == SUCCESS:
        flat["resultUrls"] = _urls(body)
    else:
        flat |= {"errorCode": task.error_code, "errorMessage": task.error_message}
    return flat


def forged_body(box: Sandbox, task: Task) -> Body:
    """A success for another task's id with a hostile address."""
    other = box.world.other_task(task)
    info = {"resultUrls": [HOSTILE_URL], "resolution": "1080p"}
    return {"code": 200, "msg": DONE, "data": {"taskId": other.id if other else new_id(), "info": info}}


def stranger_body() -> Body:
    """A success of a task that nobody ever made."""
    return {"code": 200, "msg": DONE, "data": {"taskId": new_id(), "info": {"resultUrls": [HOSTILE_URL]}}}


def lying_body(box: Sandbox, task: Task, *, flag: int) -> Body:
    """An ending that has not come."""
    if flag == FAILED:
        return failure_body(task, code=501)
    info = {"resultUrls": [f"{box.base_url}/v/{new_id()}_{int(time.time())}.mp4"], "resolution": task.film.resolution}
    return {"code": 200, "msg": DONE, "data": {"taskId": task.id, "info": info, "fallbackFlag": False}}


def spoil(sealed: Letter, kind: str) -> Letter:
    """The letter's body made unreadable, in the way asked for or the next one in turn."""
    kind = kind if kind in _MALFORMED else next(_turn)
    body = sealed.body
    if kind == "bad-json":
        body = body[:-7]
    elif kind == "content-type":
        sealed.headers["Content-Type"] = "text/plain"
    elif kind == "bad-utf8":
        body = body.replace(b'"msg"', b'"msg\xff\xfe"')
    elif kind == "deep":
        body = b"[" * 10_000 + b"]" * 10_000
    elif kind == "nan":
        body = body.replace(b'"code":200', b'"code":NaN')
    elif kind == "duplicate-keys":
        body = b'{"code":500,"data":{"taskId":"x"},' + body[1:]
    elif kind == "empty":
        body = b""
    else:
        body = b"[" + body + b"]"
    sealed.body, sealed.kind, sealed.retried = body, f"malformed {kind}", False
    return sealed


def swell(sealed: Letter, megabytes: int) -> Letter:
    """The same letter with blanks behind it."""
    sealed.body += b" " * (megabytes * 1024 * 1024)
    sealed.retried = False
    return sealed


def drip(sealed: Letter, byte_s: float) -> Letter:
    """The same letter, a byte at a time."""
    body = sealed.body

    def stream() -> Iterator[bytes]:
        for byte in body:
            yield bytes([byte])
            time.sleep(byte_s)

    sealed.stream, sealed.retried = stream(), False
    return sealed


def endless(sealed: Letter) -> Letter:
    """The same letter, followed by blanks for a minute of real time."""
    start = sealed.body

    def stream() -> Iterator[bytes]:
        until = time.monotonic() + _ENDLESS_S
        yield start
        while time.monotonic() < until:
            yield b" " * 65536

    sealed.stream, sealed.retried = stream(), False
    return sealed

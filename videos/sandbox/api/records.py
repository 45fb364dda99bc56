"""Builds the data of record-info in kie.ai's real format and in every variant that can be ordered."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.tasks import GENERATING, SUCCESS, Task
from videos.sandbox.task_fields import Json, encode_urls, file_urls, param_json, put_credits, result_urls
from videos.sandbox.wire.messages import dump

STATUS_NAMES = {0: "GENERATING", 1: "SUCCESS", 2: "CREATE_TASK_FAILED", 3: "GENERATE_FAILED"}
STATE_NAMES = {0: "generating", 1: "success", 2: "fail", 3: "fail"}
_CHINA = timedelta(hours=8)

Change = Callable[[Json, Task, str], object]  # changes the data of a task; the string is the order's argument


def record(box: Sandbox, task: Task) -> Json:
    """`data` of record-info: the real keys of a Veo task, changed by the ordered faults."""
    data: Json = {
        "taskId": task.id,
        "paramJson": dump(param_json(task)).decode(),
        "response": _response(box, task) if task.flag == SUCCESS else None,
        "successFlag": task.flag,
        "fallbackFlag": False,
        "completeTime": _millis(task.completed_at),
        "createTime": _millis(task.created_at),
        "errorCode": task.error_code,
        "errorMessage": task.error_message,
    }
    if task.kind == "upgrade-4k":
        del data["fallbackFlag"]
    for name, change in _VARIANTS.items():
        if order := box.faults.strikes(name):
            change(data, task, order.arg)
    return data


def _response(box: Sandbox, task: Task) -> Json:
    response: Json = {
        "taskId": task.id,
        "resolution": task.video.resolution,
        "originUrls": file_urls(box, task.origin_paths) or None,
        "resultUrls": result_urls(box, task),
        "fullResultUrls": file_urls(box, task.full_paths) or None,
        "hasAudioList": [True] * len(task.result_paths),
        "seeds": [task.video.seed],
    }
    return response | ({"mediaIds": [task.id]} if task.kind == "upgrade-4k" else {})


def _millis(at: float | None) -> int | None:
    return None if at is None else int(at) * 1000


def _encode_urls(encode: Callable[[Any], Any], *, at: str = "") -> Change:
    """Encode the result URLs and, if `at` names another key of the data, move them there."""

    def change(data: Json, _task: Task, _arg: str) -> None:
        if response := data["response"]:
            if at:
                data["response"] = None
            (data if at else response)[at or "resultUrls"] = encode(response["resultUrls"])

    return change


def _success_no_urls(data: Json, task: Task, arg: str) -> None:
    if task.flag == SUCCESS and arg == "absent":
        data["response"] = None
    elif task.flag == SUCCESS:
        data["response"]["resultUrls"] = None if arg == "null" else []


def _use_names(key: str, names: dict[int, str]) -> Change:
    return lambda data, task, _arg: (data.pop("successFlag", None), data.update({key: names[task.flag]}))


def _unknown_flag(data: Json, _task: Task, arg: str) -> None:
    data["successFlag"] = int(arg) if arg.lstrip("-").isdigit() else arg or 7


def _times_as_text(data: Json, task: Task, _arg: str) -> None:
    for key, at in (("createTime", task.created_at), ("completeTime", task.completed_at)):
        data[key] = None if at is None else f"{datetime.fromtimestamp(at, UTC) + _CHINA:%Y-%m-%d %H:%M:%S}"


def _error_code_string(data: Json, _task: Task, _arg: str) -> None:
    if data["errorCode"] is not None:
        data["errorCode"] = str(data["errorCode"])


def _other_task(data: Json, _task: Task, _arg: str) -> None:
    for part in (data, data["response"] or {}):
        part["taskId"] = "0" * 32


def _credits(data: Json, task: Task, arg: str) -> None:
    if task.flag != GENERATING:
        put_credits(data, task.price, arg)


_VARIANTS: dict[str, Change] = {
    "success-no-urls": _success_no_urls,
    "urls-json-string": _encode_urls(lambda urls: encode_urls(urls, "json")),
    "urls-bare-string": _encode_urls(lambda urls: encode_urls(urls, "bare")),
    "urls-unquoted": _encode_urls(lambda urls: encode_urls(urls, "unquoted")),
    "credits-consumed": _credits,
    "urls-at-root": _encode_urls(json.dumps, at="resultUrls"),
    "urls-result-json": _encode_urls(lambda urls: json.dumps({"resultUrls": urls}), at="resultJson"),
    "urls-video-url": _encode_urls(lambda urls: urls[0] if isinstance(urls, list) and urls else urls, at="videoUrl"),
    "unknown-flag": _unknown_flag,
    "string-flag": lambda data, _task, _arg: data.update(successFlag=str(data.get("successFlag"))),
    "status-words": _use_names("status", STATUS_NAMES),
    "state-words": _use_names("state", STATE_NAMES),
    "times-as-text": _times_as_text,
    "times-absent": lambda data, _task, _arg: (data.pop("createTime"), data.pop("completeTime")),
    "error-code-string": _error_code_string,
    "param-object": lambda data, task, _arg: data.update(paramJson=param_json(task)),
    "param-absent": lambda data, _task, _arg: data.pop("paramJson"),
    "param-foreign": lambda data, task, _arg: data.update(
        paramJson=json.dumps(param_json(task) | {"prompt": "Somebody else's prompt"})
    ),
    "record-other-task": _other_task,
}

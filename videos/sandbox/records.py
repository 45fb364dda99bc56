"""What record-info and callbacks say of a task, in kie.ai's real shape and in every variant that can be ordered."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from videos.sandbox.faults import Faultbook
from videos.sandbox.wire import HOSTILE_URL, amount, dump
from videos.sandbox.world import GENERATING, SUCCESS, Task

STATUS_WORDS = {0: "GENERATING", 1: "SUCCESS", 2: "CREATE_TASK_FAILED", 3: "GENERATE_FAILED"}
STATE_WORDS = {0: "generating", 1: "success", 2: "fail", 3: "fail"}
_CHINA = timedelta(hours=8)

Record = dict[str, Any]


def param_json(task: Task) -> Record:
    """The echo of the request: camelCase, sorted, `waterMark` for watermark."""
    renamed = {"aspect_ratio": "aspectRatio", "watermark": "waterMark"}
    echo = {renamed.get(key, key): value for key, value in task.params.items()}
    echo.setdefault("enableFallback", False)
    return dict(sorted(echo.items()))


def addresses(task: Task, *, base: str, book: Faultbook) -> list[str]:
    """The result addresses, hostile or one too many when that is ordered."""
    urls = [base + path for path in task.result_paths]
    if order := book.strikes("evil-result-url", key=task.id):
        urls = [order.arg or HOSTILE_URL]
    if urls and book.strikes("second-url-fails", key=task.id):
        urls.append(urls[0].replace(".mp4", "0.mp4"))
    return urls


def record(task: Task, *, base: str, book: Faultbook) -> Record:
    """`data` of record-info: the real key set of a Veo task, then whatever is ordered."""
    data: Record = {
        "taskId": task.id,
        "paramJson": dump(param_json(task)).decode(),
        "response": None,
        "successFlag": task.flag,
        "fallbackFlag": False,
        "completeTime": _millis(task.completed_at),
        "createTime": _millis(task.created_at),
        "errorCode": task.error_code,
        "errorMessage": task.error_message,
    }
    if task.flag == SUCCESS:
        data["response"] = _response(task, base=base, book=book)
    if task.kind == "upgrade-4k":
        del data["fallbackFlag"]
    for name, change in _VARIANTS.items():
        if order := book.strikes(name):
            change(data, task, order.arg)
    return data


def _response(task: Task, *, base: str, book: Faultbook) -> Record:
    response: Record = {
        "taskId": task.id,
        "resolution": task.film.resolution,
        "originUrls": [base + path for path in task.origin_paths] or None,
        "resultUrls": addresses(task, base=base, book=book),
        "fullResultUrls": [base + path for path in task.full_paths] or None,
        "hasAudioList": [True] * len(task.result_paths),
        "seeds": [task.film.seed],
    }
    if task.kind == "upgrade-4k":
        response["mediaIds"] = [task.id]
    return response


def _millis(at: float | None) -> int | None:
    return None if at is None else int(at) * 1000


def encode_urls(urls: Any, kind: str) -> Any:
    """A list of addresses as one of the known odd encodings."""
    if not isinstance(urls, list):
        return urls
    return {
        "json": json.dumps(urls),
        "bare": urls[0] if urls else "",
        "unquoted": f"[{', '.join(urls)}]",
    }[kind]


def _as_string(kind: str) -> Callable[[Record, Task, str], None]:
    def change(data: Record, _task: Task, _arg: str) -> None:
        if data["response"]:
            data["response"]["resultUrls"] = encode_urls(data["response"]["resultUrls"], kind)

    return change


def _success_no_urls(data: Record, task: Task, arg: str) -> None:
    if task.flag != SUCCESS:
        return
    if arg == "absent":
        data["response"] = None
    else:
        data["response"]["resultUrls"] = None if arg == "null" else []


def _urls_elsewhere(key: str, encode: Callable[[list[str]], Any]) -> Callable[[Record, Task, str], None]:
    def change(data: Record, _task: Task, _arg: str) -> None:
        if data["response"]:
            data[key] = encode(data["response"]["resultUrls"])
            data["response"] = None

    return change


def _words(key: str, words: dict[int, str]) -> Callable[[Record, Task, str], None]:
    def change(data: Record, task: Task, _arg: str) -> None:
        data.pop("successFlag", None)
        data[key] = words[task.flag]

    return change


def _unknown_flag(data: Record, _task: Task, arg: str) -> None:
    data["successFlag"] = int(arg) if arg.lstrip("-").isdigit() else arg or 7


def _string_flag(data: Record, _task: Task, _arg: str) -> None:
    data["successFlag"] = str(data.get("successFlag"))


def _times_as_text(data: Record, task: Task, _arg: str) -> None:
    for key, at in (("createTime", task.created_at), ("completeTime", task.completed_at)):
        data[key] = None if at is None else (datetime.fromtimestamp(at, UTC) + _CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _times_absent(data: Record, _task: Task, _arg: str) -> None:
    del data["createTime"], data["completeTime"]


def _error_code_string(data: Record, _task: Task, _arg: str) -> None:
    if data["errorCode"] is not None:
        data["errorCode"] = str(data["errorCode"])


def _param_object(data: Record, task: Task, _arg: str) -> None:
    data["paramJson"] = param_json(task)


def _param_absent(data: Record, _task: Task, _arg: str) -> None:
    del data["paramJson"]


def _param_foreign(data: Record, task: Task, _arg: str) -> None:
    data["paramJson"] = json.dumps(param_json(task) | {"prompt": "Somebody else's prompt"})


def _other_task(data: Record, _task: Task, _arg: str) -> None:
    data["taskId"] = "0" * 32
    if data["response"]:
        data["response"]["taskId"] = "0" * 32


def put_credits(data: Record, price: Decimal, place: str) -> None:
    """What the job cost, at one of the places where it has been seen."""
    if place == "response" and isinstance(data.get("response"), dict):
        data["response"]["creditsConsumed"] = amount(price)
    else:
        data["credits_consumed" if place == "snake" else "creditsConsumed"] = amount(price)


def _credits(data: Record, task: Task, arg: str) -> None:
    if task.flag != GENERATING:
        put_credits(data, task.price, arg)


_VARIANTS: dict[str, Callable[[Record, Task, str], None]] = {
    "success-no-urls": _success_no_urls,
    "urls-json-string": _as_string("json"),
    "urls-bare-string": _as_string("bare"),
    "urls-unquoted": _as_string("unquoted"),
    "credits-consumed": _credits,
    "urls-at-root": _urls_elsewhere("resultUrls", json.dumps),
    "urls-result-json": _urls_elsewhere("resultJson", lambda urls: json.dumps({"resultUrls": urls})),
    "urls-video-url": _urls_elsewhere("videoUrl", lambda urls: urls[0] if isinstance(urls, list) and urls else urls),
    "unknown-flag": _unknown_flag,
    "string-flag": _string_flag,
    "status-words": _words("status", STATUS_WORDS),
    "state-words": _words("state", STATE_WORDS),
    "times-as-text": _times_as_text,
    "times-absent": _times_absent,
    "error-code-string": _error_code_string,
    "param-object": _param_object,
    "param-absent": _param_absent,
    "param-foreign": _param_foreign,
    "record-other-task": _other_task,
}

"""What both record-info and callbacks tell of a task: its parameters, its result addresses, and what it cost."""

import json
from decimal import Decimal
from typing import Any

from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.tasks import Task
from videos.sandbox.wire.messages import HOSTILE_URL, number

Json = dict[str, Any]


def param_json(task: Task) -> Json:
    """The echo of the request: camelCase, sorted, `waterMark` for watermark."""
    renamed = {"aspect_ratio": "aspectRatio", "watermark": "waterMark"}
    echo = {"enableFallback": False} | {renamed.get(key, key): value for key, value in task.params.items()}
    return dict(sorted(echo.items()))


def urls_of(box: Sandbox, paths: list[str]) -> list[str]:
    return [box.base_url + path for path in paths]


def result_urls(box: Sandbox, task: Task) -> list[str]:
    """The result addresses, hostile or one too many when that is ordered."""
    urls = urls_of(box, task.result_paths)
    if order := box.faults.strikes("evil-result-url", key=task.id):
        urls = [order.arg or HOSTILE_URL]
    if urls and box.faults.strikes("second-url-fails", key=task.id):
        urls.append(urls[0].replace(".mp4", "0.mp4"))
    return urls


def encode_urls(urls: Any, kind: str) -> Any:
    """A list of addresses in one of the odd encodings that were seen."""
    if not isinstance(urls, list):
        return urls
    return {"json": json.dumps(urls), "bare": "".join(urls[:1]), "unquoted": f"[{', '.join(urls)}]"}[kind]


def put_credits(data: Json, price: Decimal, place: str) -> None:
    """What the job cost, at one of the places where it was seen."""
    if place == "response" and isinstance(data.get("response"), dict):
        data["response"]["creditsConsumed"] = number(price)
    else:
        data["credits_consumed" if place == "snake" else "creditsConsumed"] = number(price)

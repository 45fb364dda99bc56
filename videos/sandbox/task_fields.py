"""Fields that both record-info and callbacks contain: parameters, result URLs and cost of a task."""

import json
from decimal import Decimal
from typing import Any

from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.tasks import Task
from videos.sandbox.wire.messages import HOSTILE_URL, number

Json = dict[str, Any]


def param_json(task: Task) -> Json:
    """The request parameters as kie.ai echoes them: camelCase, sorted, `waterMark` for watermark."""
    renamed = {"aspect_ratio": "aspectRatio", "watermark": "waterMark"}
    echo = {"enableFallback": False} | {renamed.get(key, key): value for key, value in task.params.items()}
    return dict(sorted(echo.items()))


def file_urls(box: Sandbox, paths: list[str]) -> list[str]:
    return [box.base_url + path for path in paths]


def result_urls(box: Sandbox, task: Task) -> list[str]:
    """The result URLs; if ordered, a hostile one or one too many."""
    urls = file_urls(box, task.result_paths)
    if order := box.faults.strikes("evil-result-url", key=task.id):
        urls = [order.arg or HOSTILE_URL]
    if urls and box.faults.strikes("second-url-fails", key=task.id):
        urls.append(urls[0].replace(".mp4", "0.mp4"))
    return urls


def encode_urls(urls: Any, kind: str) -> Any:
    """A list of URLs in one of the unusual encodings that kie.ai has sent."""
    if not isinstance(urls, list):
        return urls
    return {"json": json.dumps(urls), "bare": "".join(urls[:1]), "unquoted": f"[{', '.join(urls)}]"}[kind]


def put_credits(data: Json, price: Decimal, variant: str) -> None:
    """Add the cost under one of the keys that kie.ai has used."""
    if variant == "response" and isinstance(data.get("response"), dict):
        data["response"]["creditsConsumed"] = number(price)
    else:
        data["credits_consumed" if variant == "snake" else "creditsConsumed"] = number(price)

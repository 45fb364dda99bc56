"""Responses of kie.ai for the mock library `responses`, and a request to kie.ai."""

import json

import responses

from tests.videos.providers.conftest import API
from videos.providers.base import GenerationType, VideoRequest

TASK = "4c9a31a5bb61db65d10f1210d78cc08a"
OTHER = "5f7d4e0f1db5110a8ec06bac53fe16d7"
CALLBACK = "https://studio.test/api/veo/callback/0b2f/canary-callback-token/"
VIDEO = "https://tempfile.aiquickdraw.com/v/c208adcbac95c3e229b3962939288e6f_1764992096.mp4"

GENERATE = ("POST", f"{API}/api/v1/veo/generate")
EXTEND = ("POST", f"{API}/api/v1/veo/extend")
RECORD = ("GET", f"{API}/api/v1/veo/record-info")
HD = ("GET", f"{API}/api/v1/veo/get-1080p-video")
UHD = ("POST", f"{API}/api/v1/veo/get-4k-video")
CREDIT = ("GET", f"{API}/api/v1/chat/credit")
LINK = ("POST", f"{API}/api/v1/common/download-url")

NO_CREDITS = "Credits insufficient : Your current balance isn't enough to run this request. Please top up to continue."


def make_request(**changes: object) -> VideoRequest:
    fields: dict[str, object] = {
        "prompt": "A lighthouse at dusk",
        "model": "veo3_fast",
        "aspect_ratio": "16:9",
        "resolution": "720p",
        "duration_s": 8,
        "generation_type": GenerationType.TEXT,
        "callback_url": CALLBACK,
    }
    return VideoRequest(**(fields | changes))  # type: ignore[arg-type]


def make_envelope(code: object = 200, msg: str = "success", data: object = None) -> dict[str, object]:
    return {"code": code, "msg": msg, "data": data}


def add_response(call: tuple[str, str], body: object, *, status: int = 200) -> responses.BaseResponse:
    """Add one response to a call; a body of text or bytes is sent unchanged."""
    method, url = call
    if isinstance(body, str | bytes):
        return responses.add(method, url, body=body, status=status, content_type="text/html")
    return responses.add(
        method, url, body=json.dumps(body), status=status, content_type="application/json;charset=UTF-8"
    )


def make_record(**changes: object) -> dict[str, object]:
    """A recorded success of record-info, with changes to its `data`; `...` removes a key."""
    data: dict[str, object] = {
        "taskId": TASK,
        "paramJson": '{"aspectRatio":"16:9","enableFallback":false,"prompt":"A lighthouse at dusk"}',
        "response": {
            "taskId": TASK,
            "resolution": "720p",
            "originUrls": None,
            "resultUrls": [VIDEO],
            "fullResultUrls": None,
            "hasAudioList": [True],
            "seeds": [61668],
        },
        "successFlag": 1,
        "fallbackFlag": False,
        "completeTime": 1776728275000,
        "createTime": 1776728214000,
        "errorCode": None,
        "errorMessage": None,
    }
    data |= changes
    return make_envelope(data={key: value for key, value in data.items() if value is not ...})

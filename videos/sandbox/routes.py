"""Who answers what, and what every answer goes through: the key, the user agent, the faults of the whole house."""

import hmac
import json
from collections.abc import Callable

from videos.sandbox import filehost, lookups, submit, uploads, wire
from videos.sandbox.control import control
from videos.sandbox.house import Sandbox
from videos.sandbox.wire import Reply, Request, refusal

Endpoint = Callable[[Sandbox, Request], Reply]

API: dict[str, tuple[str, Endpoint]] = {
    "/api/v1/veo/generate": ("POST", submit.generate),
    "/api/v1/veo/extend": ("POST", submit.extend),
    "/api/v1/veo/get-4k-video": ("POST", submit.get_4k),
    "/api/v1/veo/record-info": ("GET", lookups.record_info),
    "/api/v1/veo/get-1080p-video": ("GET", lookups.get_1080p),
    "/api/v1/chat/credit": ("GET", lookups.credit),
    "/api/v1/common/download-url": ("POST", lookups.download_url),
}
UPLOADS: dict[str, Endpoint] = {
    "/api/file-base64-upload": uploads.upload_base64,
    "/api/file-stream-upload": uploads.upload_stream,
    "/api/file-url-upload": uploads.upload_url,
}
FEED: dict[str, Endpoint] = {
    "/client/v1/model-pricing/page": lookups.pricing_page,
    "/client/v1/model-pricing/count": lookups.pricing_count,
}
_LIBRARIES = ("python-urllib", "python-requests", "python-httpx", "go-http-client", "java/")
_FILES = ("/v/", "/p/", "/kieai/", "/signed/")


def answer(box: Sandbox, request: Request) -> Reply:
    """Answer one request, whatever it is."""
    if request.path.startswith("/_sandbox/"):
        return control(box, request)
    is_file = request.path.startswith(_FILES)
    box.truth.count(f"{request.method} {'(file)' if is_file else request.path[:200]}")
    if odd := _closed(box, request):
        return odd
    reply = filehost.serve(box, request) if is_file and request.method in ("GET", "HEAD") else _api(box, request)
    if order := box.book.strikes("latency"):
        reply.wait_s += order.number(100) / 1000
    return reply


def _closed(box: Sandbox, request: Request) -> Reply | None:
    """The whole house says no."""
    if box.book.strikes("down"):
        return wire.html(503, "Service Temporarily Unavailable")
    agent = request.headers.get("User-Agent", "").lower()
    is_library = not agent or agent.startswith(_LIBRARIES)
    if (order := box.book.strikes("cf-1010")) and (is_library or order.arg == "any"):
        return Reply(status=403, body=b"error code: 1010", content_type="text/plain; charset=UTF-8")
    return None


def _api(box: Sandbox, request: Request) -> Reply:
    reply = _dispatch(box, request)
    if reply.content_type == wire.JSON:
        if box.settings.http_errors and reply.status == 200 and reply.stream is None:
            reply.status = _status_of(reply)
        if box.book.strikes("message-key"):
            reply = wire.with_message_key(reply)
    return reply


def _status_of(reply: Reply) -> int:
    """The HTTP status that says what the envelope says."""
    try:
        code = json.loads(reply.body)["code"]
    except (ValueError, KeyError, TypeError):
        return reply.status
    return code if isinstance(code, int) and 400 <= code < 600 else 200


def _dispatch(box: Sandbox, request: Request) -> Reply:
    if endpoint := FEED.get(request.path):
        return endpoint(box, request) if request.method == "POST" else refusal(405, "Method Not Allowed")
    if endpoint := UPLOADS.get(request.path):
        return _upload(box, request, endpoint)
    if request.path not in API:
        reply = refusal(404, "Not Found")
        reply.status = 200 if request.path.startswith("/api/") else 404
        return reply
    method, endpoint = API[request.path]
    if request.method != method:
        return refusal(405, "Method Not Allowed")
    if not _has_key(box, request) or (method == "POST" and not _is_json(request)):
        box.truth.append("unauthorized", path=request.path)
        return refusal(401, wire.NO_ACCESS)
    return endpoint(box, request)


def _upload(box: Sandbox, request: Request, endpoint: Endpoint) -> Reply:
    """The upload host says errors as HTTP statuses."""
    for wrong, code, msg in (
        (request.method != "POST", 405, "Method Not Allowed"),
        (not _has_key(box, request), 401, wire.NO_ACCESS),
    ):
        if wrong:
            body = {"success": False, "code": code, "msg": msg}
            return Reply(status=code, body=wire.dump(body), content_type="application/json")
    return endpoint(box, request)


def _has_key(box: Sandbox, request: Request) -> bool:
    given = request.headers.get("Authorization", "").encode()
    return hmac.compare_digest(given, f"Bearer {box.settings.api_key}".encode())


def _is_json(request: Request) -> bool:
    return request.headers.get("Content-Type", "").lower().startswith("application/json")

"""Maps paths to endpoints, and applies what all endpoints share: the API key and the simulated faults of all endpoints."""

import hmac
import json
from collections.abc import Callable

from videos.sandbox.api import account, record_info, submit
from videos.sandbox.api.control import control
from videos.sandbox.files import hosting, links, uploads
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.wire.messages import JSON, NO_ACCESS, Reply, Request, dump, envelope, html
from videos.sandbox.wire.validation import Invalid

Endpoint = Callable[[Sandbox, Request], Reply]

API: dict[str, tuple[str, Endpoint]] = {
    "/api/v1/veo/generate": ("POST", submit.generate),
    "/api/v1/veo/extend": ("POST", submit.extend),
    "/api/v1/veo/get-4k-video": ("POST", submit.get_4k),
    "/api/v1/veo/record-info": ("GET", record_info.record_info),
    "/api/v1/veo/get-1080p-video": ("GET", record_info.get_1080p),
    "/api/v1/chat/credit": ("GET", account.credit),
    "/api/v1/common/download-url": ("POST", links.download_url),
    "/client/v1/model-pricing/page": ("POST", account.pricing_page),
    "/client/v1/model-pricing/count": ("POST", account.pricing_count),
}
UPLOADS: dict[str, Endpoint] = {
    "/api/file-base64-upload": uploads.upload_base64,
    "/api/file-stream-upload": uploads.upload_stream,
    "/api/file-url-upload": uploads.upload_url,
}
_LIBRARY_AGENTS = ("python-urllib", "python-requests", "python-httpx", "go-http-client", "java/")
_KEYLESS_PREFIX = "/client/"
_FILE_PREFIXES = ("/v/", "/p/", "/kieai/", "/signed/")


def handle(box: Sandbox, request: Request) -> Reply:
    """Reply to one request of any kind."""
    if request.path.startswith("/_sandbox/"):
        return control(box, request)
    is_file = request.path.startswith(_FILE_PREFIXES)
    box.log.count(f"{request.method} {'(file)' if is_file else request.path[:200]}")
    if fault_reply := _common_fault_reply(box, request):
        return fault_reply
    reply = hosting.serve(box, request) if is_file and request.method in ("GET", "HEAD") else _api(box, request)
    if order := box.faults.strikes("latency"):
        reply.wait_s += order.number(100) / 1000
    return reply


def _common_fault_reply(box: Sandbox, request: Request) -> Reply | None:
    """The reply of a fault that applies to every endpoint, if such a fault is switched on."""
    if box.faults.strikes("down"):
        return html(503, "Service Temporarily Unavailable")
    agent = request.headers.get("User-Agent", "").lower()
    is_library = not agent or agent.startswith(_LIBRARY_AGENTS)
    # Cloudflare blocks clients by their User-Agent with its error 1010.
    if (order := box.faults.strikes("cf-1010")) and (is_library or order.arg == "any"):
        return Reply(status=403, body=b"error code: 1010", content_type="text/plain; charset=UTF-8")
    return None


def _api(box: Sandbox, request: Request) -> Reply:
    reply = _dispatch(box, request)
    if reply.content_type != JSON:
        return reply
    try:
        body = json.loads(reply.body)
    except ValueError:
        body = {}
    code = body.get("code")
    if box.settings.http_errors and reply.status == 200 and isinstance(code, int) and 400 <= code < 600:
        reply.status = code
    # Some pages of kie.ai's documentation have `message` instead of `msg`.
    if box.faults.strikes("message-key") and "msg" in body:
        reply.body = dump({("message" if key == "msg" else key): value for key, value in body.items()})
    return reply


def _dispatch(box: Sandbox, request: Request) -> Reply:
    if endpoint := UPLOADS.get(request.path):
        return _upload(box, request, endpoint)
    if request.path not in API:
        return envelope(404, "Not Found", status=200 if request.path.startswith("/api/") else 404)
    method, endpoint = API[request.path]
    if request.method != method:
        return envelope(405, "Method Not Allowed")
    is_json = request.headers.get("Content-Type", "").lower().startswith("application/json")
    allowed = _has_key(box, request) and (is_json or method == "GET")
    if not allowed and not request.path.startswith(_KEYLESS_PREFIX):
        box.log.append("unauthorized", path=request.path)
        return envelope(401, NO_ACCESS)
    try:
        return endpoint(box, request)
    except Invalid as invalid:
        return envelope(422, str(invalid))


def _upload(box: Sandbox, request: Request, endpoint: Endpoint) -> Reply:
    if request.method != "POST":
        return uploads.upload_reply(code=405, msg="Method Not Allowed")
    if not _has_key(box, request):
        return uploads.upload_reply(code=401, msg=NO_ACCESS)
    try:
        return endpoint(box, request)
    except Invalid as invalid:
        return uploads.upload_reply(code=400, msg=str(invalid))


def _has_key(box: Sandbox, request: Request) -> bool:
    authorization = request.headers.get("Authorization", "").encode()
    return hmac.compare_digest(authorization, f"Bearer {box.settings.api_key}".encode())

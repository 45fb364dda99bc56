"""Questions to the provider: record-info, 1080p, credit, download links, the public price feed."""

import hashlib
import hmac
import math
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from videos.sandbox import outcome, wire
from videos.sandbox.house import Sandbox
from videos.sandbox.records import record
from videos.sandbox.validation import Invalid, body_of, index
from videos.sandbox.wire import Reply, Request, amount, refusal, success
from videos.sandbox.world import FAILED, SUCCESS, Task

_RECORDS_S = 14 * 86400
LINK_S = 20 * 60
_LINK_KEY = secrets.token_bytes(32)


def record_info(box: Sandbox, request: Request) -> Reply:
    """The authoritative state of a task."""
    task = box.world.task(request.argument("taskId"))
    if odd := _odd_answer(box, task):
        return odd
    if task is None or not _visible(box, task):
        if box.settings.invisible_as == "null":
            return success(None)
        return refusal(422, wire.RECORD_NULL)
    if box.clock.now() - task.accepted_at > _RECORDS_S:
        return refusal(422, wire.TOO_OLD)
    reply = success(record(_flipped(box, task), base=box.base_url, book=box.book))
    return _handicap(box, reply)


def _visible(box: Sandbox, task: Task) -> bool:
    return task.completed_at is not None or box.clock.now() - task.accepted_at >= box.settings.invisible_s


def _flipped(box: Sandbox, task: Task) -> Task:
    """After one look at the success, a failure, if so ordered."""
    order = box.book.strikes("record-flips", key=task.id) if task.flag == SUCCESS else None
    if order and box.book.times(order, task.id) > 1:
        return replace(task, flag=FAILED, error_code=501, error_message="failed", result_paths=[])
    return task


def _odd_answer(box: Sandbox, task: Task | None) -> Reply | None:
    """An answer that says nothing about the task, if one is ordered for this look."""
    strikes = box.book.strikes
    age_s = box.clock.now() - task.accepted_at if task else math.inf
    young = {
        "record-404": refusal(404, "Not Found"),
        "record-null": refusal(422, wire.RECORD_NULL),
        "data-null": success(None),
    }
    for name, reply in young.items():
        if (order := strikes(name)) and age_s < order.number(math.inf):
            return reply
    if strikes("record-drop"):
        return Reply(silent=True)
    if order := strikes("record-422"):
        return refusal(422, order.arg or wire.RECORD_BLANK)
    if order := strikes("record-code"):
        return refusal(int(order.number(500)), wire.INTERNAL)
    if order := strikes("record-http"):
        reply = refusal(int(order.number(500)), wire.INTERNAL)
        reply.status = int(order.number(500))
        return reply
    if strikes("record-html"):
        return wire.html(502, "Bad Gateway")
    return None


def _handicap(box: Sandbox, reply: Reply) -> Reply:
    strikes = box.book.strikes
    if strikes("record-truncated"):
        reply = wire.halved(reply)
    if strikes("record-gzip-bomb"):
        reply = wire.bomb(reply)
    if strikes("record-huge"):
        reply = wire.huge(reply)
    if order := strikes("record-slow"):
        reply.wait_s = order.number(30)
    return reply


def get_1080p(box: Sandbox, request: Request) -> Reply:
    """Asked first: starts the upgrade, for 5 credits; asked again: busy, and then the address."""
    task = box.world.task(request.argument("taskId"))
    if task is None or task.kind == "upgrade-4k":
        return refusal(422, wire.RECORD_NULL)
    try:
        index(request.argument("index") or 0)
    except Invalid as invalid:
        return refusal(422, str(invalid))
    with box.world.lock:
        if task.flag != SUCCESS:
            return refusal(422, wire.NOT_SUCCESS)
        if task.hd and task.hd.ready:
            return success({"resultUrl": box.base_url + task.hd.film_path})
        if task.hd is None:
            price = box.world.prices.of("upgrade:1080p")
            if not box.world.move(-price, why="charge 1080p", task_id=task.id):
                return refusal(402, wire.CREDITS)
            box.truth.append("submission", kind="upgrade-1080p", accepted=True, task_id=task.id, charged=str(price))
            outcome.begin_hd(box, task)
    return refusal(422 if box.book.strikes("upgrade-422") else 400, wire.HD_BUSY)


def credit(box: Sandbox, _request: Request) -> Reply:
    if order := box.book.strikes("credit-http"):
        reply = refusal(int(order.number(500)), wire.INTERNAL)
        reply.status = int(order.number(500))
        return reply
    with box.world.lock:
        return success(amount(box.world.balance))


def download_url(box: Sandbox, request: Request) -> Reply:
    """A link good for 20 minutes, for any address on our own file host, whether the file exists or not."""
    try:
        url = body_of(request).get("url")
    except Invalid as invalid:
        return refusal(422, str(invalid))
    if not isinstance(url, str) or not is_ours(box, url):
        return refusal(422, "url is wrong")
    path = urlsplit(url).path.removeprefix("/signed")
    box.world.minted.add(path)
    link = signed_link(box, path)
    box.truth.append("minted", path=path)
    return success(link)


def is_ours(box: Sandbox, url: str) -> bool:
    """Whether the address is on our file host, however a client came to us."""
    try:
        parts = urlsplit(url)
        ours = urlsplit(box.address)
        public = urlsplit(box.base_url)
        port = parts.port
    except ValueError:
        return False
    same_machine = parts.hostname in ("127.0.0.1", "localhost", "::1") and port == ours.port
    on_host = (parts.netloc == public.netloc) or same_machine
    return on_host and parts.scheme == public.scheme and parts.path.count("/") > 1


def signed_link(box: Sandbox, path: str) -> str:
    """An address like the real ones, of the S3 family."""
    made_at = int(box.clock.now())
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Date": datetime.fromtimestamp(made_at, UTC).strftime("%Y%m%dT%H%M%SZ"),
        "X-Amz-Expires": str(LINK_S),
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": _link_signature(path, made_at),
    }
    return f"{box.base_url}/signed{path}?{urlencode(query)}"


def link_is_good(box: Sandbox, path: str, query: str) -> bool:
    """Whether a signed address was minted here for this path and has not run out, by the sandbox's clock."""
    given = {key: values[0] for key, values in parse_qs(query).items()}
    try:
        made_at = datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except (KeyError, ValueError):
        return False
    signature = _link_signature(path, int(made_at))
    return hmac.compare_digest(signature, given.get("X-Amz-Signature", "")) and box.clock.now() < made_at + LINK_S


def _link_signature(path: str, made_at: int) -> str:
    return hmac.new(_LINK_KEY, f"{path}@{made_at}".encode(), hashlib.sha256).hexdigest()


def pricing_page(box: Sandbox, request: Request) -> Reply:
    """The public price feed; it asks for no key."""
    try:
        asked: dict[str, Any] = body_of(request)
        number, size = max(1, int(asked.get("pageNum") or 1)), min(100, max(1, int(asked.get("pageSize") or 10)))
    except (Invalid, TypeError, ValueError):
        return refusal(422, "The request body is not valid")
    wanted = str(asked.get("modelDescription") or "").lower()
    kind = str(asked.get("interfaceType") or "")
    rows = [row for row in box.world.prices.feed() if wanted in row["modelDescription"].lower()]
    rows = [row for row in rows if not kind or row["interfaceType"] == kind]
    page = rows[(number - 1) * size : number * size]
    return success(
        {"records": page, "total": len(rows), "size": size, "current": number, "pages": math.ceil(len(rows) / size)}
    )


def pricing_count(box: Sandbox, _request: Request) -> Reply:
    return success([{"interfaceType": "video", "count": len(box.world.prices.feed())}])

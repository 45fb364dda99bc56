"""Serves results and uploads, whole or by Range, by plain URL or signed link, until they expire."""

import hashlib
import io
import itertools
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate
from functools import partial

from PIL import Image

from videos.sandbox.files.links import is_valid_link, signed_link
from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.tasks import StoredFile
from videos.sandbox.wire.messages import PRIVATE_URL, Reply, Request, envelope, html

_RANGE = re.compile(r"bytes=(?!-$)(\d*)-(\d*)")
_CHUNK = 256 * 1024
_TEN_GB = 10 * 1024**3
_SCRIPT = b"<html><body><script>alert(document.domain)</script></body></html>"


def serve(box: Sandbox, request: Request) -> Reply:
    """Reply to GET or HEAD of a file."""
    signed = request.path.startswith("/signed/")
    path = request.path.removeprefix("/signed") if signed else request.path
    if signed and not is_valid_link(box, path, request.query):
        return _xml(403, "AccessDenied", "Request has expired")
    stored = box.state.files.get(path)
    if fault_reply := _fault_reply(box, path, signed=signed):
        return fault_reply
    if stored is None or (box.clock.now() - stored.made_at >= box.settings.file_life_s and not signed):
        return _xml(404, "NoSuchKey", "The specified key does not exist.")
    for name, make in _VIDEO_SUBSTITUTES.items():
        if stored.video and box.faults.strikes(name):
            return replace(make(), task_id=stored.task_id)
    reply = _range_reply(box, request, _content(box, stored), stored)
    return _apply_transfer_faults(box, path, reply) if request.method == "GET" else reply


def _content(box: Sandbox, stored: StoredFile) -> bytes:
    video, plain = stored.video, box.settings.film == "quick"
    if video is None:
        return stored.upload
    if stored.poster:
        content = box.video_files.poster(video, plain=plain)
    else:
        content = box.video_files.video(video, plain=plain) + _mp4_free_box(video.mark.encode())
    return content + _mp4_free_box(_SCRIPT) if box.faults.strikes("polyglot") else content


def _mp4_free_box(content: bytes) -> bytes:
    """A `free` box, which MP4 players skip. With the mark of a task in it, the file of each task is unique."""
    return struct.pack(">I4s", 8 + len(content), b"free") + content


def _range_reply(box: Sandbox, request: Request, content: bytes, stored: StoredFile) -> Reply:
    """Reply 200 to a whole request, and 206 or 416 to a request with Range. If-Range is respected."""
    digest = hashlib.sha256(content).hexdigest()
    etag = f'"{digest[:32]}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Last-Modified": formatdate(stored.made_at, usegmt=True),
        "Cache-Control": "public, max-age=14400",
    }
    reply = Reply(
        body=content, content_type=stored.content_type, headers=headers, task_id=stored.task_id, file_sha256=digest
    )
    byte_range = _RANGE.fullmatch(request.headers.get("Range", ""))
    if not byte_range or box.faults.strikes("no-range"):
        return reply
    if request.headers.get("If-Range") not in (None, etag, headers["Last-Modified"]):
        return reply
    size, (start, end) = len(content), byte_range.groups()
    if start:
        first, last = int(start), min(int(end or size), size - 1)
    else:
        first, last = max(0, size - int(end)), size - 1
    if first > last:
        return Reply(status=416, content_type="text/plain", headers={"Content-Range": f"bytes */{size}"})
    reply.status, reply.body = 206, content[first : last + 1]
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return reply


def _fault_reply(box: Sandbox, path: str, *, signed: bool) -> Reply | None:
    strikes = box.faults.strikes
    for name, status, code in (("file-404", 404, "NoSuchKey"), ("file-500", 500, "InternalError")):
        if _is_affected(box, name, path):
            return _xml(status, code, "It did not work.")
    if not signed and strikes("file-403-until-minted", key=path):
        return _xml(403, "AccessDenied", "Access Denied")
    if not signed and strikes("file-expired", key=path):
        return _xml(404, "NoSuchKey", "The specified key does not exist.")
    if order := strikes("redirect-private"):
        return _redirect(order.arg or PRIVATE_URL)
    if strikes("redirect-loop"):
        return _redirect(box.base_url + path)
    if not signed and strikes("redirect-once"):
        return _redirect(signed_link(box, path))
    return None


def _is_affected(box: Sandbox, name: str, path: str) -> bool:
    """True if the fault applies; with a number N as argument, only to the first N requests for each file."""
    order = box.faults.strikes(name, key=path)
    return order is not None and (not order.arg or box.faults.times(order, path) <= order.number(0))


_video_reply = partial(Reply, content_type="video/mp4")
# What is served instead of a video.
_VIDEO_SUBSTITUTES: dict[str, Callable[[], Reply]] = {
    "html-file": lambda: _video_reply(body=html(200, "OK").body),
    "json-file": lambda: Reply(body=envelope(404, "Not Found").body, content_type="application/json"),
    "empty-file": _video_reply,
    "image-file": lambda: _video_reply(body=_png()),
    "endless-file": lambda: _video_reply(stream=itertools.repeat(bytes(_CHUNK))),
    "huge-length": lambda: _video_reply(stream=itertools.repeat(bytes(_CHUNK), _TEN_GB // _CHUNK), length=_TEN_GB),
}


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 36), "#345").save(out, "PNG")
    return out.getvalue()


def _apply_transfer_faults(box: Sandbox, path: str, reply: Reply) -> Reply:
    """The correct content, sent incompletely or slowly if ordered."""
    half = reply.body[: len(reply.body) // 2]
    if _is_affected(box, "truncated-file", path):
        reply.length, reply.cut, reply.body = len(reply.body), True, half
    if _is_affected(box, "aborted-chunk", path):
        reply.stream, reply.cut = iter([half]), True
    if order := box.faults.strikes("slow-loris"):
        reply.length, reply.stream = len(reply.body), _byte_by_byte(box, reply.body, order.number(5))
    return reply


def _byte_by_byte(box: Sandbox, body: bytes, byte_s: float) -> Iterator[bytes]:
    for byte in body:
        yield bytes([byte])
        if box.stopping.wait(byte_s):
            return


def _redirect(location: str) -> Reply:
    return Reply(status=302, content_type="text/plain", headers={"Location": location})


def _xml(status: int, code: str, message: str) -> Reply:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Reply(status=status, body=body.encode(), content_type="application/xml")

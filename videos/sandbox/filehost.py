"""Serves results and uploads: whole or by Range, expiring by the sandbox's clock, plain or by signed link."""

import hashlib
import io
import itertools
import re
import struct
from collections.abc import Callable, Iterator
from email.utils import formatdate

from PIL import Image

from videos.sandbox import wire
from videos.sandbox.house import Sandbox
from videos.sandbox.lookups import link_is_good, signed_link
from videos.sandbox.wire import Reply, Request
from videos.sandbox.world import Stored

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CHUNK = 256 * 1024
_TEN_GB = 10 * 1024**3
_SCRIPT = b"<html><body><script>alert(document.domain)</script></body></html>"


def serve(box: Sandbox, request: Request) -> Reply:
    """GET or HEAD of a file."""
    signed = request.path.startswith("/signed/")
    path = request.path.removeprefix("/signed") if signed else request.path
    if signed and not link_is_good(box, path, request.query):
        return _xml(403, "AccessDenied", "Request has expired")
    stored = box.world.files.get(path)
    if odd := _refused_by_fault(box, path, signed=signed):
        return odd
    if stored is None or (box.clock.now() - stored.made_at >= box.settings.file_life_s and not signed):
        return _xml(404, "NoSuchKey", "The specified key does not exist.")
    if stored.film and (odd := _not_a_film(box)):
        odd.task_id = stored.task_id
        return odd
    content = _content(box, stored)
    if stored.film and box.book.strikes("polyglot"):
        content += _free_box(_SCRIPT)
    reply = _ranged(box, request, content, stored)
    return _crippled(box, path, reply) if request.method == "GET" else reply


def _content(box: Sandbox, stored: Stored) -> bytes:
    if stored.film is None:
        return stored.upload
    if stored.still:
        return box.video_files.poster(stored.film, plain=box.quick)
    return box.video_files.video(stored.film, plain=box.quick) + _free_box(stored.film.mark.encode())


def _ranged(box: Sandbox, request: Request, content: bytes, stored: Stored) -> Reply:
    """200, or 206 and 416 for a Range; If-Range holds it to the same file."""
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
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if not asked or asked.groups() == ("", "") or box.book.strikes("no-range"):
        return reply
    if request.headers.get("If-Range") not in (None, etag, headers["Last-Modified"]):
        return reply
    first, last = _bounds(asked[1], asked[2], len(content))
    if first > last:
        return Reply(status=416, content_type="text/plain", headers={"Content-Range": f"bytes */{len(content)}"})
    reply.status, reply.body = 206, content[first : last + 1]
    headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
    return reply


def _bounds(first: str, last: str, length: int) -> tuple[int, int]:
    """First and last byte asked for; the first is past the last where nothing fits."""
    if not first:
        count = int(last)
        return (max(0, length - count), length - 1) if count else (1, 0)
    return int(first), min(int(last) if last else length - 1, length - 1)


def _refused_by_fault(box: Sandbox, path: str, *, signed: bool) -> Reply | None:
    strikes = box.book.strikes
    for name, status in (("file-404", 404), ("file-500", 500)):
        if _first_times(box, name, path):
            return _xml(status, "NoSuchKey" if status == 404 else "InternalError", "It did not work.")
    if not signed and strikes("file-403-until-minted", key=path):
        return _xml(403, "AccessDenied", "Access Denied")
    if not signed and strikes("file-expired", key=path):
        return _xml(404, "NoSuchKey", "The specified key does not exist.")
    if order := strikes("redirect-private"):
        return _redirect(order.arg or wire.PRIVATE_URL)
    if strikes("redirect-loop"):
        return _redirect(box.base_url + path)
    if not signed and strikes("redirect-once"):
        return _redirect(signed_link(box, path))
    return None


def _first_times(box: Sandbox, name: str, path: str) -> bool:
    """Whether the fault strikes; with a number for argument, only the first that many requests of each file."""
    order = box.book.strikes(name, key=path)
    if order is None:
        return False
    return not order.arg or box.book.times(order, path) <= order.number(0)


def _not_a_film(box: Sandbox) -> Reply | None:
    """Something else under a film's address and type."""
    kinds: dict[str, Callable[[], tuple[bytes, str]]] = {
        "html-file": lambda: (wire.html(200, "OK").body, "video/mp4"),
        "json-file": lambda: (wire.refusal(404, "Not Found").body, "application/json"),
        "empty-file": lambda: (b"", "video/mp4"),
        "image-file": lambda: (_png(), "video/mp4"),
    }
    for name, make in kinds.items():
        if box.book.strikes(name):
            body, content_type = make()
            return Reply(body=body, content_type=content_type)
    if box.book.strikes("endless-file"):
        return Reply(stream=itertools.repeat(bytes(_CHUNK)), content_type="video/mp4")
    if box.book.strikes("huge-length"):
        return Reply(
            stream=itertools.repeat(bytes(_CHUNK), _TEN_GB // _CHUNK), length=_TEN_GB, content_type="video/mp4"
        )
    return None


def _crippled(box: Sandbox, path: str, reply: Reply) -> Reply:
    """The right bytes, in a way that does not end well."""
    if _first_times(box, "truncated-file", path):
        reply.length, reply.cut = len(reply.body), True
        reply.body = reply.body[: len(reply.body) // 2]
    if _first_times(box, "aborted-chunk", path):
        half = reply.body[: len(reply.body) // 2]
        reply.stream, reply.cut = iter([half]), True
    if order := box.book.strikes("slow-loris"):
        reply.length, reply.stream = len(reply.body), _drip(box, reply.body, order.number(5))
    return reply


def _drip(box: Sandbox, body: bytes, byte_s: float) -> Iterator[bytes]:
    for byte in body:
        yield bytes([byte])
        if box.stopping.wait(byte_s):
            return


def _free_box(content: bytes) -> bytes:
    """A `free` box for the end of an MP4, which players skip. A mark in it makes each task's file unlike any other."""
    return struct.pack(">I4s", 8 + len(content), b"free") + content


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 36), "#345").save(out, "PNG")
    return out.getvalue()


def _redirect(location: str) -> Reply:
    return Reply(status=302, content_type="text/plain", headers={"Location": location})


def _xml(status: int, code: str, message: str) -> Reply:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Reply(status=status, body=body.encode(), content_type="application/xml")

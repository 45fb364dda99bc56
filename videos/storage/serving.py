"""How a stored object reaches the person who may have it: from our disk in parts, by nginx, or by a short-lived S3 link."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote

from django.conf import settings
from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import http_date, parse_http_date_safe

from videos.storage import media_store

LINK_S = 600
_BLOCK_BYTES = 256 * 1024

# Whatever hides in the bytes: a browser shows it as this type or not at all, runs nothing, and embeds it nowhere else.
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An object as it may be served. `tag` changes with its bytes; `max_age_s` is for the browser's own cache alone."""

    name: str
    mime_type: str
    tag: str
    last_modified: datetime
    disposition: str
    max_age_s: int

    @property
    def etag(self) -> str:
        return f'"{self.tag}"'


class _LinkingStorage(Protocol):
    """What a storage elsewhere can do: django-storages' S3."""

    def url(self, name: str, parameters: dict[str, Any], expire: int, http_method: str | None) -> str: ...


def serve(request: HttpRequest, stored: Stored) -> HttpResponseBase:
    """The answer to GET or HEAD. Raises OSError when our disk does not give the object."""
    path = media_store.local_path(stored.name)
    if path is None:
        return _link(request, stored, default_storage)  # type: ignore[arg-type]  # only a local storage has no such links
    if settings.X_ACCEL_PREFIX:
        response: HttpResponseBase = HttpResponse(
            headers={"X-Accel-Redirect": settings.X_ACCEL_PREFIX.rstrip("/") + "/" + quote(stored.name)}
        )
        return _dressed(response, stored)
    return _from_disk(request, stored, path.open("rb"), size=path.stat().st_size)


def _link(request: HttpRequest, stored: Stored, storage: _LinkingStorage) -> HttpResponseBase:
    """The link works for anybody for ten minutes, so it stands in no cache; the bucket is told what to answer."""
    url = storage.url(
        stored.name,
        parameters={
            "ResponseContentType": stored.mime_type,
            "ResponseContentDisposition": stored.disposition,
            "ResponseCacheControl": f"private, max-age={LINK_S}",
        },
        expire=LINK_S,
        http_method=request.method,
    )
    response = HttpResponseRedirect(url)
    response["Cache-Control"] = "private, no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response


def _from_disk(request: HttpRequest, stored: Stored, content: BinaryIO, *, size: int) -> HttpResponseBase:
    response: HttpResponseBase | None = get_conditional_response(
        request, stored.etag, int(stored.last_modified.timestamp())
    )
    if response is None:
        try:
            part = part_of(request, size=size, etag=stored.etag, last_modified=stored.last_modified)
        except OutOfReach:
            response = HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
        else:
            length = part.length if part else size
            if request.method == "HEAD":
                response = HttpResponse(headers={"Content-Length": str(length)})
            else:
                slice_ = _Slice(content, first=part.first if part else 0, length=length)
                response = StreamingHttpResponse(
                    slice_, status=206 if part else 200, headers={"Content-Length": str(length)}
                )
            if part:
                response["Content-Range"] = part.content_range
    if not response.streaming:
        content.close()
    return _dressed(response, stored)


def _dressed(response: HttpResponseBase, stored: Stored) -> HttpResponseBase:
    response["Content-Type"] = stored.mime_type
    response["Content-Disposition"] = stored.disposition
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = stored.etag
    response["Last-Modified"] = http_date(stored.last_modified.timestamp())
    if response.status_code < 400:
        patch_cache_control(response, private=True, max_age=stored.max_age_s)
    for name, value in _SAFE.items():
        response[name] = value
    return response


class _Slice:
    """A part of an open file, block by block; closed with the response, however that ends."""

    def __init__(self, content: BinaryIO, *, first: int, length: int) -> None:
        self._content = content
        self._content.seek(first)
        self._left = self.length = length

    def __iter__(self) -> Iterator[bytes]:
        while self._left and (block := self._content.read(min(self._left, _BLOCK_BYTES))):
            self._left -= len(block)
            yield block

    def close(self) -> None:
        self._content.close()


_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII | re.IGNORECASE)


class OutOfReach(Exception):
    """The part asked for lies past the end: 416."""


@dataclass(frozen=True)
class Part:
    """Bytes `first` to `last`, both included, of `size`."""

    first: int
    last: int
    size: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    @property
    def content_range(self) -> str:
        return f"bytes {self.first}-{self.last}/{self.size}"


def part_of(request: HttpRequest, *, size: int, etag: str, last_modified: datetime) -> Part | None:
    """The part to send; None for the whole, asked for by none, several, malformed or outdated ranges. Raises OutOfReach."""
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if request.method != "GET" or asked is None or not _still_holds(request, etag, last_modified):
        return None
    first, last = asked[1], asked[2]
    if not first and not last:
        return None
    if not first:  # the last so many bytes
        if int(last) == 0 or size == 0:
            raise OutOfReach
        return Part(max(size - int(last), 0), size - 1, size)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise OutOfReach
    return Part(int(first), min(int(last), size - 1) if last else size - 1, size)


def _still_holds(request: HttpRequest, etag: str, last_modified: datetime) -> bool:
    """If-Range: continue only the very same file. A weak tag proves nothing; a date must match to the second."""
    condition = request.headers.get("If-Range", "").strip()
    if not condition:
        return True
    if condition.startswith(('"', "W/")):
        return condition == etag
    return parse_http_date_safe(condition) == int(last_modified.timestamp())

"""Serves a stored object: from the local disk, through nginx, or by a short-lived S3 link. The caller checks permissions."""

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

# The content is untrusted: the browser must use the given type, run no scripts and not let other sites embed it.
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """An object to be served.

    `tag` identifies the content and becomes the ETag. For `max_age_s` seconds the browser, but no shared cache, may
    keep the object.
    """

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
    """Declares, for the type checker, the method `url` of the S3 storage of django-storages."""

    def url(self, name: str, parameters: dict[str, Any], expire: int, http_method: str | None) -> str: ...


def serve(request: HttpRequest, stored: StoredObject) -> HttpResponseBase:
    """The response to GET or HEAD. Raises OSError if the object cannot be read from the local disk."""
    path = media_store.local_path(stored.name)
    if path is None:
        return _redirect_to_bucket(request, stored, default_storage)  # type: ignore[arg-type]  # a storage without local paths is S3
    if settings.X_ACCEL_PREFIX:
        response: HttpResponseBase = HttpResponse(
            headers={"X-Accel-Redirect": settings.X_ACCEL_PREFIX.rstrip("/") + "/" + quote(stored.name)}
        )
        return _add_headers(response, stored)
    return _from_disk(request, stored, path.open("rb"), size=path.stat().st_size)


def _redirect_to_bucket(request: HttpRequest, stored: StoredObject, storage: _LinkingStorage) -> HttpResponseBase:
    """Redirect to a signed link. Anyone can use the link for ten minutes, so the redirect must not be cached."""
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


def _from_disk(request: HttpRequest, stored: StoredObject, content: BinaryIO, *, size: int) -> HttpResponseBase:
    response: HttpResponseBase | None = get_conditional_response(
        request, stored.etag, int(stored.last_modified.timestamp())
    )
    if response is None:
        try:
            range_ = requested_range(request, size=size, etag=stored.etag, last_modified=stored.last_modified)
        except RangeNotSatisfiable:
            response = HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
        else:
            length = range_.length if range_ else size
            if request.method == "HEAD":
                response = HttpResponse(headers={"Content-Length": str(length)})
            else:
                slice_ = _Slice(content, first=range_.first if range_ else 0, length=length)
                response = StreamingHttpResponse(
                    slice_, status=206 if range_ else 200, headers={"Content-Length": str(length)}
                )
            if range_:
                response["Content-Range"] = range_.content_range
    if not response.streaming:
        content.close()
    return _add_headers(response, stored)


def _add_headers(response: HttpResponseBase, stored: StoredObject) -> HttpResponseBase:
    response["Content-Type"] = stored.mime_type
    response["Content-Disposition"] = stored.disposition
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = stored.etag
    response["Last-Modified"] = http_date(stored.last_modified.timestamp())
    if response.status_code < 400:
        patch_cache_control(response, private=True, max_age=stored.max_age_s)
    for name, value in _SECURITY_HEADERS.items():
        response[name] = value
    return response


class _Slice:
    """A part of an open file, read in blocks; the response closes it."""

    def __init__(self, content: BinaryIO, *, first: int, length: int) -> None:
        self._content = content
        self._content.seek(first)
        self._remaining = self.length = length

    def __iter__(self) -> Iterator[bytes]:
        while self._remaining and (block := self._content.read(min(self._remaining, _BLOCK_BYTES))):
            self._remaining -= len(block)
            yield block

    def close(self) -> None:
        self._content.close()


_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII | re.IGNORECASE)


class RangeNotSatisfiable(Exception):
    """The requested range begins past the end of the object (status 416)."""


@dataclass(frozen=True)
class ByteRange:
    """Bytes `first` to `last`, both included, of an object of `size` bytes."""

    first: int
    last: int
    size: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    @property
    def content_range(self) -> str:
        return f"bytes {self.first}-{self.last}/{self.size}"


def requested_range(request: HttpRequest, *, size: int, etag: str, last_modified: datetime) -> ByteRange | None:
    """The range to send. Raises RangeNotSatisfiable.

    None means that the whole file is sent: no range was requested, several were, the range is malformed, or it belongs
    to an older version of the file.
    """
    match = _RANGE.fullmatch(request.headers.get("Range", ""))
    if request.method != "GET" or match is None or not _if_range_matches(request, etag, last_modified):
        return None
    first, last = match[1], match[2]
    if not first and not last:
        return None
    if not first:  # the last N bytes
        if int(last) == 0 or size == 0:
            raise RangeNotSatisfiable
        return ByteRange(max(size - int(last), 0), size - 1, size)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise RangeNotSatisfiable
    return ByteRange(int(first), min(int(last), size - 1) if last else size - 1, size)


def _if_range_matches(request: HttpRequest, etag: str, last_modified: datetime) -> bool:
    """Whether the If-Range header allows to send a part: it is absent, or has exactly our ETag or modification time.

    Weak ETags never match.
    """
    condition = request.headers.get("If-Range", "").strip()
    if not condition:
        return True
    if condition.startswith(('"', "W/")):
        return condition == etag
    return parse_http_date_safe(condition) == int(last_modified.timestamp())

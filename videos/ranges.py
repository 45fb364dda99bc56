"""Which part of a file a request asks for (RFC 9110, chapter 14). Knows no files."""

import re
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django.utils.http import parse_http_date_safe

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

"""Fetches one result file into a file of the caller's: resumed where it still holds, cut where it must be."""

import re
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from typing import BinaryIO

import urllib3
from urllib3.response import BaseHTTPResponse

from videos.providers.http.addresses import AllowList
from videos.providers.http.checked_get import FetchLimits, Line, is_timeout
from videos.providers.http.download_errors import FetchError, Interrupted, LinkExpired, Missing, TooLarge, TooSlow
from videos.providers.http.time_limit import Watch

__all__ = ["AllowList", "FetchLimits", "Fetched", "fetch"]

_CHUNK_BYTES = 1 << 16
_CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,18})-([0-9]{1,18})|\*)/([0-9]{1,18}|\*)")


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """The file is there. `complete` is False only when its end was the connection's end, which proves nothing."""

    bytes: int
    complete: bool
    etag: str = ""  # a validator to resume with: a strong ETag, else Last-Modified
    content_type: str = ""


def fetch(
    url: str,
    *,
    into: BinaryIO,
    offset: int = 0,
    etag: str = "",
    limits: FetchLimits,
    allow: AllowList,
    tls: ssl.SSLContext | None = None,
) -> Fetched:
    """Write the file at `url` to `into`, of which the first `offset` bytes are there already if `etag` still holds.

    Without an `etag` it starts again: two halves of different files would look like one. Raises a FetchError; an
    OSError that comes through is `into`'s own (a full disk).
    """
    start = offset if etag else 0
    with Watch(limits.total_s) as total, Line(limits=limits, allow=allow, tls=tls, total=total) as line:
        try:
            answer = _open(line, url, start=start, etag=etag)
        except Interrupted as error:
            error.got_bytes, error.etag = start, etag if start else ""  # the file was not touched
            raise
        if answer.status == 416:
            return Fetched(bytes=start, complete=True, etag=etag)
        return _receive(answer, into=into, start=start, limits=limits, total=total)


def _open(line: Line, url: str, *, start: int, etag: str) -> BaseHTTPResponse:
    """An answer with the whole file (200), with exactly the rest of it (206), or saying that there is no rest (416)."""
    answer = line.ask(url, start=start, etag=etag)
    if start and answer.status in (206, 416) and not _continues(answer, start=start, etag=etag):
        answer = line.ask(url, start=0, etag="")
        start = 0
    _refuse(answer, start=start)
    return answer


def _receive(answer: BaseHTTPResponse, *, into: BinaryIO, start: int, limits: FetchLimits, total: Watch) -> Fetched:
    got_bytes = start if answer.status == 206 else 0
    validator = _validator(answer)
    expected = _expected_bytes(answer, got_bytes)
    if expected is not None and expected > limits.max_bytes:
        raise TooLarge(f"the file says it has {expected} bytes")
    into.seek(got_bytes)
    into.truncate()
    trouble: FetchError | None = None
    chunks = _chunks(answer, limits=limits, total=total)
    while trouble is None:
        try:
            chunk = next(chunks, b"")
        except TooSlow as error:
            trouble = TooSlow(error.detail, got_bytes=got_bytes, etag=validator)
        except Interrupted as error:
            trouble = Interrupted(error.detail, got_bytes=got_bytes, etag=validator)
        else:
            if not chunk:
                break
            if got_bytes + len(chunk) > limits.max_bytes:
                raise TooLarge(f"the file has more than {limits.max_bytes} bytes")
            into.write(chunk)
            got_bytes += len(chunk)
    if trouble is None and expected is not None and got_bytes != expected:
        trouble = Interrupted("the file was cut short", got_bytes=got_bytes, etag=validator)
    if trouble is not None:
        raise trouble
    return Fetched(
        bytes=got_bytes,
        complete=expected is not None or "chunked" in answer.headers.get("Transfer-Encoding", "").lower(),
        etag=validator,
        content_type=answer.headers.get("Content-Type", ""),
    )


def _chunks(answer: BaseHTTPResponse, *, limits: FetchLimits, total: Watch) -> Iterator[bytes]:
    """The body as it arrives. Raises Interrupted or, under the least speed or past the total time, TooSlow."""
    since, in_window = time.monotonic(), 0
    while True:
        trouble = None
        try:
            chunk = answer.read1(_CHUNK_BYTES, decode_content=False)
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            trouble = "silence on the line" if is_timeout(error) else "the connection broke"
            chunk = b""
        if total.expired:
            raise TooSlow("the total time was over")
        if trouble:
            raise Interrupted(trouble)
        if not chunk:
            return
        yield chunk
        in_window += len(chunk)
        elapsed = time.monotonic() - since
        if elapsed >= limits.pace_s:
            if in_window < limits.least_bytes_per_s * elapsed:
                raise TooSlow(f"{in_window} bytes in {elapsed:.0f} s")
            since, in_window = time.monotonic(), 0


def _refuse(answer: BaseHTTPResponse, *, start: int) -> None:
    """Raise for any answer that carries no file, or a part that was not asked for."""
    status = answer.status
    if status == 404:
        raise Missing("no such file", status=status)
    if status in (401, 403, 410):
        raise LinkExpired("the link no longer opens", status=status)
    if status != 200 and not (start and status in (206, 416)):
        raise Interrupted(f"HTTP {status}", status=status)
    if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise Interrupted("the server compressed the file unasked", status=status)


def _continues(answer: BaseHTTPResponse, *, start: int, etag: str) -> bool:
    """True if a 206 goes on where our part of the same file ends, or a 416 says that there is no more of it."""
    if answer.status == 416:
        return _total_bytes(answer) == start
    match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return match is not None and match[1] is not None and int(match[1]) == start and _validator(answer) in ("", etag)


def _total_bytes(answer: BaseHTTPResponse) -> int | None:
    """The whole file's length by Content-Range, if it says."""
    match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return int(match[3]) if match and match[3] != "*" else None


def _expected_bytes(answer: BaseHTTPResponse, start: int) -> int | None:
    """The whole file's length, as far as the answer tells."""
    said = answer.headers.get("Content-Length", "").strip()
    by_length = start + int(said) if re.fullmatch(r"[0-9]{1,18}", said) else None
    return (_total_bytes(answer) or by_length) if answer.status == 206 else by_length


def _validator(answer: BaseHTTPResponse) -> str:
    """What proves, at the next request, that the file is still the same; weak ETags do not."""
    tag = answer.headers.get("ETag", "").strip()
    if tag.startswith('"'):
        return tag[:200]
    return answer.headers.get("Last-Modified", "").strip()[:40]

"""Downloads one result into the caller's file: resumes where possible, stops at the limits."""

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
from videos.providers.http.checked_get import CheckedClient, FetchLimits, is_timeout
from videos.providers.http.download_errors import FetchError, Interrupted, LinkExpired, Missing, TooLarge, TooSlow
from videos.providers.http.time_limit import TimeLimit

__all__ = ["AllowList", "FetchLimits", "FetchResult", "fetch"]

_CHUNK_BYTES = 1 << 16
_CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,18})-([0-9]{1,18})|\*)/([0-9]{1,18}|\*)")


@dataclass(frozen=True, kw_only=True)
class FetchResult:
    """The file has arrived. `complete` is False when only the connection's end marked its end, which proves nothing."""

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
) -> FetchResult:
    """Write the file at `url` to `into`, which has its first `offset` bytes already if the file still has this `etag`.

    Without an `etag` it starts again: two halves of different files would look like one. Raises a FetchError; an
    OSError is `into`'s own (a full disk).
    """
    start = offset if etag else 0
    with TimeLimit(limits.total_s) as total, CheckedClient(limits=limits, allow=allow, tls=tls, total=total) as client:
        try:
            answer = _open(client, url, start=start, etag=etag)
        except Interrupted as error:
            error.got_bytes, error.etag = start, etag if start else ""  # the file was not touched
            raise
        if answer.status == 416:
            return FetchResult(bytes=start, complete=True, etag=etag)
        return _write_body(answer, into=into, start=start, limits=limits, total=total)


def _open(client: CheckedClient, url: str, *, start: int, etag: str) -> BaseHTTPResponse:
    """An answer with the whole file (200), with exactly the rest of it (206), or saying that there is no rest (416)."""
    answer = client.get(url, start=start, etag=etag)
    if start and answer.status in (206, 416) and not _continues(answer, start=start, etag=etag):
        answer = client.get(url, start=0, etag="")
        start = 0
    _check_status(answer, start=start)
    return answer


def _write_body(
    answer: BaseHTTPResponse, *, into: BinaryIO, start: int, limits: FetchLimits, total: TimeLimit
) -> FetchResult:
    got_bytes = start if answer.status == 206 else 0
    validator = _validator(answer)
    expected = _expected_bytes(answer, got_bytes)
    if expected is not None and expected > limits.max_bytes:
        raise TooLarge(f"the file says it has {expected} bytes")
    into.seek(got_bytes)
    into.truncate()
    problem: FetchError | None = None
    chunks = _chunks(answer, limits=limits, total=total)
    while problem is None:
        try:
            chunk = next(chunks, b"")
        except TooSlow as error:
            problem = TooSlow(error.detail, got_bytes=got_bytes, etag=validator)
        except Interrupted as error:
            problem = Interrupted(error.detail, got_bytes=got_bytes, etag=validator)
        else:
            if not chunk:
                break
            if got_bytes + len(chunk) > limits.max_bytes:
                raise TooLarge(f"the file has more than {limits.max_bytes} bytes")
            into.write(chunk)
            got_bytes += len(chunk)
    if problem is None and expected is not None and got_bytes != expected:
        problem = Interrupted("the file was cut short", got_bytes=got_bytes, etag=validator)
    if problem is not None:
        raise problem
    return FetchResult(
        bytes=got_bytes,
        complete=expected is not None or "chunked" in answer.headers.get("Transfer-Encoding", "").lower(),
        etag=validator,
        content_type=answer.headers.get("Content-Type", ""),
    )


def _chunks(answer: BaseHTTPResponse, *, limits: FetchLimits, total: TimeLimit) -> Iterator[bytes]:
    """The body as it arrives. Raises Interrupted or, below the minimum speed or past the total time, TooSlow."""
    since, in_window = time.monotonic(), 0
    while True:
        problem = None
        try:
            chunk = answer.read1(_CHUNK_BYTES, decode_content=False)
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            problem = "no data in time" if is_timeout(error) else "the connection broke"
            chunk = b""
        if total.expired:
            raise TooSlow("the total time was over")
        if problem:
            raise Interrupted(problem)
        if not chunk:
            return
        yield chunk
        in_window += len(chunk)
        elapsed = time.monotonic() - since
        if elapsed >= limits.speed_window_s:
            if in_window < limits.min_bytes_per_s * elapsed:
                raise TooSlow(f"{in_window} bytes in {elapsed:.0f} s")
            since, in_window = time.monotonic(), 0


def _check_status(answer: BaseHTTPResponse, *, start: int) -> None:
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
    """True if a 206 continues where our part of the same file ends, or a 416 says that there is no more."""
    if answer.status == 416:
        return _total_bytes(answer) == start
    match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return match is not None and match[1] is not None and int(match[1]) == start and _validator(answer) in ("", etag)


def _total_bytes(answer: BaseHTTPResponse) -> int | None:
    """The whole file's length by Content-Range, if stated."""
    match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    return int(match[3]) if match and match[3] != "*" else None


def _expected_bytes(answer: BaseHTTPResponse, start: int) -> int | None:
    """The whole file's length, if the answer states it."""
    length = answer.headers.get("Content-Length", "").strip()
    by_length = start + int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    return (_total_bytes(answer) or by_length) if answer.status == 206 else by_length


def _validator(answer: BaseHTTPResponse) -> str:
    """A validator that proves to the next request that the file is the same; weak ETags do not."""
    tag = answer.headers.get("ETag", "").strip()
    if tag.startswith('"'):
        return tag[:200]
    return answer.headers.get("Last-Modified", "").strip()[:40]

"""Downloads one result into a file that the caller has opened, resuming an earlier download where possible."""

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
    """A finished download. `complete` is False if the server gave no length, so that a truncated file is possible."""

    bytes: int
    complete: bool
    etag: str = ""  # identifies this version when resuming: a strong ETag, else Last-Modified
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
    """Write the file at `url` to `into`, which already holds the first `offset` bytes of the version `etag`.

    Without an `etag` the download starts again, because parts of two versions could be mixed. Raises FetchError, or
    OSError if writing to `into` fails (for example on a full disk).
    """
    start = offset if etag else 0
    with TimeLimit(limits.total_s) as total, CheckedClient(limits=limits, allow=allow, tls=tls, total=total) as client:
        try:
            response = _open(client, url, start=start, etag=etag)
        except Interrupted as error:
            error.got_bytes, error.etag = start, etag if start else ""  # the file was not changed
            raise
        if response.status == 416:
            return FetchResult(bytes=start, complete=True, etag=etag)
        return _write_body(response, into=into, start=start, limits=limits, total=total)


def _open(client: CheckedClient, url: str, *, start: int, etag: str) -> BaseHTTPResponse:
    """Request the file, or the part of it that is missing.

    The response has the whole file (200) or exactly the missing part (206), or states that nothing is missing (416).
    """
    response = client.get(url, start=start, etag=etag)
    if start and response.status in (206, 416) and not _is_continuation(response, start=start, etag=etag):
        response = client.get(url, start=0, etag="")
        start = 0
    _check_status(response, start=start)
    return response


def _write_body(
    response: BaseHTTPResponse, *, into: BinaryIO, start: int, limits: FetchLimits, total: TimeLimit
) -> FetchResult:
    got_bytes = start if response.status == 206 else 0
    validator = _validator(response)
    expected = _expected_bytes(response, got_bytes)
    if expected is not None and expected > limits.max_bytes:
        raise TooLarge(f"the file says it has {expected} bytes")
    into.seek(got_bytes)
    into.truncate()
    problem: FetchError | None = None
    chunks = _chunks(response, limits=limits, total=total)
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
        complete=expected is not None or "chunked" in response.headers.get("Transfer-Encoding", "").lower(),
        etag=validator,
        content_type=response.headers.get("Content-Type", ""),
    )


def _chunks(response: BaseHTTPResponse, *, limits: FetchLimits, total: TimeLimit) -> Iterator[bytes]:
    """The body in chunks as they arrive. Raises Interrupted, or TooSlow below the minimum speed or after the total time."""
    window_start, window_bytes = time.monotonic(), 0
    while True:
        problem = None
        try:
            chunk = response.read1(_CHUNK_BYTES, decode_content=False)
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
        window_bytes += len(chunk)
        elapsed = time.monotonic() - window_start
        if elapsed >= limits.speed_window_s:
            if window_bytes < limits.min_bytes_per_s * elapsed:
                raise TooSlow(f"{window_bytes} bytes in {elapsed:.0f} s")
            window_start, window_bytes = time.monotonic(), 0


def _check_status(response: BaseHTTPResponse, *, start: int) -> None:
    """Raise an error for a response without a file, or with a part that was not requested."""
    status = response.status
    if status == 404:
        raise Missing("no such file", status=status)
    if status in (401, 403, 410):
        raise LinkExpired("the link no longer opens", status=status)
    if status != 200 and not (start and status in (206, 416)):
        raise Interrupted(f"HTTP {status}", status=status)
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise Interrupted("the server compressed the file unasked", status=status)


def _is_continuation(response: BaseHTTPResponse, *, start: int, etag: str) -> bool:
    """True if a 206 continues our part of the same file, or a 416 confirms that our part is the whole file."""
    if response.status == 416:
        return _total_bytes(response) == start
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return match is not None and match[1] is not None and int(match[1]) == start and _validator(response) in ("", etag)


def _total_bytes(response: BaseHTTPResponse) -> int | None:
    """The length of the whole file from Content-Range, if stated."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return int(match[3]) if match and match[3] != "*" else None


def _expected_bytes(response: BaseHTTPResponse, start: int) -> int | None:
    """The length of the whole file, if the response states it."""
    length = response.headers.get("Content-Length", "").strip()
    by_length = start + int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    return (_total_bytes(response) or by_length) if response.status == 206 else by_length


def _validator(response: BaseHTTPResponse) -> str:
    """A value by which the next request can ask for this exact version of the file, or "".

    Weak ETags do not identify an exact version and are not used.
    """
    tag = response.headers.get("ETag", "").strip()
    if tag.startswith('"'):
        return tag[:200]
    return response.headers.get("Last-Modified", "").strip()[:40]

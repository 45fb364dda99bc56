"""Makes an API call: sends one request on a new connection and returns the response or one of two errors.

Nothing here retries, follows redirects, keeps cookies or trusts the environment. The errors are:

    Undelivered   no byte of the request was sent: DNS, refused, connect timeout, TLS failure
    ResponseLost  bytes may have been sent, and the response is missing or incomplete: timeout, reset, truncated

What ResponseLost means for a task depends on the call; see `videos.providers.errors`.
"""

import functools
import socket
import ssl
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from videos.providers.http.time_limit import TimedConnection, TimedTLSConnection, TimeLimit

USER_AGENT = "veoapp/0.1 (+self-hosted)"  # kie.ai answers 403 to the default names of HTTP libraries


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds and bytes that one call may take; `total_s` covers everything except name resolution."""

    connect_s: float = 5.0
    read_s: float = 60.0
    total_s: float = 90.0
    body_bytes: int = 1 << 20  # after decompression


@dataclass(frozen=True, kw_only=True)
class ApiResponse:
    """A response. If `truncated`, the body was cut at the limit or could not be decompressed: do not trust it."""

    status: int
    body: bytes
    content_type: str = ""
    truncated: bool = False


class ExchangeError(Exception):
    """There is no response. The text is written here, not by a library, so it contains no header or address."""


class Undelivered(ExchangeError):
    """No byte of the request was sent."""


class ResponseLost(ExchangeError):
    """Bytes may have been sent, and no complete response arrived."""


class Bearer(AuthBase):
    """Puts an API key into the `Authorization` header; its repr does not show the key."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        key = key.strip()
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("an API key is printable ASCII without spaces")
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request

    def __repr__(self) -> str:
        return "Bearer(hidden)"

    def scrub(self, text: str) -> str:
        """`text` without the API key, in case the server repeated the key in its response."""
        return text.replace(self._key, "[key]")


def call(
    method: str,
    url: str,
    *,
    auth: Bearer | None,
    params: Mapping[str, str] | None = None,
    json: Mapping[str, object] | None = None,
    form: Mapping[str, str] | None = None,
    files: Mapping[str, tuple[str, bytes, str]] | None = None,
    limits: Limits,
) -> ApiResponse:
    """Send one request, once; `auth` is None where no key is needed. Raises Undelivered, ResponseLost.

    `files` maps a field name to (file name, content, MIME type).
    """
    headers = {"Accept": "application/json"}
    if files is None:
        headers["Content-Type"] = "application/json"  # kie.ai requires it even on GET
    request = {"params": params, "json": json, "data": form, "files": files, "headers": headers, "auth": auth}
    return _exchange(method, url, request, limits=limits)


def post_bytes(url: str, *, body: bytes, headers: Mapping[str, str], limits: Limits) -> ApiResponse:
    """Post these bytes once to an address that an operator configured. Raises Undelivered, ResponseLost."""
    return _exchange("POST", url, {"data": body, "headers": headers}, limits=limits)


def _exchange(method: str, url: str, request: Mapping[str, Any], *, limits: Limits) -> ApiResponse:
    problem: ExchangeError | None = None
    with TimeLimit(limits.total_s) as time_limit:
        try:
            with (
                _session(time_limit) as session,
                session.request(
                    method,
                    url,
                    **request,
                    timeout=(limits.connect_s, limits.read_s),
                    allow_redirects=False,
                    stream=True,
                ) as http_response,
            ):
                response = _read_response(http_response, limit=limits.body_bytes)
        except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            problem = _classify(error, time_limit)
        if problem is None and time_limit.expired:  # a truncated body without a length looks complete
            problem = ResponseLost("the total time was over")
    if problem is not None:
        # Raised outside the handler, so that the library's error, which holds our headers, is not chained to it.
        raise problem
    return response


def _session(time_limit: TimeLimit) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # ignore proxies, netrc and CA bundles from the environment
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Connection": "close"})
    session.mount("https://", _SingleUseAdapter(time_limit))
    session.mount("http://", _SingleUseAdapter(time_limit))
    return session


class _SingleUseAdapter(HTTPAdapter):
    """Never retries or reuses a connection.

    If a reused connection is reset, it is unknown whether the request was sent.
    """

    def __init__(self, time_limit: TimeLimit) -> None:
        self._time_limit = time_limit
        super().__init__(max_retries=0, pool_connections=1, pool_maxsize=1)

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> Any:
        pool: Any = super().get_connection_with_tls_context(request, verify, proxies, cert)
        connection_class = TimedTLSConnection if pool.scheme == "https" else TimedConnection
        pool.ConnectionCls = functools.partial(connection_class, time_limit=self._time_limit)
        return pool


def _read_response(http_response: requests.Response, *, limit: int) -> ApiResponse:
    """The response with at most `limit` bytes of body, decompressed here so that a zip bomb is cut at the limit."""
    raw = http_response.raw.read(limit + 1, decode_content=False)
    encoding = http_response.headers.get("Content-Encoding", "identity").strip().lower()
    body, complete = _decompress(raw, encoding, limit=limit)
    return ApiResponse(
        status=http_response.status_code,
        body=body[:limit],
        content_type=http_response.headers.get("Content-Type", ""),
        truncated=not complete or len(raw) > limit or len(body) > limit,
    )


def _decompress(raw: bytes, encoding: str, *, limit: int) -> tuple[bytes, bool]:
    """At most `limit` + 1 decompressed bytes, and whether these are the whole body.

    Servers may compress without being asked.
    """
    if encoding in ("", "identity"):
        return raw, True
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return b"", False
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # 32: gzip or zlib, by its header
    try:
        body = inflater.decompress(raw, limit + 1)
    except zlib.error:
        return b"", False
    return body, inflater.eof


def _classify(error: Exception, time_limit: TimeLimit) -> ExchangeError:
    """Undelivered or ResponseLost, depending on the progress of the connection and on the type of the exception."""
    causes = list(_walk_causes(error))
    if time_limit.connected or not (time_limit.tried_to_connect or _is_before_sending(causes)):
        if time_limit.expired:
            return ResponseLost("the total time was over")
        return ResponseLost(_find_phrase(causes, _LOST_PHRASES) or "the connection broke")
    return Undelivered(_find_phrase(causes, _UNDELIVERED_PHRASES) or "no connection")


_Phrases = tuple[tuple[tuple[type[BaseException], ...], str], ...]

_UNDELIVERED_PHRASES: _Phrases = (
    ((socket.gaierror, urllib3.exceptions.NameResolutionError), "the name did not resolve"),
    ((ssl.SSLError, urllib3.exceptions.SSLError, requests.exceptions.SSLError), "TLS failed"),
    ((ConnectionRefusedError,), "connection refused"),
    ((TimeoutError, urllib3.exceptions.TimeoutError, requests.ConnectTimeout), "no connection in time"),
    ((ValueError,), "the address is malformed"),
)

_LOST_PHRASES: _Phrases = (
    ((TimeoutError, urllib3.exceptions.ReadTimeoutError, requests.ReadTimeout), "no answer in time"),
    ((urllib3.exceptions.IncompleteRead, IncompleteRead), "the answer was cut short"),
    ((ConnectionResetError, BrokenPipeError), "the connection was reset"),
    ((RemoteDisconnected,), "the connection was closed without an answer"),
)


def _is_before_sending(causes: list[BaseException]) -> bool:
    """True for errors that are only raised before a byte is sent."""
    return any(
        isinstance(
            cause,
            (
                requests.ConnectTimeout,
                requests.exceptions.SSLError,
                requests.exceptions.InvalidURL,
                requests.exceptions.InvalidSchema,
                requests.exceptions.MissingSchema,
                requests.exceptions.InvalidHeader,
                urllib3.exceptions.NewConnectionError,
                urllib3.exceptions.LocationParseError,
                socket.gaierror,
                ConnectionRefusedError,
            ),
        )
        for cause in causes
    )


def _find_phrase(causes: list[BaseException], phrases: _Phrases) -> str:
    return next((text for kinds, text in phrases if any(isinstance(cause, kinds) for cause in causes)), "")


def _walk_causes(error: BaseException) -> Iterator[BaseException]:
    """The error and every error inside it; libraries wrap the original one in args, reason, cause or context."""
    visited: set[int] = set()
    pending: list[object] = [error]
    while pending:
        current = pending.pop()
        if not isinstance(current, BaseException) or id(current) in visited:
            continue
        visited.add(id(current))
        yield current
        pending += [*current.args, getattr(current, "reason", None), current.__cause__, current.__context__]

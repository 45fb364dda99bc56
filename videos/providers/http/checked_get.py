"""Sends a GET request to an allowed address and follows at most three redirects, checking the address of each.

The host name is resolved once, inside the connection. Every address is checked, and the connection goes to one of them;
TLS and the `Host` header still use the name. So neither DNS rebinding (a name that resolves to another address at the
next look-up) nor a redirect leads to an unchecked address.
"""

import functools
import ipaddress
import socket
import ssl
import urllib.parse
from dataclasses import dataclass
from http.client import HTTPException
from types import TracebackType
from typing import Any, Self

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse

from videos.providers.http.addresses import AllowList, ParsedUrl, check_addresses, parse_url
from videos.providers.http.download_errors import FetchError, ForbiddenAddress, Interrupted, TooSlow
from videos.providers.http.exchange import USER_AGENT
from videos.providers.http.time_limit import TimeLimit

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """Seconds and bytes that one download may take. After a timeout the next download resumes the file."""

    max_bytes: int = 1 << 30
    connect_s: float = 5.0
    read_s: float = 15.0  # maximum time without receiving a byte
    response_s: float = 30.0  # name resolution, connection, TLS and response headers together
    total_s: float = 300.0
    min_bytes_per_s: int = 8 << 10
    speed_window_s: float = 10.0  # the speed is measured over this time


class CheckedClient:
    """Gets a URL, following redirects. The response stays open until the next request or the end of the block."""

    def __init__(self, *, limits: FetchLimits, allow: AllowList, tls: ssl.SSLContext | None, total: TimeLimit) -> None:
        self._response: BaseHTTPResponse | None = None
        self._connection: HTTPConnection | None = None
        self._limits, self._allow, self._tls, self._total = limits, allow, tls or _public_tls(), total

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        # Both are closed, because a response may have taken over the socket of the connection.
        for resource in (self._response, self._connection):
            if resource is not None:
                resource.close()
        self._response = self._connection = None

    def get(self, url: str, *, start: int, etag: str) -> BaseHTTPResponse:
        """The response after redirects, from byte `start` on if the file still has this `etag`. Raises FetchError."""
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": etag}
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._get_once(parse_url(url), headers)
            if response.status not in _REDIRECTS:
                return response
            location = response.headers.get("Location", "")
            if not location:
                raise Interrupted("a redirect to nowhere", status=response.status)
            try:
                url = urllib.parse.urljoin(url, location)
            except ValueError:
                raise ForbiddenAddress("a redirect to a malformed URL") from None
        raise Interrupted("too many redirects")

    def _get_once(self, url: ParsedUrl, headers: dict[str, str]) -> BaseHTTPResponse:
        """The response to one request, which may be a redirect. Raises ForbiddenAddress, Interrupted, TooSlow."""
        self._close()
        problem: FetchError
        with TimeLimit(self._limits.response_s) as response_limit:
            options: dict[str, Any] = {"url": url, "allow": self._allow, "time_limits": (response_limit, self._total)}
            connection_class: type[_CheckedConnection] = _CheckedConnection
            if url.scheme == "https":
                connection_class = _CheckedTLSConnection
                options["ssl_context"] = self._tls
            self._connection = connection = connection_class(
                url.host, url.port, timeout=self._limits.connect_s, **options
            )
            try:
                connection.connect()
                connection.timeout = self._limits.read_s
                connection.request("GET", url.target, headers=headers, preload_content=False, decode_content=False)
                self._response = response = connection.getresponse()
                if not response_limit.expired:
                    return response
                # At the time limit the connection is shut down, and headers cut off by this look complete.
                problem = TooSlow(f"{url} gave no answer in time")
            except ForbiddenAddress as refusal:
                problem = refusal
            except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
                if response_limit.expired or self._total.expired:
                    problem = TooSlow(f"{url} gave no answer in time")
                else:
                    problem = Interrupted(f"{url}: {_describe(error)}")
        # Raised outside the handler: a library's error may hold the URL with its signature.
        raise problem


class _CheckedConnection(HTTPConnection):
    """Connects only to checked addresses, within time limits."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        url: ParsedUrl,
        allow: AllowList,
        time_limits: tuple[TimeLimit, ...],
        **kwargs: Any,
    ) -> None:
        super().__init__(host, port, **kwargs)
        self._url, self._allow, self._time_limits = url, allow, time_limits

    def _new_conn(self) -> socket.socket:
        address_infos = socket.getaddrinfo(self._url.host, self._url.port, type=socket.SOCK_STREAM)
        check_addresses(self._url, (ipaddress.ip_address(sockaddr[0]) for *_, sockaddr in address_infos), self._allow)
        problem = OSError("no address")
        for family, socket_type, protocol, _, sockaddr in address_infos:
            sock = socket.socket(family, socket_type, protocol)
            try:
                sock.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
                for time_limit in self._time_limits:
                    time_limit.guard(sock)
                sock.connect(sockaddr)
            except OSError as error:
                sock.close()
                problem = error
            else:
                return sock
        raise problem


class _CheckedTLSConnection(_CheckedConnection, HTTPSConnection):
    """A _CheckedConnection with TLS; the certificate is checked against the host name of the URL."""


@functools.cache
def _public_tls() -> ssl.SSLContext:
    # Reading the CA bundle takes 20 ms, so it is read once per process.
    return ssl.create_default_context(cafile=certifi.where())


def is_timeout(error: Exception) -> bool:
    """True if the error means that no data arrived in time."""
    return isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError)


def _describe(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "the name did not resolve"
    if isinstance(error, ssl.SSLError | urllib3.exceptions.SSLError):
        return "TLS failed"
    return "no answer in time" if is_timeout(error) else "no connection, or it broke"

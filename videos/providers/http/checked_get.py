"""Brings the answer to a GET from an address that may be fetched from, following at most three checked redirects.

The name is resolved once, inside the connection: every address is checked and one of the checked ones is dialled, with
the name kept for TLS and `Host`. So a name that answers differently the second time gains nothing, nor does a redirect.
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

from videos.providers.http.addresses import AllowList, Place, read_url, vet
from videos.providers.http.download_errors import FetchError, ForbiddenAddress, Interrupted, TooSlow
from videos.providers.http.exchange import USER_AGENT
from videos.providers.http.time_limit import Watch

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 3


@dataclass(frozen=True, kw_only=True)
class FetchLimits:
    """Seconds and bytes that one fetch may take; a longer file is resumed by the next."""

    max_bytes: int = 1 << 30
    connect_s: float = 5.0
    read_s: float = 15.0  # silence on the line
    answer_s: float = 30.0  # name, connection, TLS and the answer's headers together
    total_s: float = 300.0
    least_bytes_per_s: int = 8 << 10
    pace_s: float = 10.0  # the speed is judged over this long


class Line:
    """Asks for URLs until an answer is no redirect; the answer lives until the next question or the block's end."""

    def __init__(self, *, limits: FetchLimits, allow: AllowList, tls: ssl.SSLContext | None, total: Watch) -> None:
        self._answer: BaseHTTPResponse | None = None
        self._connection: HTTPConnection | None = None
        self._limits, self._allow, self._tls, self._total = limits, allow, tls or _public_tls(), total

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    def _hang_up(self) -> None:
        # Both: an answer that ends with its connection has taken the socket over.
        for held in (self._answer, self._connection):
            if held is not None:
                held.close()
        self._answer = self._connection = None

    def ask(self, url: str, *, start: int, etag: str) -> BaseHTTPResponse:
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": etag}
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._ask_once(read_url(url), headers)
            if answer.status not in _REDIRECTS:
                return answer
            where = answer.headers.get("Location", "")
            if not where:
                raise Interrupted("a redirect to nowhere", status=answer.status)
            try:
                url = urllib.parse.urljoin(url, where)
            except ValueError:
                raise ForbiddenAddress("a redirect to a malformed URL") from None
        raise Interrupted("too many redirects")

    def _ask_once(self, place: Place, headers: dict[str, str]) -> BaseHTTPResponse:
        """One answer, redirect or not. Raises ForbiddenAddress, Interrupted, TooSlow."""
        self._hang_up()
        trouble: FetchError
        with Watch(self._limits.answer_s) as early:
            watched: dict[str, Any] = {"place": place, "allow": self._allow, "watches": (early, self._total)}
            kind: type[_CheckedConnection] = _CheckedConnection
            if place.scheme == "https":
                kind = _CheckedTLSConnection
                watched["ssl_context"] = self._tls
            self._connection = connection = kind(place.host, place.port, timeout=self._limits.connect_s, **watched)
            try:
                connection.connect()
                connection.timeout = self._limits.read_s
                connection.request("GET", place.target, headers=headers, preload_content=False, decode_content=False)
                self._answer = answer = connection.getresponse()
                if not early.expired:
                    return answer
                # Headers that were cut off look like headers that ended.
                trouble = TooSlow(f"{place} gave no answer in time")
            except ForbiddenAddress as refusal:
                trouble = refusal
            except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
                if early.expired or self._total.expired:
                    trouble = TooSlow(f"{place} gave no answer in time")
                else:
                    trouble = Interrupted(f"{place}: {_words(error)}")
        # Raised outside the handler: a library's error may hold the URL with its signature.
        raise trouble


class _CheckedConnection(HTTPConnection):
    """Dials only addresses that were checked, and lets watches cut it."""

    def __init__(
        self, host: str, port: int, *, place: Place, allow: AllowList, watches: tuple[Watch, ...], **kwargs: Any
    ) -> None:
        super().__init__(host, port, **kwargs)
        self._place, self._allow, self._watches = place, allow, watches

    def _new_conn(self) -> socket.socket:
        found = socket.getaddrinfo(self._place.host, self._place.port, type=socket.SOCK_STREAM)
        vet(self._place, (ipaddress.ip_address(sockaddr[0]) for *_, sockaddr in found), self._allow)
        problem = OSError("no address")
        for family, kind, protocol, _, sockaddr in found:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
                for watch in self._watches:
                    watch.guard(sock)
                sock.connect(sockaddr)
            except OSError as error:
                sock.close()
                problem = error
            else:
                return sock
        raise problem


class _CheckedTLSConnection(_CheckedConnection, HTTPSConnection):
    """The same with TLS, the certificate checked against the URL's own name."""


@functools.cache
def _public_tls() -> ssl.SSLContext:
    # Reading the bundle takes 20 ms, so once per process.
    return ssl.create_default_context(cafile=certifi.where())


def is_timeout(error: Exception) -> bool:
    """True if the line was silent for too long."""
    return isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError)


def _words(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "the name did not resolve"
    if isinstance(error, ssl.SSLError | urllib3.exceptions.SSLError):
        return "TLS failed"
    return "no answer in time" if is_timeout(error) else "no connection, or it broke"

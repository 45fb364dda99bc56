"""HTTP requests to this machine only, for callbacks and for uploads by URL."""

import http.client
import ipaddress
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

# The errors of `request`, including NotLoopback.
ERRORS = (OSError, ValueError, http.client.HTTPException)


class NotLoopback(ValueError):
    """The address is not on this machine, and the sandbox connects to no other."""


def loopback_address(host: str, port: int) -> str:
    """The IP address to connect to. Raises NotLoopback if the name resolves to any other machine."""
    try:
        addresses = {str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise NotLoopback(f"{host}: {error}") from None
    if not addresses or not all(ipaddress.ip_address(address).is_loopback for address in addresses):
        raise NotLoopback(host)
    return min(addresses, key=lambda address: (":" in address, address))


def request(
    method: str,
    url: str,
    *,
    body: bytes | Iterator[bytes] | None = None,
    headers: dict[str, str] | None = None,
    timeout_s: float,
    read_bytes: int = 65536,
) -> tuple[int, str, bytes]:
    """Status, content type and at most `read_bytes` of the response. A body that is an iterator is sent chunked."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise NotLoopback(f"{parts.scheme or 'no scheme'}: only plain http, to this machine")
    port = parts.port or 80
    connection = http.client.HTTPConnection(loopback_address(parts.hostname, port), port, timeout=timeout_s)
    default_headers = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": "Java-http-client/17"}
    chunked = isinstance(body, Iterator)
    if chunked:
        default_headers["Transfer-Encoding"] = "chunked"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, path, body=body, headers=default_headers | (headers or {}), encode_chunked=chunked)
        response = connection.getresponse()
        content = response.read(read_bytes)
        return response.status, response.headers.get_content_type(), content
    finally:
        connection.close()

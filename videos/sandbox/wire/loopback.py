"""HTTP to this machine and to nobody else: for callbacks, and for images that are uploaded by address."""

import http.client
import ipaddress
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

# What may go wrong with a request, an address that is not loopback included.
ERRORS = (OSError, ValueError, http.client.HTTPException)


class NotLoopback(ValueError):
    """The address is not on this machine; the sandbox calls nobody else."""


def loopback_address(host: str, port: int) -> str:
    """The numeric address to connect to; NotLoopback when the name points anywhere else."""
    try:
        found = {str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise NotLoopback(f"{host}: {error}") from None
    if not found or not all(ipaddress.ip_address(address).is_loopback for address in found):
        raise NotLoopback(host)
    return min(found, key=lambda address: (":" in address, address))


def request(
    method: str,
    url: str,
    *,
    body: bytes | Iterator[bytes] | None = None,
    headers: dict[str, str] | None = None,
    timeout_s: float,
    read_bytes: int = 65536,
) -> tuple[int, str, bytes]:
    """Status, content type and at most so many bytes of the answer. An iterator as body is sent chunked."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise NotLoopback(f"{parts.scheme or 'no scheme'}: only plain http, to this machine")
    port = parts.port or 80
    connection = http.client.HTTPConnection(loopback_address(parts.hostname, port), port, timeout=timeout_s)
    sent = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": "Java-http-client/17"}
    chunked = isinstance(body, Iterator)
    if chunked:
        sent["Transfer-Encoding"] = "chunked"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, path, body=body, headers=sent | (headers or {}), encode_chunked=chunked)
        response = connection.getresponse()
        content = response.read(read_bytes)
        return response.status, response.headers.get_content_type(), content
    finally:
        connection.close()

"""Decides from which URLs a result may be downloaded, by strict URL parsing and a deny list of addresses.

`ipaddress.is_global` is not used: it treats private addresses embedded in NAT64 or 6to4, site-local and
multicast addresses as global. IPv6 is denied except 2000::/3; IPv4 is allowed except the listed networks.
"""

import ipaddress
import re
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Self

import idna

from videos.providers.http.download_errors import ForbiddenAddress

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_DENIED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers; some clouds keep their metadata here
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's wire server
        "169.254.0.0/16",  # link-local; the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# Leaves out ::/8 (unspecified, loopback, IPv4 mapped and compatible), 64:ff9b::/96 and 64:ff9b:1::/48 (NAT64), 100::/64
# (discard), fc00::/7 (unique local), fe80::/10 (link-local), fec0::/10 (site-local), ff00::/8 (multicast).
_PUBLIC_V6 = IPv6Network("2000::/3")
_DENIED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: wraps an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # the old 6bone
        "3fff::/20",  # documentation
    )
)

_FORBIDDEN_CHARS = re.compile(r"[\x00-\x20\x7f\\]")
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
)
_NUMBER_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAX_URL_LENGTH = 4096


def is_public(address: Address) -> bool:
    """True if the address is on the public internet and cannot lead to a private one."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _DENIED_V4)
    if address.scope_id is not None or address not in _PUBLIC_V6:
        return False
    return not any(address in network for network in _DENIED_V6)


@dataclass(frozen=True)
class AllowList:
    """Private hosts and networks from which downloads are allowed, also over plain http and on any port."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a text such as "files.lan, 127.0.0.1, 10.1.0.0/16". Raises ValueError, naming the invalid entry."""
        hosts: set[str] = set()
        networks: list[Network] = []
        for entry in text.replace(",", " ").split():
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]")))
            except ValueError:
                try:
                    hosts.add(_parse_host(entry))
                except ForbiddenAddress:
                    raise ValueError(f"not a host name, an IP address or a CIDR: {entry}") from None
        return cls(frozenset(hosts), tuple(networks))

    def allows_host(self, host: str) -> bool:
        """True if the host is allowed by its name."""
        return host in self.hosts

    def allows_address(self, address: Address) -> bool:
        """True if the address is in an allowed network."""
        return any(address in network for network in self.networks)


@dataclass(frozen=True, kw_only=True)
class ParsedUrl:
    """The parts of one http(s) URL. Only these are used, so that no second parser can interpret it differently."""

    scheme: str
    host: str  # lower case ASCII, without brackets or a trailing dot
    port: int
    target: str  # path and query; never show it, because it may hold a signature

    def __str__(self) -> str:
        """The URL for messages: without path and query."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def is_public_https(self) -> bool:
        """True for https on port 443, the only combination allowed on the public internet."""
        return self.scheme == "https" and self.port == 443


def parse_url(url: str) -> ParsedUrl:
    """The URL's parts. Raises ForbiddenAddress for anything that two parsers might read differently."""
    if len(url) > _MAX_URL_LENGTH or _FORBIDDEN_CHARS.search(url):
        raise ForbiddenAddress("the URL is too long or holds forbidden characters")
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise ForbiddenAddress("the URL is malformed") from None
    if parts.scheme not in ("http", "https"):
        raise ForbiddenAddress("not an http or https URL")
    if "@" in parts.netloc:
        raise ForbiddenAddress("the URL carries a user name")
    if port == 0 or parts.netloc.endswith(":"):
        raise ForbiddenAddress("the URL's port is malformed")
    target = urllib.parse.quote(parts.path or "/", safe="/%!$&'()*+,;=:@~")
    if parts.query:
        target += "?" + urllib.parse.quote(parts.query, safe="/%!$&'()*+,;=:@~?[]|^`{}\"")
    host = _parse_ipv6_literal(parts.netloc) or _parse_host(parts.hostname or "")
    return ParsedUrl(
        scheme=parts.scheme, host=host, port=port or (443 if parts.scheme == "https" else 80), target=target
    )


def check_addresses(url: ParsedUrl, addresses: Iterable[Address], allow: AllowList) -> None:
    """Check that downloading from every address of the host is allowed. Raises ForbiddenAddress."""
    if allow.allows_host(url.host):
        return
    for address in addresses:
        if allow.allows_address(address):
            continue
        if not is_public(address):
            raise ForbiddenAddress(f"{url} leads to {address}, which is not a public address")
        if not url.is_public_https:
            raise ForbiddenAddress(f"{url} is not https on port 443")


def _parse_ipv6_literal(netloc: str) -> str:
    """The address in brackets, or "" if there are none."""
    if not netloc.startswith("["):
        return ""
    inside, _, after = netloc[1:].partition("]")
    if after and not after.startswith(":"):
        raise ForbiddenAddress("the URL's host is malformed")
    try:
        address = IPv6Address(inside)
    except ValueError:
        raise ForbiddenAddress("the URL's host is malformed") from None
    if address.scope_id is not None:
        raise ForbiddenAddress("the URL's host names an interface")
    return str(address)


def _parse_host(text: str) -> str:
    """A host name, or an IPv4 address as four decimal numbers. Raises ForbiddenAddress."""
    host = text.lower()
    if not host.isascii():
        try:
            # Map the name to ASCII first, so that a full-width "127" is recognised as a number.
            host = idna.encode(host, uts46=True).decode("ascii").lower()
        except idna.IDNAError:
            raise ForbiddenAddress("the URL's host is malformed") from None
    host = host.removesuffix(".")
    if not _HOST_NAME.fullmatch(host):
        raise ForbiddenAddress("the URL's host is malformed")
    if _NUMBER_LABEL.fullmatch(host.rpartition(".")[2]):
        # 2130706433, 0x7f.1, 0177.0.0.1 and 127.1 are 127.0.0.1 to some parsers and names to others.
        try:
            IPv4Address(host)
        except ValueError:
            raise ForbiddenAddress("the URL's host is a number in disguise") from None
    return host

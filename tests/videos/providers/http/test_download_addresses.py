"""Downloads connect to checked addresses only, through redirects and TLS as well."""

import datetime
import io
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.videos.providers.http.file_server import ALLOW_LOOPBACK, CONTENT, ETAG, LIMITS, MP4, download, range_server
from tests.videos.providers.loopback import make_http_response, respond_with, serve
from videos.providers.http.addresses import AllowList
from videos.providers.http.download import fetch
from videos.providers.http.download_errors import (
    ForbiddenAddress,
    Interrupted,
)


def fake_resolver(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> list[str]:
    """Make names resolve to these addresses, each time to the next one; returns the list of resolved names."""
    resolved_names: list[str] = []
    original = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host not in names:
            return original(host, port, *args, **kwargs)
        resolved_names.append(host)
        results = names[host]
        addresses = (results.pop(0) if len(results) > 1 else results[0]).split()
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return resolved_names


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "metadata.test", "2130706433", "0x7f.1", "a@127.0.0.1"],
)
def test_f46_a_private_address_is_refused_before_any_connection(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_resolver(monkeypatch, {"metadata.test": ["169.254.169.254"], "localhost": ["127.0.0.1 ::1"]})
    connected: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: connected.append(address))
    for scheme in ("http", "https"):
        with pytest.raises(ForbiddenAddress):
            fetch(f"{scheme}://{host}/v.mp4", into=io.BytesIO(), limits=LIMITS, allow=AllowList())
    assert connected == []


def test_f46_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_resolver(monkeypatch, {"results.test": ["1.1.1.1 10.0.0.1", "1.1.1.1 ::ffff:10.0.0.1", "64:ff9b::a00:1"]})
    connected: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: connected.append(address))
    for _ in range(3):
        with pytest.raises(ForbiddenAddress):
            fetch("https://results.test/v.mp4", into=io.BytesIO(), limits=LIMITS, allow=AllowList())
    assert connected == []


def test_f46_a_name_is_resolved_once_and_the_checked_address_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolved_names = fake_resolver(monkeypatch, {"rebind.test": ["127.0.0.1", "127.0.0.2"]})
    connected: list[Any] = []
    original = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        connected.append(address)
        original(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    with serve(respond_with("200 OK", CONTENT, headers=MP4)) as server:
        url = f"http://rebind.test:{server.port}/v.mp4"
        into = io.BytesIO()
        assert fetch(url, into=into, limits=LIMITS, allow=ALLOW_LOOPBACK).complete
        assert (resolved_names, [address[0] for address in connected]) == (["rebind.test"], ["127.0.0.1"])
        assert f"Host: rebind.test:{server.port}".encode() in server.requests[0]
        with pytest.raises(ForbiddenAddress, match=r"127\.0\.0\.2"):
            fetch(url, into=into, limits=LIMITS, allow=ALLOW_LOOPBACK)
        assert len(connected) == 1


def test_f46_a_name_that_changes_its_address_between_redirects_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_resolver(monkeypatch, {"rebind.test": ["127.0.0.1", "127.0.0.2"]})
    with serve(respond_with("302 Found", headers={"Location": "/again"})) as server:
        with pytest.raises(ForbiddenAddress):
            fetch(f"http://rebind.test:{server.port}/", into=io.BytesIO(), limits=LIMITS, allow=ALLOW_LOOPBACK)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2/", "https://127.0.0.2/", "http://169.254.169.254/latest/meta-data/", "https://10.0.0.1/",
        "//10.0.0.1/x", "http://[::1]/", "http://[::ffff:127.0.0.2]/", "http://[64:ff9b::7f00:1]/", "file:///etc/passwd",
        "ftp://127.0.0.1/", "gopher://127.0.0.1/", "http://2130706433/", "http://0177.0.0.1/", "http://0x7f000001/",
        "http://user@127.0.0.1/", "http://127.0.0.1\\@evil.test/", "http://1.1.1.1/", "https://1.1.1.1:8443/", "http://[",
        "data:video/mp4,x", "javascript:alert(1)", "https://",
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_f46_a_redirect_to_a_forbidden_address_is_refused(location: str, status: int) -> None:
    with serve(respond_with(f"{status} Moved", headers={"Location": location})) as server:
        with pytest.raises(ForbiddenAddress):
            download(server)
        assert len(server.requests) == 1


def test_three_redirects_are_followed_and_a_fourth_is_not() -> None:
    def redirect(sock: socket.socket, request: bytes) -> None:
        remaining = int(request.split(b" ")[1].lstrip(b"/"))
        if remaining:
            sock.sendall(make_http_response("302 Found", headers={"Location": f"/{remaining - 1}"}))
        else:
            sock.sendall(make_http_response("200 OK", CONTENT, headers=MP4))

    with serve(redirect) as server:
        assert download(server, "/3")[1] == CONTENT
        assert len(server.requests) == 4
        with pytest.raises(Interrupted, match="redirects"):
            download(server, "/4")
        with pytest.raises(Interrupted, match="redirects"):
            download(server, "/400")
        assert len(server.requests) == 12


def test_a_redirect_keeps_the_range() -> None:
    def behave(sock: socket.socket, request: bytes) -> None:
        if request.startswith(b"GET /start"):
            sock.sendall(make_http_response("307 Moved", headers={"Location": "/video"}))
        else:
            range_server()(sock, request)

    with serve(behave) as server:
        assert download(server, "/start", into=io.BytesIO(CONTENT[:9]), offset=9, etag=ETAG)[1] == CONTENT
    assert b"Range: bytes=9-" in server.requests[1]


def test_a_redirect_without_a_location_is_an_interruption() -> None:
    with serve(respond_with("302 Found")) as server, pytest.raises(Interrupted, match="nowhere"):
        download(server)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]]:
    """A function that makes the TLS contexts of server and client for a certificate with this name."""

    def contexts(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        folder: Path = tmp_path_factory.mktemp("tls")
        public = certificate.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "both.pem").write_bytes(private + public)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(folder / "both.pem")
        return server, ssl.create_default_context(cadata=public.decode())

    return contexts


def test_the_name_is_kept_for_tls_while_the_checked_address_is_connected_to(
    tls: Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved_names = fake_resolver(monkeypatch, {"results.test": ["127.0.0.1"]})
    server_context, client_context = tls("results.test")
    received_names: list[str | None] = []
    server_context.sni_callback = lambda sock, name, context: received_names.append(name)
    with serve(respond_with("200 OK", CONTENT, headers=MP4), tls=server_context) as server:
        into = io.BytesIO()
        url = f"https://results.test:{server.port}/v.mp4"
        assert fetch(url, into=into, limits=LIMITS, allow=ALLOW_LOOPBACK, tls=client_context).complete
    assert (into.getvalue(), received_names, resolved_names) == (CONTENT, ["results.test"], ["results.test"])


def test_a_certificate_of_another_name_or_an_unknown_issuer_is_refused(
    tls: Callable[[str], tuple[ssl.SSLContext, ssl.SSLContext]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_resolver(monkeypatch, {"results.test": ["127.0.0.1"]})
    server_context, client_context = tls("other.test")
    with serve(respond_with("200 OK", CONTENT), tls=server_context) as server:
        url = f"https://results.test:{server.port}/v.mp4"
        with pytest.raises(Interrupted, match="TLS"):
            fetch(url, into=io.BytesIO(), limits=LIMITS, allow=ALLOW_LOOPBACK, tls=client_context)
        with pytest.raises(Interrupted, match="TLS"):
            fetch(url, into=io.BytesIO(), limits=LIMITS, allow=ALLOW_LOOPBACK)
        assert server.requests == []

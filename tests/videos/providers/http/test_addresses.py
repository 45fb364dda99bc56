"""Where results may be downloaded from: many ways to write a private address, and the public ones."""

import ipaddress

import pytest

from videos.providers.http.addresses import AllowList, check_addresses, is_public, parse_url
from videos.providers.http.download_errors import ForbiddenAddress

ALLOW_NONE = AllowList()

PRIVATE = [
    # IPv4, with the edges of each block
    "0.0.0.0", "0.1.2.3", "10.0.0.0", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255",
    "127.0.0.1", "127.0.0.53", "127.255.255.255", "168.63.129.16", "169.254.0.1", "169.254.169.254", "169.254.170.2",
    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1",
    "192.88.99.1", "192.168.0.1", "192.168.255.255", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.254", "255.255.255.255",
    # IPv6
    "::", "::1", "::2", "::7f00:1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1", "100::1",
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
    "2002:a00:1::1", "2002:7f00:1::", "2002:808:808::1", "2620:4f:8000::1", "3ffe::1", "3fff::1", "4000::1", "5f00::1",
    "fc00::1", "fd00:ec2::254", "fd12:3456:789a::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "feff::1",
    "ff00::1", "ff02::1", "ff0e::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
]  # fmt: skip

PUBLIC = ["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
          "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255",
          "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:200::1", "2001:4860:4860::8888",
          "2003::1", "2400:cb00::1", "2606:4700::1111", "2a00:1450::1"]  # fmt: skip


@pytest.mark.parametrize("text", PRIVATE)
def test_f46_private_reserved_and_embedding_addresses_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))
    with pytest.raises(ForbiddenAddress):
        check_addresses(parse_url("https://results.test/v.mp4"), [ipaddress.ip_address(text)], ALLOW_NONE)


@pytest.mark.parametrize("text", PUBLIC)
def test_f46_public_addresses_are_public_up_to_the_edge_of_each_block(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))
    check_addresses(parse_url("https://results.test/v.mp4"), [ipaddress.ip_address(text)], ALLOW_NONE)


def test_f46_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    addresses = [ipaddress.ip_address(text) for text in ("1.1.1.1", "2606:4700::1111", "10.0.0.1")]
    with pytest.raises(ForbiddenAddress, match=r"10\.0\.0\.1"):
        check_addresses(parse_url("https://results.test/"), addresses, ALLOW_NONE)


DISGUISED = [
    "https://2130706433/", "https://017700000001/", "https://0x7f000001/", "https://0x7f.0x0.0x0.0x1/",
    "https://0177.0.0.1/", "https://127.1/", "https://127.0.1/", "https://10.1/", "https://0/", "https://127.0.0.01/",
    "https://127.0.0.1.1/", "https://256.256.256.256/", "https://1.2.3.4.0x7f/", "https://0x/", "https://127.0.0.0x1/",
    "https://１２７.１/", "https://2130706433./", "https://0X7F000001/", "https://evil.test.0177/", "https://3232235777/",
]  # fmt: skip

MALFORMED = [
    "", "results.test/v.mp4", "//results.test/v.mp4", "/v.mp4", "https://", "https:///v.mp4", "https://:443/",
    "file:///etc/passwd", "ftp://results.test/", "gopher://results.test/", "data:video/mp4;base64,AAAA",
    "javascript:alert(1)", "https:results.test", "HTTPS//results.test", "s3://bucket/key", "unix:///run/x.sock",
    "https://user@results.test/", "https://user:pass@results.test/", "https://results.test@127.0.0.1/",
    "https://@results.test/", "https://results.test:0/", "https://results.test:/", "https://results.test:99999/",
    "https://results.test:-1/", "https://results.test:abc/", "https://results.test:443:80/",
    "https://results.test\\@127.0.0.1/", "https:\\\\127.0.0.1/", "https://127.0.0.1\\.results.test/",
    "https://results.test/a b", "https://results.test/\r\nHost: evil", "https://results.test/\tx",
    "https://results.test/\x00", " https://results.test/", "https://results.test/\x7f", "https://res\nults.test/",
    "https://results..test/", "https://.results.test/", "https://results.test../", "https://-/", "https://a-.test/",
    "https://res%75lts.test/", "https://127.0.0.1%00.results.test/", "https://[::1/", "https://::1/", "https://[]/",
    "https://[127.0.0.1]/", "https://[::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[v1.x]/", "https://[::1]x/",
    "https://" + "a" * 64 + ".test/", "https://" + "a." * 127 + "test/", "https://results.test/" + "a" * 4100,
    "https://℀.test/", "https://ü..test/", "https://ev!l.test/", "https://results.test?x@y:z\\", "https://*.test/",
]  # fmt: skip


@pytest.mark.parametrize("url", DISGUISED + MALFORMED)
def test_f46_urls_that_parsers_might_read_differently_are_refused(url: str) -> None:
    with pytest.raises(ForbiddenAddress):
        parse_url(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://results.test/v/a.mp4?sig=a%2Fb&x=1", "results.test", 443, "/v/a.mp4?sig=a%2Fb&x=1"),
        ("https://RESULTS.test./v", "results.test", 443, "/v"),
        ("https://results.test", "results.test", 443, "/"),
        ("https://results.test?x", "results.test", 443, "/?x"),
        ("https://results.test/a#b", "results.test", 443, "/a"),
        ("http://results.test:8001/a", "results.test", 8001, "/a"),
        ("HTTPS://results.test/", "results.test", 443, "/"),
        ("https://bücher.test/ü", "xn--bcher-kva.test", 443, "/%C3%BC"),
        ("https://results。test/", "results.test", 443, "/"),
        ("https://１.1.1.1/", "1.1.1.1", 443, "/"),
        ("https://[2606:4700:0::1111]:443/", "2606:4700::1111", 443, "/"),
        ("https://a_b.r2.cloudflarestorage.com/", "a_b.r2.cloudflarestorage.com", 443, "/"),
        ("https://results.test/@x:y", "results.test", 443, "/@x:y"),
        ("https://results.test/%2e%2e/x", "results.test", 443, "/%2e%2e/x"),
    ],
)
def test_a_plain_url_is_split_into_its_parts(url: str, host: str, port: int, target: str) -> None:
    parsed = parse_url(url)
    assert (parsed.host, parsed.port, parsed.target) == (host, port, target)


def test_a_parsed_url_does_not_show_path_and_query() -> None:
    assert "secret" not in str(parse_url("https://results.test/v.mp4?X-Amz-Signature=secret"))


@pytest.mark.parametrize("url", ["http://results.test/", "https://results.test:8443/", "http://results.test:443/",
                                 "https://results.test:22/"])  # fmt: skip
def test_f46_public_hosts_are_fetched_only_over_https_on_port_443(url: str) -> None:
    with pytest.raises(ForbiddenAddress, match="443"):
        check_addresses(parse_url(url), [ipaddress.ip_address("1.1.1.1")], ALLOW_NONE)


# The allow list of the operator.


def test_the_allow_list_is_parsed() -> None:
    allow = AllowList.parse(" files.lan, 127.0.0.1,10.1.0.0/16 [::1] fd00::/8, FILES2.lan. ")
    assert allow.hosts == {"files.lan", "files2.lan"}
    assert [str(network) for network in allow.networks] == ["127.0.0.1/32", "10.1.0.0/16", "::1/128", "fd00::/8"]
    assert AllowList.parse("") == AllowList.parse(" , ") == ALLOW_NONE


@pytest.mark.parametrize("text", ["http://files.lan", "files.lan:80", "10.1.2.3/16", "*", "a b/c", "10.0.0.0/33"])
def test_an_invalid_entry_of_the_allow_list_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="not a host name"):
        AllowList.parse(text)


@pytest.mark.parametrize(
    ("url", "address", "is_allowed"),
    [
        ("http://127.0.0.1:8001/v", "127.0.0.1", True),
        ("https://127.0.0.1/v", "127.0.0.1", True),
        ("http://localhost:8001/v", "127.0.0.1", True),
        ("http://127.0.0.2:8001/v", "127.0.0.2", False),
        ("http://files.lan:9000/v", "192.168.1.5", True),
        ("http://other.lan:9000/v", "192.168.1.5", False),
        ("http://10.1.2.3/v", "10.1.2.3", True),
        ("http://10.2.2.3/v", "10.2.2.3", False),
        ("http://evil.test:80/v", "10.1.0.1", True),  # allowed because of its address
        ("http://[::1]:80/v", "::1", False),
        ("http://[::1]:80/v", "::ffff:127.0.0.1", False),
    ],
)
def test_allowed_hosts_may_use_http_and_any_port(url: str, address: str, is_allowed: bool) -> None:
    allow = AllowList.parse("127.0.0.1, files.lan, 10.1.0.0/16")
    if is_allowed:
        check_addresses(parse_url(url), [ipaddress.ip_address(address)], allow)
    else:
        with pytest.raises(ForbiddenAddress):
            check_addresses(parse_url(url), [ipaddress.ip_address(address)], allow)


def test_an_allowed_and_a_public_address_together_are_not_fetched_over_http() -> None:
    addresses = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("1.1.1.1")]
    with pytest.raises(ForbiddenAddress):
        check_addresses(parse_url("http://mixed.test/"), addresses, AllowList.parse("127.0.0.1"))


def test_f46_there_are_at_least_140_test_addresses() -> None:
    assert len(set(PRIVATE)) + len(set(DISGUISED)) + len(set(MALFORMED)) >= 140

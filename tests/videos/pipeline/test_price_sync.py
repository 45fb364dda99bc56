"""`sync_prices` against the sandbox's feed over real HTTP, and against malformed feeds."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from billing.common.item_names import Item
from billing.models import Alert, Price, PriceProposal
from billing.pricing import prices
from tests.sandbox import SandboxProcess
from tests.videos.providers.loopback import Loopback
from videos.pipeline import price_sync
from videos.providers import errors
from videos.providers.http.exchange import USER_AGENT, Limits
from videos.providers.kie.prices import PAGE_SIZE, FeedPrice, parse_items, parse_prices, read_prices

pytestmark = pytest.mark.django_db
FAST = {"model": "veo3_fast", "resolution": "720p", "kind": "generate"}
LISTED = 24


def sync(*options: str) -> tuple[int, str]:
    """Run the command; returns its exit code and output."""
    output = StringIO()
    with pytest.raises(SystemExit) as exit_error:
        call_command("sync_prices", *options, stdout=output)
    return int(exit_error.value.code or 0), output.getvalue()


def fast_price() -> tuple[Decimal, int]:
    """The current prices of a Fast video, in provider credits and in user credits."""
    quote = prices.get_quote(model="veo3_fast", resolution="720p")
    return quote.provider_credits, quote.user_credits


# Against the sandbox


def test_a_list_equal_to_the_feed_has_no_differences(at_sandbox: SandboxProcess) -> None:
    code, text = sync()
    assert code == 0
    assert "not in the feed" not in text
    assert text.splitlines()[-1] == f"{LISTED} as listed, 0 applied, 0 different"
    assert not PriceProposal.objects.exists()


def test_a_difference_is_shown_and_proposed(at_sandbox: SandboxProcess) -> None:
    at_sandbox.prices(veo3_fast_720p="37.5")
    code, text = sync()
    assert code == 1
    head, *rows, last = text.splitlines()
    assert head.split()[:3] == ["ITEM", "OURS", "FEED"]
    assert [row.split()[:6] for row in rows] == [
        ["veo3_fast", "720p", "generate", "60", "37.5", "-22.5"],
        ["veo3_fast", "720p", "reference", "60", "37.5", "-22.5"],
    ]
    assert "+0.0000 US$ (0 %)  +0.1125 US$ (38 %)" in rows[0]
    assert last == f"{LISTED - 2} as listed, 0 applied, 2 different"
    proposal = PriceProposal.objects.get(**FAST)
    assert (proposal.listed, proposal.seen, proposal.source, proposal.state) == (60, Decimal("37.5"), "feed", "open")
    assert fast_price() == (60, 60)


def test_apply_adds_prices_from_now_on_and_user_prices_stay(at_sandbox: SandboxProcess) -> None:
    at_sandbox.prices(veo3_fast_720p="37.5", extend_quality=200)
    sync()
    code, text = sync("--apply")
    assert (code, text.splitlines()[-1]) == (0, f"{LISTED - 3} as listed, 3 applied, 0 different")
    assert fast_price() == (Decimal("37.5"), 60)
    assert Price.objects.filter(**FAST).count() == 2, "the former price is kept"
    assert set(PriceProposal.objects.values_list("state", flat=True)) == {"applied"}
    assert not Alert.objects.filter(kind="price_changed", resolved_at=None).exists()
    code, text = sync("--apply")
    assert (code, text) == (0, f"{LISTED} as listed, 0 applied, 0 different\n")
    assert Price.objects.filter(**FAST).count() == 2


def test_a_margin_that_turns_negative_is_reported(at_sandbox: SandboxProcess) -> None:
    at_sandbox.prices(veo3_fast_720p=90)
    assert "BELOW COST" in sync()[1]
    sync("--apply")
    assert fast_price() == (90, 60)
    assert "veo3_fast 720p generate" in Alert.objects.filter(kind="negative_margin").values_list("cause", flat=True)


def test_absurd_prices_are_refused_unless_forced(at_sandbox: SandboxProcess) -> None:
    at_sandbox.prices(veo3_fast_720p="600.5")
    code, text = sync("--apply")
    assert code == 1
    assert "looks like a mistake" in text
    assert fast_price() == (60, 60)
    assert not PriceProposal.objects.exists(), "a mistake is not proposed"
    assert sync("--apply", "--force")[0] == 0
    assert fast_price() == (Decimal("600.5"), 60)


def test_a_price_of_zero_is_refused_even_when_forced(at_sandbox: SandboxProcess) -> None:
    at_sandbox.prices(veo3_fast_720p=0)
    code, text = sync("--apply", "--force")
    assert code == 1
    assert "cannot be a price" in text
    assert fast_price() == (60, 60)


def test_a_proposal_is_withdrawn_once_the_prices_agree_again(at_sandbox: SandboxProcess) -> None:
    at_sandbox.prices(veo3_fast_720p=30)
    sync()
    at_sandbox.prices(veo3_fast_720p=60)
    assert sync()[0] == 0
    assert set(PriceProposal.objects.values_list("state", flat=True)) == {"dismissed"}
    assert not Alert.objects.filter(kind="price_changed", resolved_at=None).exists()


def test_json_has_the_same_content(at_sandbox: SandboxProcess) -> None:
    at_sandbox.prices(veo3_fast_720p="37.5")
    code, text = sync("--format", "json")
    content = json.loads(text)
    assert (code, content["applied"], len(content["lines"])) == (1, 0, LISTED)
    (line,) = [entry for entry in content["lines"] if {name: entry[name] for name in FAST} == FAST]
    assert line | FAST == line
    assert (line["ours_provider_credits"], line["feed_provider_credits"]) == ("60.0000", "37.5")
    assert (line["differs"], line["absurd"], line["user_credits"]) == (True, False, 60)
    assert line["margin_usd_then"] == "0.1125"


def test_items_not_sold_here_or_missing_in_the_feed_are_no_differences(at_sandbox: SandboxProcess) -> None:
    Price.objects.filter(**FAST).delete()
    Price.objects.create(model="veo9", resolution="8k", provider_credits=1, user_credits=1)
    code, text = sync()
    assert code == 0
    assert [row.split()[:3] for row in text.splitlines()[1:-1]] == [["veo9", "8k", "generate"]]
    assert "not in the feed" in text
    comparisons = price_sync.compare()
    assert [comparison.item for comparison in comparisons if comparison.notes == ("not sold here",)] == [Item(**FAST)]
    assert price_sync.apply(comparisons, force=True) == ([], [])


def test_force_needs_apply(at_sandbox: SandboxProcess) -> None:
    with pytest.raises(CommandError) as error:
        call_command("sync_prices", "--force")
    assert error.value.returncode == 2


def test_without_a_key_the_feed_is_at_the_base_url_of_the_settings(settings: Settings) -> None:
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    assert price_sync.feed_url() == settings.KIE_AI_BASE_URL


# Malformed feeds


@pytest.fixture
def feed(settings: Settings) -> Iterator[Callable[[bytes], Loopback]]:
    """Serves exactly these bytes as the provider's feed."""
    servers: list[Loopback] = []

    def serve(response: bytes) -> Loopback:
        server = Loopback(lambda sock, _: sock.sendall(response))
        servers.append(server)
        settings.KIE_AI_API_KEY, settings.KIE_AI_BASE_URL = "a-key-of-ours", server.url
        return server

    yield serve
    for server in servers:
        server.close()


def http_response(body: bytes, status: str = "200 OK", length: int | None = None, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n{headers}\r\n"
    return head.encode() + body


def page(rows: list[Any], **fields: Any) -> bytes:
    return json.dumps({"code": 200, "data": {"records": rows, **fields}}).encode()


def row(description: str, price: Any = "60", **fields: Any) -> dict[str, Any]:
    return {"modelDescription": description, "creditPrice": price, "creditUnit": "per video", **fields}


@pytest.mark.parametrize(
    "response",
    [
        http_response(b"<html>502 Bad Gateway</html>"),
        http_response(b"<html>sorry</html>", "500 Internal Server Error"),
        http_response(page([]), "500 Internal Server Error"),
        http_response(page([row("Google veo 3.1, text-to-video, Fast")])[:40], length=4000),
        http_response(page([row("Google veo 3.1, text-to-video, Fast")])[:-20]),
        http_response(b""),
        http_response(b"[]"),
        http_response(b'{"code": 200, "data": null}'),
        http_response(page([])),
        http_response(page([None, "row", row("Runway gen-4"), {"creditPrice": "1"}])),
        http_response(b'{"code": 500, "msg": "maintenance"}'),
        http_response(b"", "302 Found", headers="Location: http://127.0.0.1:9/elsewhere\r\n"),
        http_response(b" " * (1 << 20) + page([])),
        b"",
    ],
)
def test_a_feed_that_cannot_be_read_is_an_error_and_changes_nothing(
    feed: Callable[[bytes], Loopback], response: bytes
) -> None:
    server = feed(response)
    before = Price.objects.count()
    with pytest.raises(CommandError, match="The price feed at") as error:
        call_command("sync_prices", "--apply", stdout=StringIO())
    assert error.value.returncode == 2
    assert Price.objects.count() == before
    assert len(server.requests) == 1, "one request, and no redirect is followed"


def test_the_feed_is_requested_without_a_key(feed: Callable[[bytes], Loopback]) -> None:
    server = feed(http_response(page([row("Google veo 3.1, text-to-video, Fast, 720p")])))
    sync()
    (request,) = server.requests
    assert request.startswith(b"POST /client/v1/model-pricing/page ")
    assert USER_AGENT.encode() in request
    assert b"a-key-of-ours" not in request
    assert b"uthorization" not in request


def test_a_slow_feed_times_out() -> None:
    silent = Loopback(lambda sock, _: time.sleep(1))
    with closing(silent), pytest.raises(errors.NoAnswer, match="no answer in time"):
        read_prices(silent.url, limits=Limits(read_s=0.3, total_s=5))


def test_missing_rows_are_reported_and_the_others_are_used(feed: Callable[[bytes], Loopback]) -> None:
    feed(http_response(page([row("Google veo 3.1, text-to-video, Fast, 720p", "30")])))
    code, text = sync("--apply")
    assert code == 0
    assert text.count("not in the feed") == LISTED - 1
    assert fast_price() == (30, 60)


def test_every_page_of_the_feed_is_read() -> None:
    pages = [
        page([row("Google veo 3.1, text-to-video, Fast")], pages=2),
        page([row("Google veo 3.1, Extend, Lite", "30")], pages=2),
    ]
    served = iter(pages)
    with closing(Loopback(lambda sock, _: sock.sendall(http_response(next(served))))) as server:
        assert len(read_prices(server.url)) == 2
        assert [
            f'"pageNum": {number}'.encode() in request for number, request in zip((1, 2), server.requests, strict=True)
        ]
        assert f'"pageSize": {PAGE_SIZE}'.encode() in server.requests[0]


def test_rows_are_parsed_as_the_provider_writes_them() -> None:
    assert parse_items("Google veo 3.1, image-to-video, Quality, 4K") == (("veo3", "4k", "generate"),)
    assert parse_items("Google Veo 3.1, reference-to-video, Fast") == (("veo3_fast", "720p", "reference"),)
    assert parse_items("Google veo 3.1, Extend, Lite") == (("veo3_lite", "720p", "extend"),)
    assert [item[0] for item in parse_items("Google veo 3.1, get 4k video")] == ["veo3", "veo3_fast", "veo3_lite"]
    assert parse_items("Google veo 3.1, get-1080p-video")[0][1:] == ("1080p", "1080p")
    for other in ("Google veo 2, Fast", "Kling 3.1, Fast", "Google veo 3.1, text-to-video, Turbo", ""):
        assert parse_items(other) == ()


@pytest.mark.parametrize(
    ("rows", "price", "note"),
    [
        ([row("veo 3.1 fast", "60", usdPrice="0.30")], "60", ""),
        ([row("veo 3.1 fast", " 37.5 ", usdPrice="$0,1875", creditUnit="per vedio")], "37.5", ""),
        ([row("veo 3.1 fast", "380", usdPrice="1.85")], "380", "the row's US$ 1.85 are 370 credits"),
        ([row("veo 3.1 fast", "60"), row("veo 3.1 fast", "80")], "80", "rows disagree: 60 and 80"),
        ([row("veo 3.1 fast", 60, usdPrice="free")], "60", ""),
        ([row("veo 3.1 fast", "-5")], "-5", ""),
    ],
)
def test_rows_with_a_clear_price_are_read_although_unusual(rows: list[dict[str, Any]], price: str, note: str) -> None:
    (feed_price,) = parse_prices(rows).values()
    assert feed_price == FeedPrice(Decimal(price), (note,) if note else ())


@pytest.mark.parametrize(
    "unclear_row",
    [row("veo 3.1 fast", "sixty"), row("veo 3.1 fast", creditUnit="per second"), row("veo 3.1 fast", None)],
)
def test_rows_without_a_clear_price_are_left_out(unclear_row: dict[str, Any]) -> None:
    assert parse_prices([unclear_row]) == {}

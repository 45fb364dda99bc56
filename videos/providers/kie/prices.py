"""kie.ai's public price feed (https://kie.ai/pricing): what one video costs, parsed from manually written rows.

Prices are strings, units are misspelt, the US$ price of a row may disagree with its credits, and two rows may have the
same item. Rows that cannot be parsed are left out; `notes` says what was unusual in the others.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from videos.providers import errors
from videos.providers.http import exchange
from videos.providers.kie.codes import Call, effective_code, make_error
from videos.providers.kie.replies import Envelope, parse_envelope
from videos.providers.kie.values import as_mapping, clean_text, read_credits, read_int

# No user waits for this call, so it may take longer than others.
LIMITS = exchange.Limits(read_s=20.0, total_s=30.0)
PATH = "/client/v1/model-pricing/page"
PAGE_SIZE, MAX_PAGES = 100, 20
USD_PER_CREDIT = Decimal("0.005")

MODELS = {"quality": "veo3", "fast": "veo3_fast", "lite": "veo3_lite"}
_VEO = re.compile(r"\bveo\s*-?\s*3(\.1)?\b")
_MODEL = re.compile(r"\b(quality|fast|lite)\b")
_RESOLUTION = re.compile(r"\b(720p|1080p|4k)\b")
_UPSCALE = re.compile(r"\b(?:get|upgrade|upscale)\b.*?\b(1080p|4k)\b")
_PER_VIDEO = re.compile(r"per\s+v", re.IGNORECASE)  # "per video", "per vedio"

# (model, resolution, kind) as in our own price list.
Item = tuple[str, str, str]


@dataclass(frozen=True)
class FeedPrice:
    """What one video costs in provider credits, and what was unusual in the rows of the feed that say so."""

    provider_credits: Decimal
    notes: tuple[str, ...] = ()


def read_prices(base_url: str, *, limits: exchange.Limits = LIMITS) -> dict[Item, FeedPrice]:
    """Request every Veo 3.1 price in the feed; needs no key. Raises NoAnswer, also if the feed has no such price."""
    prices = parse_prices(_read_rows(base_url.rstrip("/"), limits))
    if not prices:
        raise errors.NoAnswer("the feed has no price of Veo 3.1")
    return prices


def parse_prices(rows: Iterable[Mapping[str, object]]) -> dict[Item, FeedPrice]:
    """The prices in the rows of the feed, by item. If rows disagree, the higher price counts."""
    prices: dict[Item, FeedPrice] = {}
    for row in rows:
        description = row.get("modelDescription")
        items = parse_items(description) if isinstance(description, str) else ()
        price = _parse_price(row) if items else None
        if price is None:
            continue
        for item in items:
            prices[item] = _merge_prices(prices[item], price) if item in prices else price
    return prices


def parse_items(description: str) -> tuple[Item, ...]:
    """The items that a description names, e.g. `Google veo 3.1, image-to-video, Fast, 1080p`; none for other products."""
    text = description.lower()
    if not _VEO.search(text):
        return ()
    upscale = _UPSCALE.search(text)
    if upscale:
        return tuple((model, upscale[1], upscale[1]) for model in MODELS.values())
    model_name, resolution = _MODEL.search(text), _RESOLUTION.search(text)
    if not model_name:
        return ()
    kind = "extend" if "extend" in text else "reference" if "reference" in text else "generate"
    return ((MODELS[model_name[1]], resolution[1] if resolution else "720p", kind),)


def _read_rows(base_url: str, limits: exchange.Limits) -> list[Mapping[str, object]]:
    rows: list[Mapping[str, object]] = []
    for number in range(1, MAX_PAGES + 1):
        data = as_mapping(_read_page(base_url, number, limits).data)
        records = data.get("records")
        if not isinstance(records, list):
            raise errors.NoAnswer("the feed has no rows")
        rows += [as_mapping(record) for record in records]
        if not records or number >= (read_int(data.get("pages")) or 1):
            break
    return rows


def _read_page(base_url: str, number: int, limits: exchange.Limits) -> Envelope:
    body = {"pageNum": number, "pageSize": PAGE_SIZE, "modelDescription": "", "interfaceType": "video"}
    try:
        response = exchange.call("POST", base_url + PATH, auth=None, json=body, limits=limits)
    except exchange.ExchangeError as error:
        raise errors.NoAnswer(str(error)) from None
    envelope = parse_envelope(response, scrub=str)
    if effective_code(envelope) != 200:
        raise make_error(envelope, call=Call.FREE)
    return envelope


def _parse_price(row: Mapping[str, object]) -> FeedPrice | None:
    if not _PER_VIDEO.match(str(row.get("creditUnit") or "per video").strip()):
        return None
    value = row.get("creditPrice")
    price = read_credits(value.strip() if isinstance(value, str) else value, negative=True)
    if price is None:
        return None
    notes = []
    usd = str(row.get("usdPrice") or "").strip().lstrip("$").replace(",", ".")
    in_usd = read_credits(usd)
    if in_usd is not None and in_usd != price * USD_PER_CREDIT:
        notes.append(f"the row's US$ {clean_text(usd, scrub=str, limit=20)} are {in_usd / USD_PER_CREDIT:f} credits")
    return FeedPrice(price, tuple(notes))


def _merge_prices(first: FeedPrice, second: FeedPrice) -> FeedPrice:
    notes = [*first.notes, *second.notes]
    if first.provider_credits != second.provider_credits:
        low, high = sorted((first.provider_credits, second.provider_credits))
        notes.append(f"rows disagree: {low:f} and {high:f}")
    return FeedPrice(max(first.provider_credits, second.provider_credits), tuple(dict.fromkeys(notes)))

"""kie.ai's public price feed (https://kie.ai/pricing): what one video costs, read from rows that people write by hand.

Prices are texts, units are misspelt, the US$ of a row may disagree with its credits, and two rows may name one item. Each
such row is read as far as it is clear, and `notes` says what was odd; what is not clear is left out.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from videos.providers import errors
from videos.providers.http import exchange
from videos.providers.kie.codes import Call, error_for, meaning_of
from videos.providers.kie.replies import Envelope, open_envelope
from videos.providers.kie.values import amount, mapping, plain, whole

# A question about prices is asked by a person or a nightly job: it may wait a little, not long.
LIMITS = exchange.Limits(read_s=20.0, total_s=30.0)
PATH = "/client/v1/model-pricing/page"
PAGE_SIZE, MOST_PAGES = 100, 20
USD_PER_CREDIT = Decimal("0.005")

MODELS = {"quality": "veo3", "fast": "veo3_fast", "lite": "veo3_lite"}
_VEO = re.compile(r"\bveo\s*-?\s*3(\.1)?\b")
_MODEL = re.compile(r"\b(quality|fast|lite)\b")
_RESOLUTION = re.compile(r"\b(720p|1080p|4k)\b")
_UPSCALE = re.compile(r"\b(?:get|upgrade|upscale)\b.*?\b(1080p|4k)\b")
_PER_VIDEO = re.compile(r"per\s+v", re.IGNORECASE)  # "per video", "per vedio"

# (model, resolution, kind) as our own price list writes them.
Item = tuple[str, str, str]


@dataclass(frozen=True)
class FeedPrice:
    """Provider credits of one video, and what was odd about the rows that say so."""

    provider_credits: Decimal
    notes: tuple[str, ...] = ()


def read_prices(base_url: str, *, limits: exchange.Limits = LIMITS) -> dict[Item, FeedPrice]:
    """Every Veo 3.1 price of the feed; asks without a key. Raises NoAnswer, also when there is not one."""
    prices = prices_in(_rows(base_url.rstrip("/"), limits))
    if not prices:
        raise errors.NoAnswer("the feed has no price of Veo 3.1")
    return prices


def prices_in(rows: Iterable[Mapping[str, object]]) -> dict[Item, FeedPrice]:
    """What rows of the feed say about items of ours. Of rows that disagree the dearer one counts."""
    found: dict[Item, FeedPrice] = {}
    for row in rows:
        description = row.get("modelDescription")
        items = items_of(description) if isinstance(description, str) else ()
        price = _price(row) if items else None
        if price is None:
            continue
        for item in items:
            found[item] = _dearer(found[item], price) if item in found else price
    return found


def items_of(description: str) -> tuple[Item, ...]:
    """Which items of ours a row speaks of: `Google veo 3.1, image-to-video, Fast, 1080p`. None for other products."""
    words = description.lower()
    if not _VEO.search(words):
        return ()
    upscale = _UPSCALE.search(words)
    if upscale:
        return tuple((model, upscale[1], upscale[1]) for model in MODELS.values())
    named, resolution = _MODEL.search(words), _RESOLUTION.search(words)
    if not named:
        return ()
    kind = "extend" if "extend" in words else "reference" if "reference" in words else "generate"
    return ((MODELS[named[1]], resolution[1] if resolution else "720p", kind),)


def _rows(base_url: str, limits: exchange.Limits) -> list[Mapping[str, object]]:
    rows: list[Mapping[str, object]] = []
    for number in range(1, MOST_PAGES + 1):
        data = mapping(_ask(base_url, number, limits).data)
        records = data.get("records")
        if not isinstance(records, list):
            raise errors.NoAnswer("the feed has no rows")
        rows += [mapping(record) for record in records]
        if not records or number >= (whole(data.get("pages")) or 1):
            break
    return rows


def _ask(base_url: str, number: int, limits: exchange.Limits) -> Envelope:
    body = {"pageNum": number, "pageSize": PAGE_SIZE, "modelDescription": "", "interfaceType": "video"}
    try:
        answer = exchange.call("POST", base_url + PATH, auth=None, json=body, limits=limits)
    except exchange.Trouble as trouble:
        raise errors.NoAnswer(str(trouble)) from None
    envelope = open_envelope(answer, scrub=str)
    if meaning_of(envelope) != 200:
        raise error_for(envelope, call=Call.FREE)
    return envelope


def _price(row: Mapping[str, object]) -> FeedPrice | None:
    if not _PER_VIDEO.match(str(row.get("creditUnit") or "per video").strip()):
        return None
    said = row.get("creditPrice")
    price = amount(said.strip() if isinstance(said, str) else said, negative=True)
    if price is None:
        return None
    notes = []
    usd = str(row.get("usdPrice") or "").strip().lstrip("$").replace(",", ".")
    in_usd = amount(usd)
    if in_usd is not None and in_usd != price * USD_PER_CREDIT:
        notes.append(f"the row's US$ {plain(usd, scrub=str, limit=20)} are {in_usd / USD_PER_CREDIT:f} credits")
    return FeedPrice(price, tuple(notes))


def _dearer(one: FeedPrice, other: FeedPrice) -> FeedPrice:
    notes = [*one.notes, *other.notes]
    if one.provider_credits != other.provider_credits:
        cheap, dear = sorted((one.provider_credits, other.provider_credits))
        notes.append(f"rows disagree: {cheap:f} and {dear:f}")
    return FeedPrice(max(one.provider_credits, other.provider_credits), tuple(dict.fromkeys(notes)))

"""The prices of kie.ai on 2026-06-09 in provider credits, and its public price feed with its typical mistakes."""

from decimal import Decimal
from typing import Any

from videos.sandbox.wire.messages import number

USD_PER_CREDIT = Decimal("0.005")

_RESOLUTIONS = ("720p", "1080p", "4k")
_GENERATE = {"veo3": (250, 255, 370), "veo3_fast": (60, 65, 180), "veo3_lite": (30, 35, 150)}
_OTHERS = {"extend:fast": 60, "extend:quality": 250, "extend:lite": 30, "upgrade:1080p": 5, "upgrade:4k": 120}
# `model:resolution` for generate, `extend:model`, `upgrade:resolution`. Prices are per video of any duration.
PRICES = {
    f"{model}:{resolution}": Decimal(price)
    for model, prices in _GENERATE.items()
    for resolution, price in zip(_RESOLUTIONS, prices, strict=True)
} | {item: Decimal(price) for item, price in _OTHERS.items()}
_NAMES = {"veo3": "Quality", "veo3_fast": "Fast", "veo3_lite": "Lite"}


def feed(prices: dict[str, Decimal]) -> list[dict[str, Any]]:
    """Rows of the public feed: prices are strings, and some rows have a misspelt unit or a decimal comma."""
    return [_row(name, price) for item, price in prices.items() for name in _descriptions(item)]


def _descriptions(item: str) -> list[str]:
    first, second = item.split(":")
    if first == "extend":
        return [f"Google veo 3.1, Extend, {second.title()}"]
    if first == "upgrade":
        return [f"Google veo 3.1, get {second} video"]
    inputs = ["text-to-video", "image-to-video"] + ["reference-to-video"] * (first != "veo3")
    return [f"Google veo 3.1, {input_kind}, {_NAMES[first]}, {second}" for input_kind in inputs]


def _row(description: str, price: Decimal) -> dict[str, Any]:
    whole, _, cents = f"{price * USD_PER_CREDIT:.3f}".rstrip("0").partition(".")
    usd, unit = f"{whole}.{cents:0<2}", "per video"
    if "image-to-video" in description and "1080p" in description:
        unit, usd = "per vedio", usd.replace(".", ",")
    # In the real feed this row has 380 credits, but the US$ of 370.
    shown = price + 10 if description.endswith("text-to-video, Quality, 4k") else price
    return {
        "modelDescription": description,
        "interfaceType": "video",
        "provider": "Google",
        "creditPrice": str(number(shown)),
        "creditUnit": unit,
        "usdPrice": usd,
        "falPrice": "",
        "discountRate": 0,
        "anchor": "https://kie.ai/veo-3-1",
    }

"""What kie.ai asked on 2026-06-09, in provider credits, and its public price feed with the feed's own sloppiness."""

import threading
from decimal import Decimal
from typing import Any

USD_PER_CREDIT = Decimal("0.005")

# `model:resolution` for generate, `extend:model`, `upgrade:resolution`. Per video; the duration never mattered.
LIST = {
    "veo3:720p": Decimal(250),
    "veo3:1080p": Decimal(255),
    "veo3:4k": Decimal(370),
    "veo3_fast:720p": Decimal(60),
    "veo3_fast:1080p": Decimal(65),
    "veo3_fast:4k": Decimal(180),
    "veo3_lite:720p": Decimal(30),
    "veo3_lite:1080p": Decimal(35),
    "veo3_lite:4k": Decimal(150),
    "extend:fast": Decimal(60),
    "extend:quality": Decimal(250),
    "extend:lite": Decimal(30),
    "upgrade:1080p": Decimal(5),
    "upgrade:4k": Decimal(120),
}
_NAMES = {
    "veo3": "Quality",
    "veo3_fast": "Fast",
    "veo3_lite": "Lite",
    "fast": "Fast",
    "quality": "Quality",
    "lite": "Lite",
}


class Prices:
    """The price list of one sandbox; a test may edit it while clients are at work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._credits = dict(LIST)

    def of(self, item: str) -> Decimal:
        with self._lock:
            return self._credits[item]

    def edit(self, changes: dict[str, Decimal]) -> None:
        """Set prices; KeyError names an item that is not on the list."""
        for item in changes:
            if item not in LIST:
                raise KeyError(item)
        with self._lock:
            self._credits.update(changes)

    def all(self) -> dict[str, Decimal]:
        with self._lock:
            return dict(self._credits)

    def feed(self) -> list[dict[str, Any]]:
        """Rows of the public feed: prices are strings, some rows misspell their unit or their decimal point."""
        rows = []
        for item, amount in self.all().items():
            first, second = item.split(":")
            if first == "extend":
                kinds = [f"Google veo 3.1, Extend, {_NAMES[second]}"]
            elif first == "upgrade":
                kinds = [f"Google veo 3.1, get {second} video"]
            else:
                ways = ["text-to-video", "image-to-video"]
                if first != "veo3":
                    ways.append("reference-to-video")
                kinds = [f"Google veo 3.1, {way}, {_NAMES[first]}, {second}" for way in ways]
            rows += [_row(kind, amount) for kind in kinds]
        return rows


def _row(description: str, amount: Decimal) -> dict[str, Any]:
    usd = f"{amount * USD_PER_CREDIT:.3f}".rstrip("0")
    usd += "0" * max(0, 2 - len(usd.partition(".")[2]))
    unit = "per video"
    if "image-to-video" in description and "1080p" in description:
        unit, usd = "per vedio", usd.replace(".", ",")
    # The feed's text row of Quality at 4K really said 380 credits beside the dollars of 370.
    shown = amount + 10 if description.endswith("text-to-video, Quality, 4k") else amount
    return {
        "modelDescription": description,
        "interfaceType": "video",
        "provider": "Google",
        "creditPrice": _plain(shown),
        "creditUnit": unit,
        "usdPrice": usd,
        "falPrice": "",
        "discountRate": 0,
        "anchor": "https://kie.ai/veo-3-1",
    }


def _plain(amount: Decimal) -> str:
    return str(int(amount)) if amount == int(amount) else f"{amount.normalize():f}"

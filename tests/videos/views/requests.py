"""Requests to the users' pages, as browsers send them."""

from typing import Any

HTMX_HEADERS = {"HX-Request": "true"}


def studio_form(**changes: Any) -> dict[str, Any]:
    """The fields of the studio's form as a browser sends them."""
    return {
        "key": "key-of-this-form",
        "mode": "text",
        "prompt": "Paper boats drift down a rain-lit street",
        "model": "veo3_fast",
        "aspect_ratio": "9:16",
        "resolution": "720p",
        "duration_s": "8",
        "seed": "",
        "watermark": "",
        "enable_translation": "on",
        "seen_price": "60",
        **changes,
    }

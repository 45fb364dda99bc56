"""The account's credits, and the public price feed."""

import math

from videos.sandbox.sandbox import Sandbox
from videos.sandbox.state.prices import feed
from videos.sandbox.wire.messages import INTERNAL, Reply, Request, envelope, number, success
from videos.sandbox.wire.validation import Invalid, parse_body


def credit(box: Sandbox, _request: Request) -> Reply:
    if order := box.faults.strikes("credit-http"):
        return envelope(int(order.number(500)), INTERNAL, status=int(order.number(500)))
    return success(number(box.state.balance))


def pricing_page(box: Sandbox, request: Request) -> Reply:
    """A page of the public price feed; it needs no key."""
    try:
        body = parse_body(request)
        page, size = max(1, int(body.get("pageNum") or 1)), min(100, max(1, int(body.get("pageSize") or 10)))
    except (Invalid, TypeError, ValueError):
        return envelope(422, "The request body is not valid")
    search, kind = str(body.get("modelDescription") or "").lower(), str(body.get("interfaceType") or "video")
    rows = [row for row in feed(box.state.prices) if search in row["modelDescription"].lower() and kind == "video"]
    records, pages = rows[(page - 1) * size : page * size], math.ceil(len(rows) / size)
    return success({"records": records, "total": len(rows), "size": size, "current": page, "pages": pages})


def pricing_count(box: Sandbox, _request: Request) -> Reply:
    return success([{"interfaceType": "video", "count": len(feed(box.state.prices))}])

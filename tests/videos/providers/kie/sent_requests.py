"""The JSON body of the last request."""

import json
from typing import Any

import responses


def sent_json() -> dict[str, Any]:
    body = responses.calls[-1].request.body
    assert body is not None
    value = json.loads(body)
    assert isinstance(value, dict)
    return value

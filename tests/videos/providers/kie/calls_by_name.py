"""Every call of the client by name, and a function that returns the error it raises."""

import json
from collections.abc import Callable

import pytest
import responses

from tests.videos.providers.kie_replies import (
    CREDIT,
    EXTEND,
    GENERATE,
    HD,
    LINK,
    RECORD,
    TASK,
    UHD,
    make_request,
)
from videos.providers.errors import (
    ProviderError,
)
from videos.providers.kie.client import Kie

CALLS: dict[str, tuple[tuple[str, str], Callable[[Kie], object]]] = {
    "generate": (GENERATE, lambda kie: kie.submit(make_request())),
    "extend": (EXTEND, lambda kie: kie.extend(TASK, prompt="and then")),
    "1080p": (HD, lambda kie: kie.upscale_1080p(TASK)),
    "4k": (UHD, lambda kie: kie.upscale_4k(TASK)),
    "record-info": (RECORD, lambda kie: kie.report(TASK)),
    "credit": (CREDIT, lambda kie: kie.balance()),
    "download-url": (LINK, lambda kie: kie.fresh_url("https://tempfile.aiquickdraw.com/v/x.mp4")),
}


def catch_error(kie: Kie, name: str, body: object, *, status: int = 200) -> ProviderError:
    """The error that a call raises for this response; checks that exactly one request was sent."""
    (method, url), call = CALLS[name]
    with responses.RequestsMock() as mock:
        mock.add(
            method,
            url,
            body=body if isinstance(body, str | bytes) else json.dumps(body),
            status=status,
            content_type="application/json;charset=UTF-8",
        )
        with pytest.raises(ProviderError) as caught:
            call(kie)
        assert len(mock.calls) == 1
    return caught.value

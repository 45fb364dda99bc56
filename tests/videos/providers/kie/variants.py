"""A report from a given body, and the `response` part of a record."""

import json

import responses

from tests.videos.providers.kie_replies import (
    RECORD,
    TASK,
    VIDEO,
)
from videos.providers.base import Report
from videos.providers.kie.client import Kie


def read_report(kie: Kie, body: object, *, status: int = 200) -> Report:
    with responses.RequestsMock() as mock:
        mock.add(
            RECORD[0],
            RECORD[1],
            body=body if isinstance(body, str) else json.dumps(body),
            status=status,
            content_type="application/json;charset=UTF-8",
        )
        return kie.report(TASK)


def make_response(**changes: object) -> dict[str, object]:
    fields: dict[str, object] = {"taskId": TASK, "resultUrls": [VIDEO], "resolution": "720p"}
    return {key: value for key, value in (fields | changes).items() if value is not ...}

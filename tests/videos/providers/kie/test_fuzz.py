"""Whatever kie.ai responds, a call returns a valid value or raises one of its documented errors."""

import json
from collections.abc import Callable
from typing import TypeVar
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.videos.providers.conftest import API, KEY, UPLOADS
from tests.videos.providers.kie_replies import TASK, VIDEO, make_record, make_request
from videos.providers.base import Report, ReportState
from videos.providers.errors import AccessDenied, NoAnswer, NotSent, OutOfCredits, ProviderError, Refused, Unconfirmed
from videos.providers.http.exchange import ApiResponse
from videos.providers.kie.client import Kie

T = TypeVar("T")
KIE = Kie(KEY, API, UPLOADS)

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        [TASK, VIDEO, f"[{VIDEO}]", json.dumps([VIDEO]), "SUCCESS", "1", "success", 1776728214000, 3, KEY]
    )
)
names = st.sampled_from(
    [
        "code",
        "msg",
        "message",
        "data",
        "taskId",
        "task_id",
        "recordId",
        "info",
        "response",
        "successFlag",
        "status",
        "state",
        "resultUrls",
        "resultUrl",
        "resultJson",
        "videoUrl",
        "errorCode",
        "errorMessage",
        "createTime",
        "completeTime",
        "creditsConsumed",
        "paramJson",
        "hasAudioList",
        "seeds",
        "resolution",
        "success",
        "downloadUrl",
    ]
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=8), max_leaves=30
)
codes = st.sampled_from([200, 200, 200, 400, 401, 402, 404, 422, 429, 433, 451, 455, 500, 501, 505]) | leaves
envelopes = st.fixed_dictionaries({"code": codes, "data": values}, optional={"msg": leaves, "taskId": leaves})
bodies = envelopes.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60)
api_responses = st.builds(
    ApiResponse,
    status=st.sampled_from([200] * 6 + [302, 400, 403, 429, 500, 505]),
    body=bodies,
    truncated=st.booleans(),
)


PAID = (NotSent, Refused, Unconfirmed)
FREE = (NoAnswer, OutOfCredits, AccessDenied)


def call_or_none(call: Callable[[], T], errors: tuple[type[ProviderError], ...]) -> T | None:
    """The result, or None if one of these errors is raised; any other error, or one that shows the key, fails the test."""
    try:
        return call()
    except errors as error:
        message = repr(error)
    assert KEY not in message
    return None


@settings(max_examples=150, deadline=None)
@given(api_responses)
def test_a_paid_call_returns_an_id_or_raises_an_error_of_paid_calls(response: ApiResponse) -> None:
    with patch("videos.providers.http.exchange.call", return_value=response):
        for task_id in (
            call_or_none(lambda: KIE.submit(make_request()), PAID),
            call_or_none(lambda: KIE.extend(TASK, prompt="x"), PAID),
        ):
            assert task_id is None or 1 <= len(task_id) <= 160
        for report in (
            call_or_none(lambda: KIE.upscale_1080p(TASK), PAID),
            call_or_none(lambda: KIE.upscale_4k(TASK), PAID),
        ):
            assert report is None or report.ready == report.url.startswith("http")


@settings(max_examples=150, deadline=None)
@given(api_responses)
def test_a_free_call_returns_a_value_or_raises_an_error_of_free_calls(response: ApiResponse) -> None:
    with patch("videos.providers.http.exchange.call", return_value=response):
        report = call_or_none(lambda: KIE.report(TASK), FREE)
        if report is not None:
            check_report(report)
        balance = call_or_none(KIE.balance, FREE)
        assert balance is None or balance.is_finite()
        for url in (
            call_or_none(lambda: KIE.fresh_url(VIDEO), FREE),
            call_or_none(lambda: KIE.upload(b"x", file_name="x.png", mime_type="image/png"), FREE),
            call_or_none(lambda: KIE.upload_url(VIDEO, file_name="x.mp4"), FREE),
        ):
            assert url is None or url.startswith(("http://", "https://"))


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(names, values, max_size=10))
@example({"createTime": 10**400, "creditsConsumed": 10**400, "errorCode": 10**400, "seeds": [10**400]})
def test_any_change_to_a_good_record_still_gives_a_report(changes: dict[str, object]) -> None:
    body = json.dumps(make_record(**changes)).encode()
    with patch("videos.providers.http.exchange.call", return_value=ApiResponse(status=200, body=body)):
        check_report(KIE.report(TASK))


def check_report(report: Report) -> None:
    assert isinstance(report, Report)
    assert report.provider_task_id == TASK
    assert all(url.startswith(("http://", "https://")) for url in report.result_urls)
    assert (report.reason is not None) == (report.state is ReportState.FAILED)
    assert report.provider_credits is None or report.provider_credits >= 0
    assert KEY not in report.error_message + report.error_code + report.resolution
    for moment in (report.created_at, report.completed_at):
        assert moment is None or moment.tzinfo is not None

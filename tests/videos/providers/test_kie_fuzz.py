"""Whatever kie.ai answers, a call ends in its own kind of value or in its own branch of the error tree."""

import json
from decimal import Decimal
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.videos.providers.conftest import API, KEY, UPLOADS
from tests.videos.providers.wire import TASK, VIDEO, a_request, record
from videos.providers.base import Report, ReportState, UpscaleReport
from videos.providers.errors import AccessDenied, NoAnswer, NotSent, OutOfCredits, Refused, Unconfirmed
from videos.providers.http import Answer
from videos.providers.kie import Kie

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
    ["code", "msg", "message", "data", "taskId", "task_id", "recordId", "info", "response", "successFlag", "status"]
    + ["state", "resultUrls", "resultUrl", "resultJson", "videoUrl", "errorCode", "errorMessage", "createTime"]
    + ["completeTime", "creditsConsumed", "paramJson", "hasAudioList", "seeds", "resolution", "success", "downloadUrl"]
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=8), max_leaves=30
)
codes = st.sampled_from([200, 200, 200, 400, 401, 402, 404, 422, 429, 433, 451, 455, 500, 501, 505]) | leaves
envelopes = st.fixed_dictionaries({"code": codes, "data": values}, optional={"msg": leaves, "taskId": leaves})
bodies = envelopes.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60)
answers = st.builds(
    Answer, status=st.sampled_from([200] * 6 + [302, 400, 403, 429, 500, 505]), body=bodies, truncated=st.booleans()
)


@settings(max_examples=300, deadline=None)
@given(answers)
def test_a_paid_call_ends_in_an_id_or_in_a_paid_calls_errors(answer: Answer) -> None:
    with patch("videos.providers.http.call", return_value=answer):
        for ask in (lambda: KIE.submit(a_request()), lambda: KIE.extend(TASK, prompt="x")):
            try:
                assert 1 <= len(ask()) <= 160
            except (NotSent, Refused, Unconfirmed) as error:
                assert KEY not in str(error)
        for upscale in (KIE.upscale_1080p, KIE.upscale_4k):
            try:
                report = upscale(TASK)
            except (NotSent, Refused, Unconfirmed):
                continue
            assert isinstance(report, UpscaleReport)
            assert report.ready == report.url.startswith("http")


@settings(max_examples=300, deadline=None)
@given(answers)
def test_a_free_call_ends_in_a_value_or_in_a_free_calls_errors(answer: Answer) -> None:
    with patch("videos.providers.http.call", return_value=answer):
        try:
            report = KIE.report(TASK)
        except (NoAnswer, OutOfCredits, AccessDenied) as error:
            assert KEY not in str(error)
        else:
            check(report)
        try:
            balance = KIE.balance()
        except (NoAnswer, OutOfCredits, AccessDenied):
            pass
        else:
            assert isinstance(balance, Decimal)
            assert balance.is_finite()
        for ask in (
            lambda: KIE.fresh_url(VIDEO),
            lambda: KIE.upload(b"x", file_name="x.png", mime_type="image/png"),
            lambda: KIE.upload_url(VIDEO, file_name="x.mp4"),
        ):
            try:
                assert ask().startswith(("http://", "https://"))
            except (NoAnswer, OutOfCredits, AccessDenied):
                pass


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(names, values, max_size=10))
@example({"createTime": 10**400, "creditsConsumed": 10**400, "errorCode": 10**400, "seeds": [10**400]})
def test_any_change_to_a_good_record_is_still_a_report(changes: dict[str, object]) -> None:
    body = json.dumps(record(**changes)).encode()
    with patch("videos.providers.http.call", return_value=Answer(status=200, body=body)):
        check(KIE.report(TASK))


def check(report: Report) -> None:
    assert isinstance(report, Report)
    assert report.provider_task_id == TASK
    assert all(url.startswith(("http://", "https://")) for url in report.result_urls)
    assert (report.reason is not None) == (report.state is ReportState.FAILED)
    assert report.provider_credits is None or report.provider_credits >= 0
    assert KEY not in report.error_message + report.error_code + report.resolution
    for moment in (report.created_at, report.completed_at):
        assert moment is None or moment.tzinfo is not None

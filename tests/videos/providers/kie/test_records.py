"""Every known variant of a record is read: state, URLs, cost, and the labels of unusual values."""

import json
from datetime import UTC, datetime

import pytest
import responses

from tests.videos.providers.kie.variants import make_response, read_report
from tests.videos.providers.kie_replies import (
    GENERATE,
    OTHER,
    TASK,
    VIDEO,
    add_response,
    make_envelope,
    make_record,
    make_request,
)
from videos.providers.base import Report, ReportState
from videos.providers.kie.client import Kie

SECOND = "https://tempfile.aiquickdraw.com/v/5f7d4e0f1db5110a8ec06bac53fe16d7_1764992097.mp4"


def test_the_recorded_success_is_read_in_full_without_oddities(kie: Kie) -> None:
    assert read_report(kie, make_record()) == Report(
        provider_task_id=TASK,
        state=ReportState.SUCCEEDED,
        result_urls=(VIDEO,),
        resolution="720p",
        has_audio=True,
        seeds=(61668,),
        prompt="A lighthouse at dusk",
        created_at=datetime(2026, 4, 20, 23, 36, 54, tzinfo=UTC),
        completed_at=datetime(2026, 4, 20, 23, 37, 55, tzinfo=UTC),
        oddities=(),
    )


def test_the_second_recorded_success_lacks_a_key_and_has_no_oddities(kie: Kie) -> None:
    report = read_report(kie, make_record(response=make_response(seeds=[56896], hasAudioList=[True])))
    assert (report.state, report.result_urls, report.oddities) == (ReportState.SUCCEEDED, (VIDEO,), ())


@pytest.mark.parametrize("empty", [None, ..., {}])
def test_a_generating_task_has_no_response_yet(kie: Kie, empty: object) -> None:
    report = read_report(kie, make_record(successFlag=0, response=empty, completeTime=None))
    assert (report.state, report.result_urls, report.completed_at) == (ReportState.GENERATING, (), None)
    assert report.oddities == ()


@responses.activate
@pytest.mark.parametrize(
    "body",
    [
        make_envelope(data={"taskId": OTHER}),
        make_envelope(data={"task_id": OTHER}),
        make_envelope(data={"recordId": OTHER}),
        {"code": 200, "msg": "success", "taskId": OTHER},
        {"code": 200, "msg": "success", "data": None, "taskId": OTHER},
        {"code": "200", "message": "success", "data": {"taskId": OTHER, "recordId": OTHER}},
        make_envelope(data={"taskId": OTHER, "seeds": [1]}),
    ],
)
def test_the_new_id_is_read_from_every_known_field(kie: Kie, body: object) -> None:
    add_response(GENERATE, body)
    assert kie.submit(make_request()) == OTHER


STATES: list[tuple[dict[str, object], ReportState]] = [
    ({"successFlag": 0}, ReportState.GENERATING),
    ({"successFlag": 1}, ReportState.SUCCEEDED),
    ({"successFlag": 2}, ReportState.FAILED),
    ({"successFlag": 3}, ReportState.FAILED),
    ({"successFlag": "0"}, ReportState.GENERATING),
    ({"successFlag": "1"}, ReportState.SUCCEEDED),
    ({"successFlag": "2"}, ReportState.FAILED),
    ({"successFlag": "3"}, ReportState.FAILED),
    ({"successFlag": 1.0}, ReportState.SUCCEEDED),
    ({"status": "GENERATING"}, ReportState.GENERATING),
    ({"status": "SUCCESS"}, ReportState.SUCCEEDED),
    ({"status": "CREATE_TASK_FAILED"}, ReportState.FAILED),
    ({"status": "GENERATE_FAILED"}, ReportState.FAILED),
    ({"status": "failed"}, ReportState.FAILED),
    ({"state": "waiting"}, ReportState.GENERATING),
    ({"state": "queuing"}, ReportState.GENERATING),
    ({"state": "generating"}, ReportState.GENERATING),
    ({"state": "success"}, ReportState.SUCCEEDED),
    ({"state": "fail"}, ReportState.FAILED),
]


@pytest.mark.parametrize(("changes", "state"), STATES, ids=[str(row[0]) for row in STATES])
def test_the_state_is_read_in_every_spelling(kie: Kie, changes: dict[str, object], state: ReportState) -> None:
    assert read_report(kie, make_record(**({"successFlag": ...} | changes))).state is state


@pytest.mark.parametrize(
    "changes",
    [{"successFlag": 4}, {"successFlag": -1}, {"successFlag": "done"}, {"successFlag": True}, {"successFlag": [1]},
     {"successFlag": 1.5}, {"successFlag": {}}, {"successFlag": 10**30}, {"status": "EXPIRED"}, {"state": 7}, {}],
)  # fmt: skip
def test_f35_an_unknown_state_is_unclear_and_noted_as_odd(kie: Kie, changes: dict[str, object]) -> None:
    report = read_report(kie, make_record(**({"successFlag": ...} | changes)))
    assert report.state is ReportState.UNCLEAR
    assert {"flag_unknown", "status_unknown", "no_verdict"} & set(report.oddities)


def test_the_flag_takes_precedence_over_a_status(kie: Kie) -> None:
    assert read_report(kie, make_record(successFlag=0, status="SUCCESS")).state is ReportState.GENERATING


URL_FIELDS: list[tuple[str, dict[str, object]]] = [
    ("response.resultUrls", {}),
    ("data.resultUrls", {"response": None, "resultUrls": json.dumps([VIDEO])}),
    ("data.resultUrls array", {"response": None, "resultUrls": [VIDEO]}),
    ("response.resultUrls text", {"response": make_response(resultUrls=json.dumps([VIDEO]))}),
    ("data.resultJson", {"response": None, "resultJson": json.dumps({"resultUrls": [VIDEO]})}),
    ("data.resultJson object", {"response": None, "resultJson": {"resultUrls": [VIDEO]}}),
    ("data.videoUrl", {"response": None, "videoUrl": VIDEO}),
    ("data.info.resultUrls", {"response": None, "info": {"resultUrls": [VIDEO]}}),
    ("data.info.result_urls", {"response": None, "info": {"result_urls": [VIDEO]}}),
    ("data.result_urls", {"response": None, "result_urls": [VIDEO]}),
    ("fullResultUrls only", {"response": make_response(resultUrls=None, fullResultUrls=[VIDEO])}),
    ("originUrls only", {"response": make_response(resultUrls=[], originUrls=[VIDEO])}),
]


@pytest.mark.parametrize(("name", "changes"), URL_FIELDS, ids=[row[0] for row in URL_FIELDS])
def test_the_urls_are_read_from_every_known_field(kie: Kie, name: str, changes: dict[str, object]) -> None:
    report = read_report(kie, make_record(**changes))
    assert report.result_urls == (VIDEO,)
    assert bool(report.oddities) == (name != "response.resultUrls")


ENCODINGS: list[tuple[object, tuple[str, ...]]] = [
    ([VIDEO], (VIDEO,)),
    ([VIDEO, SECOND], (VIDEO, SECOND)),
    (json.dumps([VIDEO]), (VIDEO,)),
    (f"[{VIDEO}]", (VIDEO,)),
    (f"[{VIDEO},{SECOND}]", (VIDEO, SECOND)),
    (f"[{VIDEO}, {SECOND}]", (VIDEO, SECOND)),
    (f"['{VIDEO}']", (VIDEO,)),
    (VIDEO, (VIDEO,)),
    (f" {VIDEO} ", (VIDEO,)),
    (json.dumps(VIDEO), (VIDEO,)),
    (f"[{VIDEO}?a=1,2]", (f"{VIDEO}?a=1,2",)),
    (None, ()),
    ([], ()),
    ("", ()),
    ("[]", ()),
    ("null", ()),
    ([None], ()),
    ([""], ()),
    ([5, {}, VIDEO], (VIDEO,)),
    ([VIDEO, VIDEO], (VIDEO,)),
    ({"url": VIDEO}, ()),
    (5, ()),
    ("javascript:alert(1)", ()),
    (["file:///etc/passwd"], ()),
    ("[" * 50_000, ()),
]


@pytest.mark.parametrize(("value", "urls"), ENCODINGS, ids=[str(row[0])[:40] for row in ENCODINGS])
def test_a_url_list_is_read_in_every_encoding(kie: Kie, value: object, urls: tuple[str, ...]) -> None:
    report = read_report(kie, make_record(response=make_response(resultUrls=value)))
    assert report.result_urls == urls
    assert report.state is ReportState.SUCCEEDED
    assert ("success_without_urls" in report.oddities) == (not urls)


@pytest.mark.parametrize("value", [None, [], "", "[]", "null", ...])
def test_f34_a_success_without_urls_is_not_a_failure(kie: Kie, value: object) -> None:
    report = read_report(kie, make_record(response=make_response(resultUrls=value)))
    assert (report.state, report.result_urls) == (ReportState.SUCCEEDED, ())
    assert report.reason is None
    assert "success_without_urls" in report.oddities


def test_the_result_is_preferred_to_the_joined_and_the_original_video(kie: Kie) -> None:
    report = read_report(kie, make_record(response=make_response(fullResultUrls=[SECOND], originUrls=[SECOND])))
    assert report.result_urls == (VIDEO,)
    assert report.full_result_urls == (SECOND,)


def test_too_many_urls_are_bounded(kie: Kie) -> None:
    report = read_report(kie, make_record(response=make_response(resultUrls=[f"{VIDEO}?{n}" for n in range(1000)])))
    assert len(report.result_urls) == 16
    assert "urls_unreadable" in report.oddities

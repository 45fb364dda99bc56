"""Section 8 of the protocol notes: every variant seen on the wire is accepted, row by row, and says what was odd."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import responses

from tests.videos.providers.wire import (
    GENERATE,
    LINK,
    OTHER,
    RECORD,
    TASK,
    UHD,
    VIDEO,
    a_request,
    answers,
    envelope,
    record,
)
from videos.providers.base import CallbackHint, RefusalReason, Report, ReportState
from videos.providers.errors import AccessDenied, NoAnswer, NotVisible, ProviderError
from videos.providers.kie.client import Kie, parse_callback

SECOND = "https://tempfile.aiquickdraw.com/v/5f7d4e0f1db5110a8ec06bac53fe16d7_1764992097.mp4"


def told(kie: Kie, body: object, *, status: int = 200) -> Report:
    with responses.RequestsMock() as mock:
        mock.add(
            RECORD[0],
            RECORD[1],
            body=body if isinstance(body, str) else json.dumps(body),
            status=status,
            content_type="application/json;charset=UTF-8",
        )
        return kie.report(TASK)


def hint(body: object) -> CallbackHint:
    return parse_callback(json.dumps(body).encode(), "application/json")


def response(**changes: object) -> dict[str, object]:
    fields: dict[str, object] = {"taskId": TASK, "resultUrls": [VIDEO], "resolution": "720p"}
    return {key: value for key, value in (fields | changes).items() if value is not ...}


def test_the_recorded_success_is_read_in_full_and_is_not_odd(kie: Kie) -> None:
    assert told(kie, record()) == Report(
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


def test_the_second_recorded_success_lacks_a_key_and_is_not_odd(kie: Kie) -> None:
    report = told(kie, record(response=response(seeds=[56896], hasAudioList=[True])))
    assert (report.state, report.result_urls, report.oddities) == (ReportState.SUCCEEDED, (VIDEO,), ())


@pytest.mark.parametrize("empty", [None, ..., {}])
def test_a_task_in_the_making_has_no_response_yet(kie: Kie, empty: object) -> None:
    report = told(kie, record(successFlag=0, response=empty, completeTime=None))
    assert (report.state, report.result_urls, report.completed_at) == (ReportState.GENERATING, (), None)
    assert report.oddities == ()


# Row: task id in the create reply.


@responses.activate
@pytest.mark.parametrize(
    "body",
    [
        envelope(data={"taskId": OTHER}),
        envelope(data={"task_id": OTHER}),
        envelope(data={"recordId": OTHER}),
        {"code": 200, "msg": "success", "taskId": OTHER},
        {"code": 200, "msg": "success", "data": None, "taskId": OTHER},
        {"code": "200", "message": "success", "data": {"taskId": OTHER, "recordId": OTHER}},
        envelope(data={"taskId": OTHER, "seeds": [1]}),
    ],
)
def test_the_new_id_is_found_wherever_it_has_been_seen(kie: Kie, body: object) -> None:
    answers(GENERATE, body)
    assert kie.submit(a_request()) == OTHER


# Row: record-info state.

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
    assert told(kie, record(**({"successFlag": ...} | changes))).state is state


@pytest.mark.parametrize(
    "changes",
    [{"successFlag": 4}, {"successFlag": -1}, {"successFlag": "done"}, {"successFlag": True}, {"successFlag": [1]},
     {"successFlag": 1.5}, {"successFlag": {}}, {"successFlag": 10**30}, {"status": "EXPIRED"}, {"state": 7}, {}],
)  # fmt: skip
def test_f35_an_unknown_state_is_unclear_and_said_to_be_odd(kie: Kie, changes: dict[str, object]) -> None:
    report = told(kie, record(**({"successFlag": ...} | changes)))
    assert report.state is ReportState.UNCLEAR
    assert {"flag_unknown", "status_unknown", "no_verdict"} & set(report.oddities)


def test_the_flag_wins_over_a_status_word(kie: Kie) -> None:
    assert told(kie, record(successFlag=0, status="SUCCESS")).state is ReportState.GENERATING


# Rows: record-info URLs, and URL list encodings.

PLACES: list[tuple[str, dict[str, object]]] = [
    ("response.resultUrls", {}),
    ("data.resultUrls", {"response": None, "resultUrls": json.dumps([VIDEO])}),
    ("data.resultUrls array", {"response": None, "resultUrls": [VIDEO]}),
    ("response.resultUrls text", {"response": response(resultUrls=json.dumps([VIDEO]))}),
    ("data.resultJson", {"response": None, "resultJson": json.dumps({"resultUrls": [VIDEO]})}),
    ("data.resultJson object", {"response": None, "resultJson": {"resultUrls": [VIDEO]}}),
    ("data.videoUrl", {"response": None, "videoUrl": VIDEO}),
    ("data.info.resultUrls", {"response": None, "info": {"resultUrls": [VIDEO]}}),
    ("data.info.result_urls", {"response": None, "info": {"result_urls": [VIDEO]}}),
    ("data.result_urls", {"response": None, "result_urls": [VIDEO]}),
    ("fullResultUrls only", {"response": response(resultUrls=None, fullResultUrls=[VIDEO])}),
    ("originUrls only", {"response": response(resultUrls=[], originUrls=[VIDEO])}),
]


@pytest.mark.parametrize(("name", "changes"), PLACES, ids=[row[0] for row in PLACES])
def test_the_urls_are_found_in_every_place(kie: Kie, name: str, changes: dict[str, object]) -> None:
    report = told(kie, record(**changes))
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
    report = told(kie, record(response=response(resultUrls=value)))
    assert report.result_urls == urls
    assert report.state is ReportState.SUCCEEDED
    assert ("success_without_urls" in report.oddities) == (not urls)


@pytest.mark.parametrize("value", [None, [], "", "[]", "null", ...])
def test_f34_a_success_without_urls_is_a_success_without_urls(kie: Kie, value: object) -> None:
    report = told(kie, record(response=response(resultUrls=value)))
    assert (report.state, report.result_urls) == (ReportState.SUCCEEDED, ())
    assert report.reason is None
    assert "success_without_urls" in report.oddities


def test_the_result_comes_before_the_joined_and_the_original_video(kie: Kie) -> None:
    report = told(kie, record(response=response(fullResultUrls=[SECOND], originUrls=[SECOND])))
    assert report.result_urls == (VIDEO,)
    assert report.full_result_urls == (SECOND,)


def test_too_many_urls_are_bounded(kie: Kie) -> None:
    report = told(kie, record(response=response(resultUrls=[f"{VIDEO}?{n}" for n in range(1000)])))
    assert len(report.result_urls) == 16
    assert "urls_unreadable" in report.oddities


# Row: callback.

CALLBACKS: list[tuple[str, object, ReportState]] = [
    (
        "documented, promptJson a text",
        {
            "code": 200,
            "msg": "Veo3.1 video generated successfully.",
            "data": {
                "taskId": TASK,
                "promptJson": '{"prompt":"cat"}',
                "info": {"resultUrls": [VIDEO], "originUrls": [VIDEO], "resolution": "1080p"},
                "fallbackFlag": False,
            },
        },
        ReportState.SUCCEEDED,
    ),
    (
        "promptJson an object",
        {"code": 200, "msg": "Veo3.1 视频生成成功。", "data": {"taskId": TASK, "promptJson": {"prompt": "cat"}}},
        ReportState.SUCCEEDED,
    ),
    ("flat success", {"taskId": TASK, "successFlag": 1, "videoUrl": VIDEO}, ReportState.SUCCEEDED),
    ("flat failure", {"taskId": TASK, "successFlag": 3, "errorMessage": "x", "errorCode": 400}, ReportState.FAILED),
    ("flat, by a word", {"taskId": TASK, "status": "failed"}, ReportState.FAILED),
    (
        "market",
        {"code": 200, "data": {"taskId": TASK, "state": "success", "resultJson": "{}"}},
        ReportState.SUCCEEDED,
    ),
    ("market failure", {"code": 200, "data": {"taskId": TASK, "state": "fail"}}, ReportState.FAILED),
    (
        "4K, snake case",
        {"code": 200, "msg": "ok", "data": {"task_id": TASK, "result_urls": [VIDEO], "media_ids": ["m"]}},
        ReportState.SUCCEEDED,
    ),
    (
        "4K, newest",
        {"code": 200, "data": {"creditsConsumed": 120, "info": {"resultUrls": [VIDEO]}, "taskId": TASK}, "msg": "ok"},
        ReportState.SUCCEEDED,
    ),
    (
        "4K failure",
        {"code": 500, "msg": "The 4K version of this video is unavailable.", "data": {"taskId": TASK}},
        ReportState.FAILED,
    ),
    ("root id", {"code": 200, "taskId": TASK, "data": {"callbackType": "task_completed"}}, ReportState.SUCCEEDED),
    ("root snake id", {"code": 400, "task_id": TASK}, ReportState.FAILED),
    ("policy", {"code": 400, "msg": "flagged", "data": {"taskId": TASK}}, ReportState.FAILED),
    ("flow", {"code": 422, "msg": "rejected by Flow(x)", "data": {"taskId": TASK}}, ReportState.FAILED),
    ("failed", {"code": 501, "msg": "Failed", "data": {"taskId": TASK, "fallbackFlag": False}}, ReportState.FAILED),
    ("unheard of", {"code": 777, "data": {"taskId": TASK}}, ReportState.UNCLEAR),
    ("no code", {"data": {"taskId": TASK}}, ReportState.UNCLEAR),
]


@pytest.mark.parametrize(("name", "body", "claims"), CALLBACKS, ids=[row[0] for row in CALLBACKS])
def test_a_callback_is_read_in_every_shape(name: str, body: object, claims: ReportState) -> None:
    assert hint(body) == CallbackHint(provider_task_id=TASK, claims=claims, well_formed=True)


# Row: promptJson and paramJson.


@pytest.mark.parametrize(
    ("changes", "prompt"),
    [
        ({"paramJson": '{"prompt":"a cat","waterMark":"KieAI"}'}, "a cat"),
        ({"paramJson": {"prompt": "a cat", "watermark": "KieAI"}}, "a cat"),
        ({"paramJson": ..., "promptJson": '{"prompt":"a cat"}'}, "a cat"),
        ({"paramJson": ...}, None),
        ({"paramJson": None}, None),
        ({"paramJson": "{"}, None),
        ({"paramJson": "[]"}, None),
        ({"paramJson": '{"prompt":5}'}, None),
    ],
)
def test_the_echo_of_the_prompt_is_read_or_absent(kie: Kie, changes: dict[str, object], prompt: str | None) -> None:
    assert told(kie, record(**changes)).prompt == prompt


# Row: times.


@pytest.mark.parametrize(
    ("value", "moment", "oddity"),
    [
        (1776728214000, datetime(2026, 4, 20, 23, 36, 54, tzinfo=UTC), None),
        ("1776728214000", datetime(2026, 4, 20, 23, 36, 54, tzinfo=UTC), None),
        (1776728214500, datetime(2026, 4, 20, 23, 36, 54, 500000, tzinfo=UTC), None),
        (1776728214, datetime(2026, 4, 20, 23, 36, 54, tzinfo=UTC), "time_in_seconds"),
        ("2026-04-20T23:36:54.000Z", datetime(2026, 4, 20, 23, 36, 54, tzinfo=UTC), None),
        ("2026-04-21T07:36:54+08:00", datetime(2026, 4, 20, 23, 36, 54, tzinfo=UTC), None),
        ("2025-06-06 10:30:00", None, "time_without_zone"),
        ("yesterday", None, "time_unreadable"),
        ([1], None, "time_unreadable"),
        (True, None, "time_unreadable"),
        (5, None, "time_out_of_range"),
        (10**40, None, "time_out_of_range"),
        (None, None, None),
        ("", None, None),
        (..., None, None),
    ],
)
def test_a_time_is_a_moment_or_nothing(kie: Kie, value: object, moment: datetime | None, oddity: str | None) -> None:
    report = told(kie, record(createTime=value, completeTime=value))
    assert (report.created_at, report.completed_at) == (moment, moment)
    assert report.oddities == ((oddity,) if oddity else ())


def test_the_founding_notes_names_of_times_are_read(kie: Kie) -> None:
    report = told(kie, record(createTime=..., completeTime=..., createdAt=1776728214000, completedAt=1776728275000))
    assert report.created_at is not None
    assert report.completed_at is not None


# Row: errors.

FAILURES: list[tuple[dict[str, object], str, str, RefusalReason]] = [
    ({"errorCode": 422, "errorMessage": "failed"}, "422", "failed", RefusalReason.GENERATION),
    ({"errorCode": "422", "errorMessage": "failed"}, "422", "failed", RefusalReason.GENERATION),
    ({"errorCode": None, "errorMessage": ""}, "", "", RefusalReason.GENERATION),
    ({"errorCode": ..., "errorMessage": ...}, "", "", RefusalReason.GENERATION),
    ({"errorCode": "E_AUDIO", "errorMessage": None}, "E_AUDIO", "", RefusalReason.GENERATION),
    (
        {"errorCode": 400, "errorMessage": "The Google model was unable to generate audio for this request."},
        "400",
        "The Google model was unable to generate audio for this request.",
        RefusalReason.AUDIO,
    ),
    ({"errorCode": 500, "errorMessage": "Internal Error - Timeout"}, "500", "Internal Error - Timeout",
     RefusalReason.TIMED_OUT),
    ({"errorCode": 408, "errorMessage": None}, "408", "", RefusalReason.TIMED_OUT),
    ({"errorCode": 501, "errorMessage": "Failed - Video generation task failed"}, "501",
     "Failed - Video generation task failed", RefusalReason.GENERATION),
    ({"errorCode": [], "errorMessage": {}}, "", "", RefusalReason.GENERATION),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "code", "message", "reason"), FAILURES, ids=[str(row[0])[:50] for row in FAILURES])
def test_a_failure_is_read_and_success_is_never_its_text(
    kie: Kie, changes: dict[str, object], code: str, message: str, reason: RefusalReason
) -> None:
    report = told(kie, record(successFlag=3, response=None, **changes))
    assert report.state is ReportState.FAILED
    assert (report.error_code, report.error_message, report.reason) == (code, message, reason)


def test_a_failures_text_may_stand_in_the_envelope_only(kie: Kie) -> None:
    body = record(successFlag=2, errorMessage=None) | {"msg": "Only English prompts are supported at this time."}
    assert told(kie, body).reason is RefusalReason.LANGUAGE
    body = record(successFlag=2, errorMessage=None) | {"msg": "..."}
    body["message"] = body.pop("msg")
    assert told(kie, body).error_message == "..."


# Row: the success flag inside the envelope.


def test_a_verdict_counts_even_in_an_envelope_that_says_error(kie: Kie) -> None:
    for code in (400, 422, 451, 500, 501):
        report = told(kie, record(successFlag=3, errorMessage=None) | {"code": code, "msg": "failed"})
        assert report.state is ReportState.FAILED
        assert "verdict_in_an_error" in report.oddities


def test_an_error_without_a_verdict_stays_an_error(kie: Kie) -> None:
    for body in (envelope(422, "no", {"taskId": TASK}), envelope(500, "no", {"status": "EXPIRED"})):
        with pytest.raises(NoAnswer):
            told(kie, body)
    with pytest.raises(AccessDenied):
        told(kie, record() | {"code": 401})
    with pytest.raises(NoAnswer):
        told(kie, record(), status=500)


@responses.activate
def test_a_4k_answer_of_422_that_carries_the_result_is_ready(kie: Kie) -> None:
    data = {"taskId": TASK, "resultUrls": [VIDEO], "imageUrls": ["https://tempfile.aiquickdraw.com/p/x.jpg"]}
    answers(UHD, envelope(422, "The video has been generated successfully", data))
    report = kie.upscale_4k(TASK)
    assert (report.ready, report.url, report.provider_task_id) == (True, VIDEO, TASK)


# Row: null record.


@pytest.mark.parametrize("body", [envelope(), envelope(422, "record is null"), {"code": 200, "msg": "success"}])
def test_a_null_record_is_not_visible(kie: Kie, body: object) -> None:
    with pytest.raises(NotVisible):
        told(kie, body)


# Row: credits.

CREDITS: list[tuple[object, Decimal | None]] = [
    (120, Decimal(120)),
    (37.5, Decimal("37.5")),
    ("37.5", Decimal("37.5")),
    (0, Decimal(0)),
    (22.50001, Decimal("22.5")),
    (-5, None),
    ("NaN", None),
    (float("nan"), None),
    (float("inf"), None),
    (True, None),
    ([120], None),
    ("about 60", None),
    (10**15, None),
    (999_999_999, None),
]


@pytest.mark.parametrize(("value", "credits_"), CREDITS, ids=[str(row[0]) for row in CREDITS])
def test_the_price_is_read_at_every_place_or_ignored(kie: Kie, value: object, credits_: Decimal | None) -> None:
    places: list[Callable[[object], dict[str, object]]] = [
        lambda said: record(creditsConsumed=said),
        lambda said: record(credits_consumed=said),
        lambda said: record(response=response(creditsConsumed=said)),
    ]
    for place in places:
        assert told(kie, place(value)).provider_credits == credits_
    assert told(kie, record()).provider_credits is None


# And what no row says.


def test_the_record_of_another_task_is_never_used(kie: Kie) -> None:
    report = told(kie, record(taskId=OTHER))
    assert report == Report(provider_task_id=TASK, state=ReportState.UNCLEAR, oddities=("another_task",))


def test_a_fallback_is_told(kie: Kie) -> None:
    assert told(kie, record(fallbackFlag=True)).fallback


def test_urls_before_the_end_are_odd_and_not_a_success(kie: Kie) -> None:
    report = told(kie, record(successFlag=0))
    assert report.state is ReportState.GENERATING
    assert "urls_too_early" in report.oddities


@responses.activate
def test_a_link_may_come_as_text_only(kie: Kie) -> None:
    nothings: list[object] = [None, "", {}, 5, "not a url", []]
    for data in nothings:
        responses.reset()
        answers(LINK, envelope(data=data))
        with pytest.raises(NoAnswer):
            kie.fresh_url(VIDEO)


def test_words_are_kept_on_one_bounded_printable_line(kie: Kie) -> None:
    report = told(kie, record(successFlag=3, errorMessage="line\r\none\x00\u202e" + "x" * 10_000))
    assert report.error_message.startswith("line one x")
    assert len(report.error_message) == 300
    signed = "Failed to fetch the image https://bucket.test/a.png?X-Amz-Signature=abc now"
    assert "Signature" not in told(kie, record(successFlag=3, errorMessage=signed)).error_message


def test_section_8_is_walked_in_full() -> None:
    """One test or table above for each row of the protocol's table; their names tie them together."""
    rows = {
        "task id in create reply": test_the_new_id_is_found_wherever_it_has_been_seen,
        "record-info state": test_the_state_is_read_in_every_spelling,
        "record-info URLs": test_the_urls_are_found_in_every_place,
        "URL list encodings": test_a_url_list_is_read_in_every_encoding,
        "callback": test_a_callback_is_read_in_every_shape,
        "promptJson/paramJson": test_the_echo_of_the_prompt_is_read_or_absent,
        "times": test_a_time_is_a_moment_or_nothing,
        "errors": test_a_failure_is_read_and_success_is_never_its_text,
        "success flag inside envelope": test_a_verdict_counts_even_in_an_envelope_that_says_error,
        "null record": test_a_null_record_is_not_visible,
        "4K done": test_a_4k_answer_of_422_that_carries_the_result_is_ready,
        "credits": test_the_price_is_read_at_every_place_or_ignored,
    }
    assert len(set(rows.values())) == 12
    assert issubclass(NotVisible, ProviderError)

"""Details of records and callbacks: echo, times, failures, odd envelopes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import responses

from tests.videos.providers.kie import test_records
from tests.videos.providers.kie.variants import make_response, read_report
from tests.videos.providers.kie_replies import (
    LINK,
    OTHER,
    TASK,
    UHD,
    VIDEO,
    add_response,
    make_envelope,
    make_record,
)
from videos.providers.base import CallbackHint, RefusalReason, Report, ReportState
from videos.providers.errors import AccessDenied, NoAnswer, NotVisible, ProviderError
from videos.providers.kie.client import Kie, parse_callback


def parse_hint(body: object) -> CallbackHint:
    return parse_callback(json.dumps(body).encode(), "application/json")


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
    ("unknown code", {"code": 777, "data": {"taskId": TASK}}, ReportState.UNCLEAR),
    ("no code", {"data": {"taskId": TASK}}, ReportState.UNCLEAR),
]


@pytest.mark.parametrize(("name", "body", "claims"), CALLBACKS, ids=[row[0] for row in CALLBACKS])
def test_a_callback_is_read_in_every_format(name: str, body: object, claims: ReportState) -> None:
    assert parse_hint(body) == CallbackHint(provider_task_id=TASK, claims=claims, well_formed=True)


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
def test_the_echoed_prompt_is_read_if_present(kie: Kie, changes: dict[str, object], prompt: str | None) -> None:
    assert read_report(kie, make_record(**changes)).prompt == prompt


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
def test_a_time_is_read_or_none(kie: Kie, value: object, moment: datetime | None, oddity: str | None) -> None:
    report = read_report(kie, make_record(createTime=value, completeTime=value))
    assert (report.created_at, report.completed_at) == (moment, moment)
    assert report.oddities == ((oddity,) if oddity else ())


def test_the_older_names_of_times_are_read(kie: Kie) -> None:
    report = read_report(
        kie, make_record(createTime=..., completeTime=..., createdAt=1776728214000, completedAt=1776728275000)
    )
    assert report.created_at is not None
    assert report.completed_at is not None


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
def test_a_failure_is_read_and_its_message_is_never_success(
    kie: Kie, changes: dict[str, object], code: str, message: str, reason: RefusalReason
) -> None:
    report = read_report(kie, make_record(successFlag=3, response=None, **changes))
    assert report.state is ReportState.FAILED
    assert (report.error_code, report.error_message, report.reason) == (code, message, reason)


def test_a_failures_message_may_be_in_the_envelope_only(kie: Kie) -> None:
    body = make_record(successFlag=2, errorMessage=None) | {"msg": "Only English prompts are supported at this time."}
    assert read_report(kie, body).reason is RefusalReason.LANGUAGE
    body = make_record(successFlag=2, errorMessage=None) | {"msg": "..."}
    body["message"] = body.pop("msg")
    assert read_report(kie, body).error_message == "..."


def test_a_state_counts_even_in_an_envelope_with_an_error_code(kie: Kie) -> None:
    for code in (400, 422, 451, 500, 501):
        report = read_report(kie, make_record(successFlag=3, errorMessage=None) | {"code": code, "msg": "failed"})
        assert report.state is ReportState.FAILED
        assert "verdict_in_an_error" in report.oddities


def test_an_error_without_a_state_is_raised(kie: Kie) -> None:
    for body in (make_envelope(422, "no", {"taskId": TASK}), make_envelope(500, "no", {"status": "EXPIRED"})):
        with pytest.raises(NoAnswer):
            read_report(kie, body)
    with pytest.raises(AccessDenied):
        read_report(kie, make_record() | {"code": 401})
    with pytest.raises(NoAnswer):
        read_report(kie, make_record(), status=500)


@responses.activate
def test_a_4k_response_of_422_that_carries_the_result_is_ready(kie: Kie) -> None:
    data = {"taskId": TASK, "resultUrls": [VIDEO], "imageUrls": ["https://tempfile.aiquickdraw.com/p/x.jpg"]}
    add_response(UHD, make_envelope(422, "The video has been generated successfully", data))
    report = kie.upscale_4k(TASK)
    assert (report.ready, report.url, report.provider_task_id) == (True, VIDEO, TASK)


@pytest.mark.parametrize(
    "body", [make_envelope(), make_envelope(422, "record is null"), {"code": 200, "msg": "success"}]
)
def test_a_null_record_is_not_visible(kie: Kie, body: object) -> None:
    with pytest.raises(NotVisible):
        read_report(kie, body)


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
def test_the_cost_is_read_from_every_known_field_or_ignored(kie: Kie, value: object, credits_: Decimal | None) -> None:
    record_makers: list[Callable[[object], dict[str, object]]] = [
        lambda cost: make_record(creditsConsumed=cost),
        lambda cost: make_record(credits_consumed=cost),
        lambda cost: make_record(response=make_response(creditsConsumed=cost)),
    ]
    for make in record_makers:
        assert read_report(kie, make(value)).provider_credits == credits_
    assert read_report(kie, make_record()).provider_credits is None


def test_the_record_of_another_task_is_never_used(kie: Kie) -> None:
    report = read_report(kie, make_record(taskId=OTHER))
    assert report == Report(provider_task_id=TASK, state=ReportState.UNCLEAR, oddities=("another_task",))


def test_a_fallback_is_reported(kie: Kie) -> None:
    assert read_report(kie, make_record(fallbackFlag=True)).fallback


def test_urls_of_a_generating_task_are_odd_and_not_a_success(kie: Kie) -> None:
    report = read_report(kie, make_record(successFlag=0))
    assert report.state is ReportState.GENERATING
    assert "urls_too_early" in report.oddities


@responses.activate
def test_an_unusable_fresh_link_ends_in_no_answer(kie: Kie) -> None:
    unusable: list[object] = [None, "", {}, 5, "not a url", []]
    for data in unusable:
        responses.reset()
        add_response(LINK, make_envelope(data=data))
        with pytest.raises(NoAnswer):
            kie.fresh_url(VIDEO)


def test_messages_are_kept_as_one_short_printable_line(kie: Kie) -> None:
    report = read_report(kie, make_record(successFlag=3, errorMessage="line\r\none\x00\u202e" + "x" * 10_000))
    assert report.error_message.startswith("line one x")
    assert len(report.error_message) == 300
    signed = "Failed to fetch the image https://bucket.test/a.png?X-Amz-Signature=abc now"
    assert "Signature" not in read_report(kie, make_record(successFlag=3, errorMessage=signed)).error_message


def test_every_row_of_section_8_has_a_test() -> None:
    """Each row of the table in the protocol notes has a test."""
    rows = {
        "task id in create reply": test_records.test_the_new_id_is_read_from_every_known_field,
        "record-info state": test_records.test_the_state_is_read_in_every_spelling,
        "record-info URLs": test_records.test_the_urls_are_read_from_every_known_field,
        "URL list encodings": test_records.test_a_url_list_is_read_in_every_encoding,
        "callback": test_a_callback_is_read_in_every_format,
        "promptJson/paramJson": test_the_echoed_prompt_is_read_if_present,
        "times": test_a_time_is_read_or_none,
        "errors": test_a_failure_is_read_and_its_message_is_never_success,
        "success flag inside envelope": test_a_state_counts_even_in_an_envelope_with_an_error_code,
        "null record": test_a_null_record_is_not_visible,
        "4K done": test_a_4k_response_of_422_that_carries_the_result_is_ready,
        "credits": test_the_cost_is_read_from_every_known_field_or_ignored,
    }
    assert len(set(rows.values())) == 12
    assert issubclass(NotVisible, ProviderError)

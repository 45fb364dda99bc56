"""Faults of kie.ai: each becomes the error that the design names."""

import pytest
import responses

from tests.videos.providers.conftest import KEY
from tests.videos.providers.kie.calls_by_name import catch_error
from tests.videos.providers.kie_replies import (
    CALLBACK,
    GENERATE,
    NO_CREDITS,
    OTHER,
    add_response,
    make_envelope,
    make_request,
)
from videos.providers.base import RefusalReason
from videos.providers.errors import (
    AccessDenied,
    NoAnswer,
    NotSent,
    NotVisible,
    OutOfCredits,
    RateLimited,
    Refused,
    Unavailable,
    Unconfirmed,
)
from videos.providers.kie.client import Kie


def test_f12_an_html_error_page_leaves_a_submission_unconfirmed(kie: Kie) -> None:
    for status in (500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 530):
        error = catch_error(kie, "generate", f"<html><h1>{status}</h1></html>", status=status)
        assert type(error) is Unconfirmed
        assert error.status == status
    assert type(catch_error(kie, "generate", "<html>welcome</html>")) is Unconfirmed
    assert type(catch_error(kie, "record-info", "<html>welcome</html>")) is NoAnswer


def test_f13_no_provider_credits_is_our_problem_and_not_the_users(kie: Kie) -> None:
    for body in (
        make_envelope(402, NO_CREDITS),
        make_envelope(402, ""),
        make_envelope(500, NO_CREDITS),
        make_envelope(433, "limit"),
    ):
        error = catch_error(kie, "generate", body)
        assert type(error) is OutOfCredits
        assert isinstance(error, NotSent)


def test_f13_a_prompt_that_mentions_credits_stops_nothing(kie: Kie) -> None:
    error = catch_error(kie, "generate", make_envelope(422, "Your request was rejected by Flow(credits insufficient)."))
    assert type(error) is Refused


MESSAGES: list[tuple[int, str, RefusalReason]] = [
    (400, "Your prompt was flagged by Website as violating content policies.", RefusalReason.CONTENT_POLICY),
    (400, "prompt flagged by Website", RefusalReason.CONTENT_POLICY),
    (400, "Only English prompts are supported at this time.", RefusalReason.LANGUAGE),
    (400, "English prompts only.", RefusalReason.LANGUAGE),
    (
        400,
        "Failed to fetch the image. Kindly verify any access limits set by you or your service provider.",
        RefusalReason.IMAGE_UNREACHABLE,
    ),
    (
        400,
        "Unable to retrieve image. Please verify any access restrictions set by you or your service provider.",
        RefusalReason.IMAGE_UNREACHABLE,
    ),
    (451, "", RefusalReason.IMAGE_UNREACHABLE),
    (400, "public error unsafe image upload.", RefusalReason.UNSAFE_IMAGE),
    (400, "Public error: Unsafe image upload.", RefusalReason.UNSAFE_IMAGE),
    (400, "public error minor upload", RefusalReason.UNSAFE_IMAGE),
    (400, "public error prominent people upload", RefusalReason.PROMINENT_PERSON),
    (
        422,
        "Your request was rejected by Flow(PUBLIC_ERROR). You may consider using our other fallback channels, "
        "which are likely to succeed. Please refer to the documentation.",
        RefusalReason.CONTENT_POLICY,
    ),
    (422, "Your request was rejected by Flow(public error prominent people upload).", RefusalReason.PROMINENT_PERSON),
    (400, "The Google model was unable to generate audio for this request.", RefusalReason.AUDIO),
    (400, "Internal Error - Timeout", RefusalReason.TIMED_OUT),
    (422, "duration must be 4, 6 or 8", RefusalReason.INVALID),
    (400, "", RefusalReason.INVALID),
]


@pytest.mark.parametrize(("code", "text", "reason"), MESSAGES, ids=[row[1][:30] or str(row[0]) for row in MESSAGES])
def test_f14_a_refusal_has_a_reason(kie: Kie, code: int, text: str, reason: RefusalReason) -> None:
    error = catch_error(kie, "generate", make_envelope(code, text))
    assert isinstance(error, Refused)
    assert (error.reason, error.provider_code) == (reason, code)
    assert text in error.detail


@pytest.mark.parametrize("status", [200, 429])
def test_f15_the_rate_limit_is_recognised_in_the_envelope_and_as_http(kie: Kie, status: int) -> None:
    error = catch_error(kie, "generate", make_envelope(429, "Your call frequency is too high."), status=status)
    assert type(error) is RateLimited
    assert type(catch_error(kie, "generate", "", status=429)) is RateLimited


@pytest.mark.parametrize("code", [455, 505])
def test_f16_maintenance_and_switched_off_are_not_refusals(kie: Kie, code: int) -> None:
    assert type(catch_error(kie, "generate", make_envelope(code, "maintenance"))) is Unavailable


@responses.activate
@pytest.mark.parametrize("code", [500, 501, 408, 777])
def test_f17_an_error_without_a_task_id_is_unconfirmed_and_with_one_is_a_task(kie: Kie, code: int) -> None:
    assert type(catch_error(kie, "generate", make_envelope(code, "Internal Error"))) is Unconfirmed
    add_response(GENERATE, make_envelope(code, "Internal Error", {"taskId": OTHER}))
    assert kie.submit(make_request()) == OTHER


def test_f18_a_revoked_key_is_shown_nowhere(kie: Kie) -> None:
    echo = f"You do not have access permissions with {KEY} at {CALLBACK}"
    for code in (401, 400, 500):
        error = catch_error(kie, "generate", make_envelope(code, echo))
        visible_text = f"{error!r} {error} {error.detail} {error.__cause__!r} {error.__context__!r} {vars(error)}"
        assert KEY not in visible_text
        assert CALLBACK not in visible_text
        assert "[key]" in error.detail
    assert type(catch_error(kie, "generate", make_envelope(401, "no"))) is AccessDenied
    assert KEY not in f"{kie!r} {kie._auth!r}"


@pytest.mark.parametrize(
    "data",
    [None, {}, [], "x", {"taskId": None}, {"taskId": 5}, {"taskId": ""}, {"taskId": "a b"}, {"taskId": "x" * 161},
     {"taskId": {"id": "x"}}, {"taskId": "../../etc"}, {"taskId": True}],
)  # fmt: skip
def test_f19_an_accepting_response_without_a_usable_id_is_unconfirmed(kie: Kie, data: object) -> None:
    error = catch_error(kie, "generate", make_envelope(200, "success", data))
    assert type(error) is Unconfirmed


@pytest.mark.parametrize(
    "body", [make_envelope(422, "record is null"), make_envelope(422, "Temporarily supports records within 14 days"),
             make_envelope(422, "record result data is blank"), make_envelope(422, "record status is not success"),
             make_envelope(422, "record result data not exist"), make_envelope(422, "record result data is empty"),
             make_envelope(404, "not found"), make_envelope(200, "success", None)],
)  # fmt: skip
def test_f41_an_unknown_record_is_not_visible(kie: Kie, body: object) -> None:
    assert type(catch_error(kie, "record-info", body)) is NotVisible


@pytest.mark.parametrize("data", [[], "text", 5, True])
def test_f41_a_record_that_is_not_an_object_ends_in_no_answer(kie: Kie, data: object) -> None:
    assert type(catch_error(kie, "record-info", make_envelope(data=data))) is NoAnswer


@pytest.mark.parametrize("body", ["", "{", '{"code":200', "null", "[]", "5", '"x"', "\ufeff", "[" * 100_000])
def test_a_body_that_is_not_an_envelope_ends_in_no_answer(kie: Kie, body: str) -> None:
    assert type(catch_error(kie, "generate", body)) is Unconfirmed
    for name in ("record-info", "credit", "download-url"):
        assert type(catch_error(kie, name, body)) is NoAnswer

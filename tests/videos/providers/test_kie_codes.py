"""Every status and code of kie.ai means something, and exactly what design and protocol say it means."""

import json
from collections.abc import Callable
from typing import get_args, get_type_hints

import pytest
import responses

from tests.videos.providers.conftest import KEY
from tests.videos.providers.wire import (
    CALLBACK,
    CREDIT,
    EXTEND,
    GENERATE,
    HD,
    LINK,
    NO_CREDITS,
    OTHER,
    RECORD,
    TASK,
    UHD,
    a_request,
    answers,
    envelope,
)
from videos.providers import errors
from videos.providers.base import RefusalReason
from videos.providers.errors import (
    AccessDenied,
    NoAnswer,
    NotSent,
    NotVisible,
    OutOfCredits,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
    Unconfirmed,
)
from videos.providers.http.exchange import Answer
from videos.providers.kie.client import Kie
from videos.providers.kie.codes import MEANINGS, Call, Meaning, effective_code, make_error
from videos.providers.kie.replies import parse_envelope

PAID = {Call.GENERATE, Call.DERIVE}

# Section 6 of the protocol notes, row by row: code, text, then the error on generate, on record-info, on a free call.
SECTION_6: list[tuple[int, str, type[ProviderError], type[ProviderError], type[ProviderError]]] = [
    (400, "Your prompt was flagged by Website as violating content policies.", Refused, NoAnswer, NoAnswer),
    (401, "You do not have access permissions", AccessDenied, AccessDenied, AccessDenied),
    (402, NO_CREDITS, OutOfCredits, OutOfCredits, OutOfCredits),
    (404, "Not found", AccessDenied, NotVisible, NoAnswer),
    (408, "Upstream is silent", Unconfirmed, NoAnswer, NoAnswer),
    (422, "prompt is required", Refused, NotVisible, NoAnswer),
    (429, "Your call frequency is too high. Please try again later.", RateLimited, NoAnswer, NoAnswer),
    (433, "The key has reached its limit", OutOfCredits, OutOfCredits, OutOfCredits),
    (451, "Failed to fetch the image.", Refused, NoAnswer, NoAnswer),
    (455, "Under maintenance", Unavailable, NoAnswer, NoAnswer),
    (500, "Internal Error, Please try again later.", Unconfirmed, NoAnswer, NoAnswer),
    (500, NO_CREDITS, OutOfCredits, OutOfCredits, OutOfCredits),
    (501, "Failed - Video generation task failed", Unconfirmed, NoAnswer, NoAnswer),
    (505, "The feature is disabled", Unavailable, NoAnswer, NoAnswer),
]

CALLS: dict[str, tuple[tuple[str, str], Callable[[Kie], object]]] = {
    "generate": (GENERATE, lambda kie: kie.submit(a_request())),
    "extend": (EXTEND, lambda kie: kie.extend(TASK, prompt="and then")),
    "1080p": (HD, lambda kie: kie.upscale_1080p(TASK)),
    "4k": (UHD, lambda kie: kie.upscale_4k(TASK)),
    "record-info": (RECORD, lambda kie: kie.report(TASK)),
    "credit": (CREDIT, lambda kie: kie.balance()),
    "download-url": (LINK, lambda kie: kie.fresh_url("https://tempfile.aiquickdraw.com/v/x.mp4")),
}


def outcome(kie: Kie, name: str, body: object, *, status: int = 200) -> ProviderError:
    """The error that one call ends in; exactly one request was made."""
    call, ask = CALLS[name]
    with responses.RequestsMock() as mock:
        mock.add(
            call[0],
            call[1],
            body=body if isinstance(body, str | bytes) else json.dumps(body),
            status=status,
            content_type="application/json;charset=UTF-8",
        )
        with pytest.raises(ProviderError) as caught:
            ask(kie)
        assert len(mock.calls) == 1
    return caught.value


@pytest.mark.parametrize("as_http", [False, True], ids=["in the envelope", "as HTTP status"])
@pytest.mark.parametrize(
    ("code", "text", "paid", "record", "free"), SECTION_6, ids=[f"{row[0]} {row[1][:20]}" for row in SECTION_6]
)
def test_a_code_means_the_same_in_the_envelope_and_as_http_status(
    kie: Kie,
    code: int,
    text: str,
    paid: type[ProviderError],
    record: type[ProviderError],
    free: type[ProviderError],
    as_http: bool,
) -> None:
    body = envelope(code, text)
    status = code if as_http else 200
    assert type(outcome(kie, "generate", body, status=status)) is paid
    assert type(outcome(kie, "record-info", body, status=status)) is record
    assert type(outcome(kie, "credit", body, status=status)) is free
    assert type(outcome(kie, "download-url", body, status=status)) is free
    # A 404 that speaks of the original task is the request's fault, not the key's.
    assert type(outcome(kie, "extend", body, status=status)) is (Refused if code == 404 else paid)


def test_the_walk_covers_every_row_of_the_table_and_every_error() -> None:
    assert {row[0] for row in SECTION_6} | {403} == set(MEANINGS)
    walked = {kind for row in SECTION_6 for kind in row[2:]} | {NotSent}
    leaves = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ProviderError) and kind is not ProviderError
    }
    assert walked == leaves


def test_a_refusal_at_the_door_of_the_network_is_about_our_access(kie: Kie) -> None:
    for name in ("generate", "extend", "record-info", "credit", "download-url"):
        error = outcome(kie, name, "error code: 1010", status=403)
        assert type(error) is AccessDenied
        assert "1010" in error.detail


def test_a_bare_404_means_a_wrong_address_except_where_tasks_may_be_unknown(kie: Kie) -> None:
    page = "<html><title>404 Not Found</title></html>"
    for name in ("generate", "extend", "4k", "credit", "download-url"):
        assert type(outcome(kie, name, page, status=404)) is AccessDenied
    assert type(outcome(kie, "record-info", page, status=404)) is NotVisible


def expected(code: int, call: Call) -> type[ProviderError]:
    """The design's table once more, written the other way round."""
    if code in (401, 403):
        return AccessDenied
    if code in (402, 433):
        return OutOfCredits
    if code == 404:
        return {Call.GENERATE: AccessDenied, Call.DERIVE: Refused, Call.RECORD: NotVisible, Call.FREE: NoAnswer}[call]
    if call is Call.RECORD and code == 422:
        return NotVisible
    if call not in PAID:
        return NoAnswer
    if code in (400, 422, 451):
        return Refused
    if code == 429:
        return RateLimited
    return Unavailable if code in (455, 505) else Unconfirmed


@pytest.mark.parametrize("call", Call)
def test_every_http_status_from_100_to_599_is_mapped(call: Call) -> None:
    for status in range(100, 600):
        body = json.dumps(envelope(status, "text")).encode()
        error = make_error(parse_envelope(Answer(status=status, body=body), scrub=str), call=call)
        wanted = expected(status, call)
        if 300 <= status < 400:
            wanted = NotSent if call in PAID else NoAnswer
        if 200 < status < 300:
            wanted = Unconfirmed if call in PAID else NoAnswer
        if status != 200:
            assert type(error) is wanted, status
            assert (error.status, error.provider_code) == (status, status)


@pytest.mark.parametrize("call", Call)
def test_every_http_status_without_an_envelope_is_mapped_and_never_blames_the_user(call: Call) -> None:
    for status in range(100, 600):
        error = make_error(parse_envelope(Answer(status=status, body=b"<html>"), scrub=str), call=call)
        wanted = expected(status, call)
        if call in PAID and status in (400, 422, 451, 505):
            wanted = Unconfirmed  # whoever wrote this page, it was not the provider judging a prompt
        if call is not Call.RECORD and status == 404:
            wanted = AccessDenied
        if call is Call.RECORD and status == 422:
            wanted = NoAnswer
        if 300 <= status < 400:
            wanted = NotSent if call in PAID else NoAnswer
        assert type(error) is wanted, status


@pytest.mark.parametrize("call", Call)
def test_every_code_in_an_envelope_is_mapped(call: Call) -> None:
    for code in (*range(-1, 2), *range(100, 600), 999, 1000, 10**12):
        body = json.dumps(envelope(code, "text")).encode()
        opened = parse_envelope(Answer(status=200, body=body), scrub=str)
        if code == 200:
            assert effective_code(opened) == 200
        else:
            assert type(make_error(opened, call=call)) is expected(code, call), code


def test_only_a_transient_error_invites_another_try() -> None:
    assert {kind.transient for kind in (NotSent, RateLimited, Unavailable, OutOfCredits, AccessDenied)} == {True}
    assert {kind.transient for kind in (NoAnswer, NotVisible)} == {True}
    assert {kind.transient for kind in (Refused, Unconfirmed)} == {False}


def test_each_error_has_a_code_of_its_own() -> None:
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, ProviderError)]
    assert len({kind.code for kind in kinds}) == len(kinds) == 10
    assert set(get_type_hints(Meaning)) == {call.value for call in Call}
    assert get_args(get_type_hints(Meaning)["generate"]) == (ProviderError,)


# Where the HTTP status and the code disagree.


@pytest.mark.parametrize(
    ("status", "code", "text", "wanted"),
    [
        (400, 402, "no", OutOfCredits),
        (400, 429, "slow down", RateLimited),
        (429, 500, "slow down", RateLimited),
        (400, 455, "maintenance", Unavailable),
        (400, 500, "oops", Unconfirmed),
        (400, 200, "success", Unconfirmed),
        (500, 402, "no", OutOfCredits),
        (500, 422, "bad field", Unconfirmed),
        (503, 200, "success", Unconfirmed),
        (505, 500, "oops", Unconfirmed),
        (405, 422, "bad field", Refused),
        (400, 7, "?", Refused),
        (418, 7, "?", Unconfirmed),
    ],
)
def test_a_contradiction_between_status_and_code_is_read_carefully(
    kie: Kie, status: int, code: int, text: str, wanted: type[ProviderError]
) -> None:
    assert type(outcome(kie, "generate", envelope(code, text), status=status)) is wanted


# Faults of the catalogue.


def test_f12_an_html_error_page_leaves_a_submission_unconfirmed(kie: Kie) -> None:
    for status in (500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 530):
        error = outcome(kie, "generate", f"<html><h1>{status}</h1></html>", status=status)
        assert type(error) is Unconfirmed
        assert error.status == status
    assert type(outcome(kie, "generate", "<html>welcome</html>")) is Unconfirmed
    assert type(outcome(kie, "record-info", "<html>welcome</html>")) is NoAnswer


def test_f13_no_credits_is_our_trouble_and_not_the_users(kie: Kie) -> None:
    for body in (envelope(402, NO_CREDITS), envelope(402, ""), envelope(500, NO_CREDITS), envelope(433, "limit")):
        error = outcome(kie, "generate", body)
        assert type(error) is OutOfCredits
        assert isinstance(error, NotSent)


def test_f13_a_prompt_that_speaks_of_credits_pauses_nobody(kie: Kie) -> None:
    error = outcome(kie, "generate", envelope(422, "Your request was rejected by Flow(credits insufficient)."))
    assert type(error) is Refused


SENTENCES: list[tuple[int, str, RefusalReason]] = [
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


@pytest.mark.parametrize(("code", "text", "reason"), SENTENCES, ids=[row[1][:30] or str(row[0]) for row in SENTENCES])
def test_f14_a_refusal_says_why(kie: Kie, code: int, text: str, reason: RefusalReason) -> None:
    error = outcome(kie, "generate", envelope(code, text))
    assert isinstance(error, Refused)
    assert (error.reason, error.provider_code) == (reason, code)
    assert text in error.detail


@pytest.mark.parametrize("status", [200, 429])
def test_f15_the_rate_limit_is_seen_in_the_envelope_and_as_http(kie: Kie, status: int) -> None:
    error = outcome(kie, "generate", envelope(429, "Your call frequency is too high."), status=status)
    assert type(error) is RateLimited
    assert type(outcome(kie, "generate", "", status=429)) is RateLimited


@pytest.mark.parametrize("code", [455, 505])
def test_f16_maintenance_and_switched_off_are_told_apart_from_refusals(kie: Kie, code: int) -> None:
    assert type(outcome(kie, "generate", envelope(code, "maintenance"))) is Unavailable


@responses.activate
@pytest.mark.parametrize("code", [500, 501, 408, 777])
def test_f17_an_error_without_a_task_id_is_unconfirmed_and_with_one_is_a_task(kie: Kie, code: int) -> None:
    assert type(outcome(kie, "generate", envelope(code, "Internal Error"))) is Unconfirmed
    answers(GENERATE, envelope(code, "Internal Error", {"taskId": OTHER}))
    assert kie.submit(a_request()) == OTHER


def test_f18_a_revoked_key_is_named_nowhere(kie: Kie) -> None:
    echo = f"You do not have access permissions with {KEY} at {CALLBACK}"
    for code in (401, 400, 500):
        error = outcome(kie, "generate", envelope(code, echo))
        shown = f"{error!r} {error} {error.detail} {error.__cause__!r} {error.__context__!r} {vars(error)}"
        assert KEY not in shown
        assert CALLBACK not in shown
        assert "[key]" in error.detail
    assert type(outcome(kie, "generate", envelope(401, "no"))) is AccessDenied
    assert KEY not in f"{kie!r} {kie._auth!r}"


@pytest.mark.parametrize(
    "data",
    [None, {}, [], "x", {"taskId": None}, {"taskId": 5}, {"taskId": ""}, {"taskId": "a b"}, {"taskId": "x" * 161},
     {"taskId": {"id": "x"}}, {"taskId": "../../etc"}, {"taskId": True}],
)  # fmt: skip
def test_f19_an_accepted_answer_without_a_usable_id_is_unconfirmed(kie: Kie, data: object) -> None:
    error = outcome(kie, "generate", envelope(200, "success", data))
    assert type(error) is Unconfirmed


@pytest.mark.parametrize(
    "body", [envelope(422, "record is null"), envelope(422, "Temporarily supports records within 14 days"),
             envelope(422, "record result data is blank"), envelope(422, "record status is not success"),
             envelope(422, "record result data not exist"), envelope(422, "record result data is empty"),
             envelope(404, "not found"), envelope(200, "success", None)],
)  # fmt: skip
def test_f41_an_unknown_record_is_not_a_verdict(kie: Kie, body: object) -> None:
    assert type(outcome(kie, "record-info", body)) is NotVisible


@pytest.mark.parametrize("data", [[], "text", 5, True])
def test_f41_a_record_that_is_no_object_is_no_answer(kie: Kie, data: object) -> None:
    assert type(outcome(kie, "record-info", envelope(data=data))) is NoAnswer


@pytest.mark.parametrize("body", ["", "{", '{"code":200', "null", "[]", "5", '"x"', "\ufeff", "[" * 100_000])
def test_a_body_that_is_no_envelope_is_no_answer(kie: Kie, body: str) -> None:
    assert type(outcome(kie, "generate", body)) is Unconfirmed
    for name in ("record-info", "credit", "download-url"):
        assert type(outcome(kie, name, body)) is NoAnswer

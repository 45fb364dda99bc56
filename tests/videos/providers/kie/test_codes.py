"""Every status and code of kie.ai is mapped to exactly one error, as in the protocol notes."""

import json
from typing import get_args, get_type_hints

import pytest

from tests.videos.providers.kie.calls_by_name import catch_error
from tests.videos.providers.kie_replies import (
    NO_CREDITS,
    make_envelope,
)
from videos.providers import errors
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
from videos.providers.http.exchange import ApiResponse
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
    body = make_envelope(code, text)
    status = code if as_http else 200
    assert type(catch_error(kie, "generate", body, status=status)) is paid
    assert type(catch_error(kie, "record-info", body, status=status)) is record
    assert type(catch_error(kie, "credit", body, status=status)) is free
    assert type(catch_error(kie, "download-url", body, status=status)) is free
    # A 404 about the original task refuses the request; it does not mean a wrong key.
    assert type(catch_error(kie, "extend", body, status=status)) is (Refused if code == 404 else paid)


def test_the_tests_cover_every_row_of_the_table_and_every_error() -> None:
    assert {row[0] for row in SECTION_6} | {403} == set(MEANINGS)
    tested = {kind for row in SECTION_6 for kind in row[2:]} | {NotSent}
    error_classes = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ProviderError) and kind is not ProviderError
    }
    assert tested == error_classes


def test_a_refusal_by_cloudflare_is_access_denied(kie: Kie) -> None:
    for name in ("generate", "extend", "record-info", "credit", "download-url"):
        error = catch_error(kie, name, "error code: 1010", status=403)
        assert type(error) is AccessDenied
        assert "1010" in error.detail


def test_a_404_without_an_envelope_means_a_wrong_address_except_for_record_info(kie: Kie) -> None:
    page = "<html><title>404 Not Found</title></html>"
    for name in ("generate", "extend", "4k", "credit", "download-url"):
        assert type(catch_error(kie, name, page, status=404)) is AccessDenied
    assert type(catch_error(kie, "record-info", page, status=404)) is NotVisible


def expected_error(code: int, call: Call) -> type[ProviderError]:
    """The table of the design, sorted by error."""
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
        body = json.dumps(make_envelope(status, "text")).encode()
        error = make_error(parse_envelope(ApiResponse(status=status, body=body), scrub=str), call=call)
        expected = expected_error(status, call)
        if 300 <= status < 400:
            expected = NotSent if call in PAID else NoAnswer
        if 200 < status < 300:
            expected = Unconfirmed if call in PAID else NoAnswer
        if status != 200:
            assert type(error) is expected, status
            assert (error.status, error.provider_code) == (status, status)


@pytest.mark.parametrize("call", Call)
def test_every_http_status_without_an_envelope_is_mapped_and_never_a_refusal(call: Call) -> None:
    for status in range(100, 600):
        error = make_error(parse_envelope(ApiResponse(status=status, body=b"<html>"), scrub=str), call=call)
        expected = expected_error(status, call)
        if call in PAID and status in (400, 422, 451, 505):
            expected = Unconfirmed  # a page without an envelope does not refuse the prompt
        if call is not Call.RECORD and status == 404:
            expected = AccessDenied
        if call is Call.RECORD and status == 422:
            expected = NoAnswer
        if 300 <= status < 400:
            expected = NotSent if call in PAID else NoAnswer
        assert type(error) is expected, status


@pytest.mark.parametrize("call", Call)
def test_every_code_in_an_envelope_is_mapped(call: Call) -> None:
    for code in (*range(-1, 2), *range(100, 600), 999, 1000, 10**12):
        body = json.dumps(make_envelope(code, "text")).encode()
        envelope = parse_envelope(ApiResponse(status=200, body=body), scrub=str)
        if code == 200:
            assert effective_code(envelope) == 200
        else:
            assert type(make_error(envelope, call=call)) is expected_error(code, call), code


def test_only_transient_errors_may_be_retried() -> None:
    assert {kind.transient for kind in (NotSent, RateLimited, Unavailable, OutOfCredits, AccessDenied)} == {True}
    assert {kind.transient for kind in (NoAnswer, NotVisible)} == {True}
    assert {kind.transient for kind in (Refused, Unconfirmed)} == {False}


def test_each_error_has_its_own_code() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ProviderError)]
    assert len({kind.code for kind in kinds}) == len(kinds) == 10
    assert set(get_type_hints(Meaning)) == {call.value for call in Call}
    assert get_args(get_type_hints(Meaning)["generate"]) == (ProviderError,)


@pytest.mark.parametrize(
    ("status", "code", "text", "error"),
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
def test_a_contradiction_between_status_and_code_is_ambiguous(
    kie: Kie, status: int, code: int, text: str, error: type[ProviderError]
) -> None:
    assert type(catch_error(kie, "generate", make_envelope(code, text), status=status)) is error

"""Parsing of callbacks with any body, and verification of their signatures with the examples of the protocol notes."""

import json
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.videos.providers.kie_replies import OTHER, TASK
from videos.providers.base import CallbackHint, ReportState
from videos.providers.kie.client import parse_callback, sign_callback, verify_signature

JSON = "application/json"
VALID_BODY = json.dumps({"code": 200, "msg": "ok", "data": {"taskId": TASK}}).encode()

VECTORS = [
    ("test-webhook-hmac-key", "ee9c2715375b7837f8bb51d641ff5863", "1769670760",
     "xG6/yOyrMyJtUdc1yjmHpKLHSHF3MpzOPa6uxSj3qb4="),
    ("test-webhook-hmac-key", "4c9a31a5bb61db65d10f1210d78cc08a", "1776728275",
     "Ci7ANqUToDiwiRqnK7RnSvnZEHQ7j6uTYr3AouH5P1U="),
    ("k", "4c9a31a5bb61db65d10f1210d78cc08a", "1769670760", "AE95MA5Y9Ko4D7Bl9CtupJOlqccDyKfsRVRJ/a1FhE8="),
]  # fmt: skip


def from_timestamp(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(("key", "task_id", "timestamp", "signature"), VECTORS)
def test_signatures_match_the_examples_of_the_protocol_notes(
    key: str, task_id: str, timestamp: str, signature: str
) -> None:
    now = from_timestamp(int(timestamp))
    assert sign_callback(key, task_id, timestamp) == signature
    assert verify_signature(key, task_id, timestamp, signature, now=now)
    assert verify_signature(key, task_id, timestamp, signature, now=now.astimezone(timezone(timedelta(hours=8))))
    assert not verify_signature(key + "x", task_id, timestamp, signature, now=now)
    assert not verify_signature(key, OTHER, timestamp, signature, now=now)
    assert not verify_signature(key, task_id, str(int(timestamp) + 1), signature, now=now)


def test_f31_a_stale_or_future_timestamp_is_refused_at_the_tolerance() -> None:
    key, task_id, timestamp, signature = VECTORS[0]
    sent = int(timestamp)
    for shift, is_valid in ((-301, False), (-300, True), (0, True), (300, True), (301, False)):
        assert verify_signature(key, task_id, timestamp, signature, now=from_timestamp(sent + shift)) is is_valid
    assert verify_signature(key, task_id, timestamp, signature, now=from_timestamp(sent + 3000), tolerance_s=3000)


@pytest.mark.parametrize("timestamp", ["", "abc", "-1", "1e9", " 1769670760", "١٧٦٩٦٧٠٧٦٠", "9" * 500, "1769670760.0"])
def test_a_timestamp_that_is_not_a_plain_number_is_refused(timestamp: str) -> None:
    signature = sign_callback("k", TASK, timestamp)
    assert not verify_signature("k", TASK, timestamp, signature, now=from_timestamp(1769670760))


@pytest.mark.parametrize("signature", ["", "é", "\ud800", "x" * 10_000, VECTORS[2][3] + "=", VECTORS[2][3].lower()])
def test_a_wrong_signature_of_any_form_is_refused(signature: str) -> None:
    assert not verify_signature("k", VECTORS[2][1], "1769670760", signature, now=from_timestamp(1769670760))


def test_without_a_key_no_signature_is_valid() -> None:
    assert not verify_signature(
        "", TASK, "1769670760", sign_callback("", TASK, "1769670760"), now=from_timestamp(1769670760)
    )


def test_f30_a_forged_body_gives_only_a_task_id_and_a_claim() -> None:
    forged = {
        "code": 200,
        "data": {"taskId": OTHER, "info": {"resultUrls": ["http://169.254.169.254/latest"]}, "creditsConsumed": 1},
    }
    hint = parse_callback(json.dumps(forged).encode(), JSON)
    assert hint == CallbackHint(provider_task_id=OTHER, claims=ReportState.SUCCEEDED, well_formed=True)
    assert "169.254" not in repr(hint)


MALFORMED: list[tuple[str, bytes, str, str]] = [
    ("another type", VALID_BODY, "text/plain", TASK),
    ("a form", b"taskId=1", "application/x-www-form-urlencoded", ""),
    ("nothing", b"", JSON, ""),
    ("bad JSON", b'{"code":200,', JSON, ""),
    ("two values", VALID_BODY + VALID_BODY, JSON, ""),
    ("bad UTF-8", b'{"data":{"taskId":"\xff\xfe"}}', JSON, ""),
    ("UTF-16", VALID_BODY.decode().encode("utf-16"), JSON, ""),
    ("a byte order mark", b"\xef\xbb\xbf" + VALID_BODY, JSON, ""),
    ("depth of lists", b"[" * 10_000 + b"]" * 10_000, JSON, ""),
    ("depth of objects", b'{"data":' * 10_000 + b"1" + b"}" * 10_000, JSON, ""),
    ("NaN", b'{"code":NaN,"data":{"taskId":"' + TASK.encode() + b'"}}', JSON, TASK),
    ("Infinity", b'{"code":-Infinity,"data":{"taskId":"' + TASK.encode() + b'"}}', JSON, TASK),
    ("duplicate keys", b'{"code":200,"code":500,"data":{"taskId":"' + TASK.encode() + b'"}}', JSON, TASK),
    ("a long number", b'{"code":' + b"9" * 5000 + b"}", JSON, ""),
    ("a list", b"[]", JSON, ""),
    ("null", b"null", JSON, ""),
    ("a text", b'"x"', JSON, ""),
    ("a number", b"5", JSON, ""),
    ("no id", b"{}", JSON, ""),
    ("a number as id", b'{"data":{"taskId":5}}', JSON, ""),
    ("an id with invalid characters", b'{"data":{"taskId":"../x"}}', JSON, ""),
    ("an id with a line end", b'{"data":{"taskId":"abc\\n"}}', JSON, ""),
    ("an id too long", b'{"data":{"taskId":"' + b"x" * 161 + b'"}}', JSON, ""),
    ("data a list", b'{"code":200,"data":[]}', JSON, ""),
]


@pytest.mark.parametrize(("name", "body", "content_type", "task_id"), MALFORMED, ids=[row[0] for row in MALFORMED])
def test_f33_a_malformed_body_is_reported_as_malformed(name: str, body: bytes, content_type: str, task_id: str) -> None:
    hint = parse_callback(body, content_type)
    assert not hint.well_formed
    assert hint.problem
    assert hint.provider_task_id == task_id


@pytest.mark.parametrize("content_type", [JSON, "application/json; charset=utf-8", "APPLICATION/JSON", "", "text/json",
                                          "application/vnd.kie+json"])  # fmt: skip
def test_several_content_types_count_as_json(content_type: str) -> None:
    assert parse_callback(VALID_BODY, content_type).well_formed


@pytest.mark.parametrize("info", [{}, {"resultUrls": None}, {"resultUrls": []}, {"resultUrls": ""}, None, "x"])
def test_f34_a_claimed_success_without_urls_is_still_only_a_claim(info: object) -> None:
    body = json.dumps({"code": 200, "data": {"taskId": TASK, "info": info}}).encode()
    assert parse_callback(body, JSON) == CallbackHint(
        provider_task_id=TASK, claims=ReportState.SUCCEEDED, well_formed=True
    )


@pytest.mark.parametrize("flag", [4, "x", True, [], {}, -1])
def test_f35_an_unknown_flag_claims_nothing(flag: object) -> None:
    body = json.dumps({"code": 200, "data": {"taskId": TASK, "successFlag": flag}}).encode()
    assert parse_callback(body, JSON).claims is ReportState.UNCLEAR


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(
    ["code", "msg", "data", "taskId", "task_id", "info", "successFlag", "status", "state", "resultUrls"]
)
callback_like_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(TASK),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6),
    max_leaves=20,
)


@given(st.binary(max_size=300), st.text(max_size=40))
def test_f33_any_bytes_of_any_type_are_parsed_without_an_error(body: bytes, content_type: str) -> None:
    assert isinstance(parse_callback(body, content_type), CallbackHint)


@given(any_json | callback_like_json)
def test_f33_any_json_is_parsed_without_an_error(value: object) -> None:
    hint = parse_callback(json.dumps(value).encode(), JSON)
    assert isinstance(hint, CallbackHint)
    assert len(hint.provider_task_id) <= 160
    assert hint.well_formed == (not hint.problem)


def test_f33_deep_nesting_is_parsed_close_to_the_recursion_limit() -> None:
    for depth in range(sys.getrecursionlimit() - 200, sys.getrecursionlimit() + 200, 20):
        body = b'{"data":' * depth + b"1" + b"}" * depth
        assert isinstance(parse_callback(body, JSON), CallbackHint)

"""The free calls of the client: balance, links, uploads."""

import base64
import hashlib
from decimal import Decimal
from typing import Any

import pytest
import responses

from tests.videos.providers.conftest import API, KEY, UPLOADS
from tests.videos.providers.kie.sent_requests import sent_json
from tests.videos.providers.kie_replies import (
    CREDIT,
    LINK,
    VIDEO,
    add_response,
    make_envelope,
)
from videos.providers import errors
from videos.providers.kie.client import Kie

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 60

UPLOADED = {
    "success": True,
    "code": 200,
    "msg": "File uploaded successfully",
    "data": {
        "success": True,
        "fileName": "first.png",
        "filePath": "kieai/136592/veoapp/first.png",
        "downloadUrl": "https://tempfile.redpandaai.co/kieai/136592/veoapp/first.png",
        "fileSize": 68,
        "mimeType": "image/png",
        "uploadedAt": "2026-04-16T07:19:12.862Z",
    },
}


@pytest.fixture(autouse=True)
def http_mock() -> Any:
    with responses.mock:
        yield


@pytest.mark.parametrize(
    ("data", "balance"), [(5916.25, "5916.25"), (0, "0"), (100, "100"), ("37.5", "37.5"), (-12.5, "-12.5")]
)
def test_the_balance_is_an_exact_decimal(kie: Kie, data: object, balance: str) -> None:
    add_response(CREDIT, make_envelope(data=data))
    assert kie.balance() == Decimal(balance)


@pytest.mark.parametrize("data", [None, "lots", True, [], {}, {"credits": 5}])
def test_a_balance_that_is_not_a_number_ends_in_no_answer(kie: Kie, data: object) -> None:
    add_response(CREDIT, make_envelope(data=data))
    with pytest.raises(errors.NoAnswer):
        kie.balance()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400", "1e999999999999999999999", "9" * 5000])
def test_a_balance_too_large_for_a_number_ends_in_no_answer(kie: Kie, number: str) -> None:
    add_response(CREDIT, f'{{"code":200,"msg":"success","data":{number}}}')
    with pytest.raises(errors.NoAnswer):
        kie.balance()


def test_a_fresh_link_is_requested_for_a_result(kie: Kie) -> None:
    signed = "https://x.r2.cloudflarestorage.com/v/x.mp4?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=ab"
    add_response(LINK, make_envelope(data=signed))
    assert kie.fresh_url(VIDEO) == signed
    assert sent_json() == {"url": VIDEO}


def test_a_fresh_link_for_another_url_ends_in_no_answer(kie: Kie) -> None:
    add_response(LINK, make_envelope(422, "url is wrong"))
    with pytest.raises(errors.NoAnswer) as caught:
        kie.fresh_url("https://example.com/x.mp4")
    assert caught.value.provider_code == 422


def test_a_small_file_is_uploaded_as_base64(kie: Kie) -> None:
    add_response(("POST", f"{UPLOADS}/api/file-base64-upload"), UPLOADED)
    url = kie.upload(PNG, file_name="first.png", mime_type="image/png")
    assert url == "https://tempfile.redpandaai.co/kieai/136592/veoapp/first.png"
    body = sent_json()
    head, _, data = body["base64Data"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == PNG
    assert body["fileName"] == "first.png"
    assert body["uploadPath"] == f"veoapp/{hashlib.sha256(PNG).hexdigest()[:32]}"


def test_a_large_file_is_uploaded_as_a_stream(kie: Kie) -> None:
    add_response(("POST", f"{UPLOADS}/api/file-stream-upload"), UPLOADED)
    content = b"x" * 10_000_001
    assert kie.upload(content, file_name="big.png", mime_type="image/png")
    request = responses.calls[-1].request
    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    body = request.body
    assert isinstance(body, bytes)
    assert b'name="uploadPath"' in body
    assert b'name="file"; filename="big.png"\r\nContent-Type: image/png' in body
    assert content in body


def test_a_public_file_is_fetched_by_the_provider(kie: Kie) -> None:
    add_response(("POST", f"{UPLOADS}/api/file-url-upload"), {**UPLOADED, "data": {"fileUrl": "https://x.test/a.png"}})
    assert kie.upload_url("https://studio.test/a.png", file_name="a.png") == "https://x.test/a.png"
    assert sent_json()["fileUrl"] == "https://studio.test/a.png"


@pytest.mark.parametrize(("name", "safe"), [("../../etc/passwd", "etc-passwd"), ("灯塔.png", "png"), ("", "file"),
                                            ('a"\r\nb.png', "a-b.png"), ("x" * 300 + ".png", "x" * 76 + ".png")])  # fmt: skip
def test_a_file_name_is_made_safe(kie: Kie, name: str, safe: str) -> None:
    add_response(("POST", f"{UPLOADS}/api/file-base64-upload"), UPLOADED)
    kie.upload(PNG, file_name=name, mime_type="image/png")
    assert sent_json()["fileName"] == safe


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    "body",
    [
        {"success": False, "code": 400, "msg": "bad"},
        {"success": False, "code": 200, "msg": "bad", "data": {"downloadUrl": "https://x.test/a"}},
        {"success": True, "code": 200, "data": None},
        {"success": True, "code": 200, "data": {"success": False, "downloadUrl": "https://x.test/a"}},
        "<html>",
    ],
)
def test_an_upload_without_a_url_ends_in_no_answer(kie: Kie, body: object, status: int) -> None:
    add_response(("POST", f"{UPLOADS}/api/file-base64-upload"), body, status=status)
    with pytest.raises(errors.NoAnswer):
        kie.upload(PNG, file_name="a.png", mime_type="image/png")


@pytest.mark.parametrize("provider_task_id", ["", "a b", "../x", "x" * 161, "a\n", "é"])
def test_malformed_ids_are_not_sent(kie: Kie, provider_task_id: str) -> None:
    with pytest.raises(errors.NotVisible):
        kie.report(provider_task_id)
    with pytest.raises(errors.Refused):
        kie.extend(provider_task_id, prompt="x")
    with pytest.raises(errors.Refused):
        kie.upscale_4k(provider_task_id)
    assert len(responses.calls) == 0


@pytest.mark.parametrize("key", ["", "  ", "a b", "key\r\nX-Evil: 1", "ключ", "a\x00"])
def test_a_key_that_is_invalid_in_a_header_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as caught:
        Kie(key, API, UPLOADS)
    assert len(key.strip()) < 2 or key not in str(caught.value)


def test_a_key_may_be_pasted_with_white_space_around_it() -> None:
    add_response(CREDIT, make_envelope(data=1))
    Kie(f" {KEY}\n", f"{API}/", UPLOADS).balance()
    assert responses.calls[-1].request.headers["Authorization"] == f"Bearer {KEY}"

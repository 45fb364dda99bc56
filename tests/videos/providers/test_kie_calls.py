"""What each call of the client sends, and what it makes of a good answer."""

import base64
import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest
import responses

from tests.videos.providers.conftest import API, KEY, UPLOADS
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
    VIDEO,
    a_request,
    answers,
    envelope,
    record,
)
from videos.providers import errors
from videos.providers.base import GenerationType, Provider
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


def sent_json() -> dict[str, Any]:
    body = responses.calls[-1].request.body
    assert body is not None
    value = json.loads(body)
    assert isinstance(value, dict)
    return value


@pytest.fixture(autouse=True)
def wire() -> Any:
    with responses.mock:
        yield


def test_a_kie_is_a_provider(kie: Kie) -> None:
    provider: Provider = kie
    assert provider.name == "kie"


def test_generate_sends_every_choice_explicitly(kie: Kie) -> None:
    answers(GENERATE, envelope(data={"taskId": TASK}))
    assert kie.submit(a_request()) == TASK
    assert sent_json() == {
        "prompt": "A lighthouse at dusk",
        "model": "veo3_fast",
        "generationType": "TEXT_2_VIDEO",
        "aspect_ratio": "16:9",
        "resolution": "720p",
        "duration": 8,
        "enableTranslation": True,
        "callBackUrl": CALLBACK,
    }


def test_generate_sends_images_seed_and_watermark_when_there_are_any(kie: Kie) -> None:
    answers(GENERATE, envelope(data={"taskId": TASK}))
    kie.submit(
        a_request(
            generation_type=GenerationType.FRAMES,
            image_urls=("https://a.test/1.png", "https://a.test/2.png"),
            seed=10000,
            watermark="veoapp",
            enable_translation=False,
            callback_url="",
        )
    )
    body = sent_json()
    assert body["imageUrls"] == ["https://a.test/1.png", "https://a.test/2.png"]
    assert (body["seeds"], body["watermark"], body["enableTranslation"]) == (10000, "veoapp", False)
    assert body["generationType"] == "FIRST_AND_LAST_FRAMES_2_VIDEO"
    assert "callBackUrl" not in body


def test_every_request_carries_our_name_the_key_and_its_type(kie: Kie) -> None:
    answers(GENERATE, envelope(data={"taskId": TASK}))
    answers(RECORD, record())
    kie.submit(a_request())
    kie.report(TASK)
    for call in responses.calls:
        headers = call.request.headers
        assert headers["User-Agent"] == "veoapp/0.1 (+self-hosted)"
        assert headers["Authorization"] == f"Bearer {KEY}"
        assert headers["Content-Type"] == "application/json"
        assert headers["Accept-Encoding"] == "identity"
    assert responses.calls[-1].request.url == f"{API}/api/v1/veo/record-info?taskId={TASK}"


def test_an_emoji_a_lone_surrogate_and_a_long_prompt_leave_unharmed(kie: Kie) -> None:
    answers(GENERATE, envelope(data={"taskId": TASK}))
    for prompt in ("🎬 灯塔", "\ud800", "x" * 5000, 'quote " and \\ and \n'):
        kie.submit(a_request(prompt=prompt))
        assert sent_json()["prompt"] == prompt


@pytest.mark.parametrize(("model", "named"), [("veo3", "quality"), ("veo3_fast", "fast"), ("veo3_lite", "lite"),
                                              ("quality", "quality")])  # fmt: skip
def test_extend_has_its_own_names_for_models(kie: Kie, model: str, named: str) -> None:
    answers(EXTEND, envelope(data={"taskId": OTHER}))
    assert kie.extend(TASK, prompt="and then", model=model, seed=12345, callback_url=CALLBACK) == OTHER
    assert sent_json() == {
        "taskId": TASK,
        "prompt": "and then",
        "model": named,
        "seeds": 12345,
        "callBackUrl": CALLBACK,
    }


# 1080p and 4K.


def test_1080p_is_ready_with_its_url(kie: Kie) -> None:
    answers(HD, envelope(data={"resultUrl": VIDEO}))
    report = kie.upscale_1080p(TASK, index=1)
    assert (report.ready, report.url, report.oddities) == (True, VIDEO, ())
    assert responses.calls[-1].request.url == f"{HD[1]}?taskId={TASK}&index=1"


@pytest.mark.parametrize("status", [200, 0])
@pytest.mark.parametrize("code", [400, 422])
@pytest.mark.parametrize(
    "words",
    [
        "1080P is processing. It should be ready in 1-2 minutes. Please check back shortly.",
        "The video is not ready",
        "The 1080P version is being generated, please try again later",
    ],
)
def test_1080p_that_is_processing_is_not_ready_and_no_error(kie: Kie, code: int, words: str, status: int) -> None:
    answers(HD, envelope(code, words), status=status or code)
    report = kie.upscale_1080p(TASK)
    assert (report.ready, report.url, report.message) == (False, "", words)


def test_1080p_without_a_url_is_not_ready(kie: Kie) -> None:
    answers(HD, envelope())
    assert not kie.upscale_1080p(TASK).ready


@pytest.mark.parametrize(
    "data",
    [
        {"response": {"resultUrls": [VIDEO]}},
        {"resultUrls": [VIDEO]},
        {"url": VIDEO},
        {"videoUrl": VIDEO},
        {"info": {"resultUrls": [VIDEO]}},
    ],
)
def test_1080p_finds_the_url_where_other_clients_looked(kie: Kie, data: object) -> None:
    answers(HD, envelope(data=data))
    assert kie.upscale_1080p(TASK).url == VIDEO


def test_4k_is_ordered_then_processing_then_ready(kie: Kie) -> None:
    nothing = {"taskId": OTHER, "resultUrls": None, "imageUrls": None}
    words = "4k is processing. It should be ready in 5-10 minutes. Please check back shortly."
    answers(UHD, envelope(data=nothing))
    answers(UHD, envelope(422, words, nothing))
    answers(UHD, envelope(422, "The video has been generated successfully", nothing | {"resultUrls": [VIDEO]}))
    first = kie.upscale_4k(TASK, callback_url=CALLBACK)
    assert (first.ready, first.provider_task_id) == (False, OTHER)
    assert sent_json() == {"taskId": TASK, "index": 0, "callBackUrl": CALLBACK}
    second = kie.upscale_4k(TASK)
    assert (second.ready, second.message) == (False, words)
    third = kie.upscale_4k(TASK)
    assert (third.ready, third.url, third.oddities) == (True, VIDEO, ())


def test_4k_says_what_it_cost_when_the_provider_does(kie: Kie) -> None:
    answers(UHD, envelope(data={"taskId": TASK, "resultUrls": [VIDEO], "creditsConsumed": 120}))
    assert kie.upscale_4k(TASK).provider_credits == Decimal(120)


@pytest.mark.parametrize(
    ("code", "words", "wanted"),
    [
        (400, "Fallback videos cannot be upgraded", errors.Refused),
        (422, "record is null", errors.Refused),
        (404, "task not found", errors.Refused),
        (402, NO_CREDITS, errors.OutOfCredits),
        (429, "Your call frequency is too high. Please try again later.", errors.RateLimited),
        (500, "Internal Error, Please try again later.", errors.Unconfirmed),
    ],
)
def test_an_upscale_that_will_not_come_is_an_error_of_a_paid_call(
    kie: Kie, code: int, words: str, wanted: type[errors.ProviderError]
) -> None:
    for call, ask in ((HD, kie.upscale_1080p), (UHD, kie.upscale_4k)):
        answers(call, envelope(code, words))
        with pytest.raises(wanted):
            ask(TASK)


# Balance, links.


@pytest.mark.parametrize(
    ("data", "balance"), [(5916.25, "5916.25"), (0, "0"), (100, "100"), ("37.5", "37.5"), (-12.5, "-12.5")]
)
def test_the_balance_is_an_exact_decimal(kie: Kie, data: object, balance: str) -> None:
    answers(CREDIT, envelope(data=data))
    assert kie.balance() == Decimal(balance)


@pytest.mark.parametrize("data", [None, "lots", True, [], {}, {"credits": 5}])
def test_a_balance_that_is_no_number_is_no_answer(kie: Kie, data: object) -> None:
    answers(CREDIT, envelope(data=data))
    with pytest.raises(errors.NoAnswer):
        kie.balance()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e400", "1e999999999999999999999", "9" * 5000])
def test_a_balance_beyond_numbers_is_no_answer(kie: Kie, number: str) -> None:
    answers(CREDIT, f'{{"code":200,"msg":"success","data":{number}}}')
    with pytest.raises(errors.NoAnswer):
        kie.balance()


def test_a_fresh_link_is_minted_for_a_result(kie: Kie) -> None:
    signed = "https://x.r2.cloudflarestorage.com/v/x.mp4?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=ab"
    answers(LINK, envelope(data=signed))
    assert kie.fresh_url(VIDEO) == signed
    assert sent_json() == {"url": VIDEO}


def test_a_link_for_a_foreign_url_is_no_answer(kie: Kie) -> None:
    answers(LINK, envelope(422, "url is wrong"))
    with pytest.raises(errors.NoAnswer) as caught:
        kie.fresh_url("https://example.com/x.mp4")
    assert caught.value.provider_code == 422


# Uploads.


def test_a_small_file_goes_up_as_base64(kie: Kie) -> None:
    answers(("POST", f"{UPLOADS}/api/file-base64-upload"), UPLOADED)
    url = kie.upload(PNG, file_name="first.png", mime_type="image/png")
    assert url == "https://tempfile.redpandaai.co/kieai/136592/veoapp/first.png"
    body = sent_json()
    head, _, data = body["base64Data"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == PNG
    assert body["fileName"] == "first.png"
    assert body["uploadPath"] == f"veoapp/{hashlib.sha256(PNG).hexdigest()[:32]}"


def test_a_large_file_goes_up_as_a_stream(kie: Kie) -> None:
    answers(("POST", f"{UPLOADS}/api/file-stream-upload"), UPLOADED)
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
    answers(("POST", f"{UPLOADS}/api/file-url-upload"), {**UPLOADED, "data": {"fileUrl": "https://x.test/a.png"}})
    assert kie.upload_url("https://studio.test/a.png", file_name="a.png") == "https://x.test/a.png"
    assert sent_json()["fileUrl"] == "https://studio.test/a.png"


@pytest.mark.parametrize(("name", "safe"), [("../../etc/passwd", "etc-passwd"), ("灯塔.png", "png"), ("", "file"),
                                            ('a"\r\nb.png', "a-b.png"), ("x" * 300 + ".png", "x" * 76 + ".png")])  # fmt: skip
def test_a_file_name_is_made_safe(kie: Kie, name: str, safe: str) -> None:
    answers(("POST", f"{UPLOADS}/api/file-base64-upload"), UPLOADED)
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
def test_an_upload_without_a_url_is_no_answer(kie: Kie, body: object, status: int) -> None:
    answers(("POST", f"{UPLOADS}/api/file-base64-upload"), body, status=status)
    with pytest.raises(errors.NoAnswer):
        kie.upload(PNG, file_name="a.png", mime_type="image/png")


# What never leaves.


@pytest.mark.parametrize("provider_task_id", ["", "a b", "../x", "x" * 161, "a\n", "é"])
def test_nonsense_ids_are_not_asked_about(kie: Kie, provider_task_id: str) -> None:
    with pytest.raises(errors.NotVisible):
        kie.report(provider_task_id)
    with pytest.raises(errors.Refused):
        kie.extend(provider_task_id, prompt="x")
    with pytest.raises(errors.Refused):
        kie.upscale_4k(provider_task_id)
    assert len(responses.calls) == 0


@pytest.mark.parametrize("key", ["", "  ", "a b", "key\r\nX-Evil: 1", "ключ", "a\x00"])
def test_a_key_that_no_header_may_carry_is_refused_at_once_and_not_repeated(key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as caught:
        Kie(key, API, UPLOADS)
    assert len(key.strip()) < 2 or key not in str(caught.value)


def test_a_key_may_be_pasted_with_white_space_around_it() -> None:
    answers(CREDIT, envelope(data=1))
    Kie(f" {KEY}\n", f"{API}/", UPLOADS).balance()
    assert responses.calls[-1].request.headers["Authorization"] == f"Bearer {KEY}"

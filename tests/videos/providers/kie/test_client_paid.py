"""The paid calls of the client: what each sends, and how a successful response is read."""

from decimal import Decimal
from typing import Any

import pytest
import responses

from tests.videos.providers.conftest import API, KEY
from tests.videos.providers.kie.sent_requests import sent_json
from tests.videos.providers.kie_replies import (
    CALLBACK,
    EXTEND,
    GENERATE,
    HD,
    NO_CREDITS,
    OTHER,
    RECORD,
    TASK,
    UHD,
    VIDEO,
    add_response,
    make_envelope,
    make_record,
    make_request,
)
from videos.providers import errors
from videos.providers.base import GenerationType, Provider
from videos.providers.kie.client import Kie


@pytest.fixture(autouse=True)
def http_mock() -> Any:
    with responses.mock:
        yield


def test_the_client_implements_the_provider_interface(kie: Kie) -> None:
    provider: Provider = kie
    assert provider.name == "kie"


def test_generate_sends_every_option_explicitly(kie: Kie) -> None:
    add_response(GENERATE, make_envelope(data={"taskId": TASK}))
    assert kie.submit(make_request()) == TASK
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
    add_response(GENERATE, make_envelope(data={"taskId": TASK}))
    kie.submit(
        make_request(
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


def test_every_request_has_our_user_agent_the_key_and_its_content_type(kie: Kie) -> None:
    add_response(GENERATE, make_envelope(data={"taskId": TASK}))
    add_response(RECORD, make_record())
    kie.submit(make_request())
    kie.report(TASK)
    for call in responses.calls:
        headers = call.request.headers
        assert headers["User-Agent"] == "veoapp/0.1 (+self-hosted)"
        assert headers["Authorization"] == f"Bearer {KEY}"
        assert headers["Content-Type"] == "application/json"
        assert headers["Accept-Encoding"] == "identity"
    assert responses.calls[-1].request.url == f"{API}/api/v1/veo/record-info?taskId={TASK}"


def test_an_emoji_a_lone_surrogate_and_a_long_prompt_are_sent_unchanged(kie: Kie) -> None:
    add_response(GENERATE, make_envelope(data={"taskId": TASK}))
    for prompt in ("🎬 灯塔", "\ud800", "x" * 5000, 'quote " and \\ and \n'):
        kie.submit(make_request(prompt=prompt))
        assert sent_json()["prompt"] == prompt


@pytest.mark.parametrize(("model", "sent_model"), [("veo3", "quality"), ("veo3_fast", "fast"), ("veo3_lite", "lite"),
                                              ("quality", "quality")])  # fmt: skip
def test_extend_has_its_own_names_for_models(kie: Kie, model: str, sent_model: str) -> None:
    add_response(EXTEND, make_envelope(data={"taskId": OTHER}))
    assert kie.extend(TASK, prompt="and then", model=model, seed=12345, callback_url=CALLBACK) == OTHER
    assert sent_json() == {
        "taskId": TASK,
        "prompt": "and then",
        "model": sent_model,
        "seeds": 12345,
        "callBackUrl": CALLBACK,
    }


def test_1080p_is_ready_with_its_url(kie: Kie) -> None:
    add_response(HD, make_envelope(data={"resultUrl": VIDEO}))
    report = kie.upscale_1080p(TASK, index=1)
    assert (report.ready, report.url, report.oddities) == (True, VIDEO, ())
    assert responses.calls[-1].request.url == f"{HD[1]}?taskId={TASK}&index=1"


@pytest.mark.parametrize("status", [200, 0])
@pytest.mark.parametrize("code", [400, 422])
@pytest.mark.parametrize(
    "message",
    [
        "1080P is processing. It should be ready in 1-2 minutes. Please check back shortly.",
        "The video is not ready",
        "The 1080P version is being generated, please try again later",
    ],
)
def test_1080p_that_is_processing_is_not_ready_and_no_error(kie: Kie, code: int, message: str, status: int) -> None:
    add_response(HD, make_envelope(code, message), status=status or code)
    report = kie.upscale_1080p(TASK)
    assert (report.ready, report.url, report.message) == (False, "", message)


def test_1080p_without_a_url_is_not_ready(kie: Kie) -> None:
    add_response(HD, make_envelope())
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
def test_1080p_reads_the_url_from_other_known_fields(kie: Kie, data: object) -> None:
    add_response(HD, make_envelope(data=data))
    assert kie.upscale_1080p(TASK).url == VIDEO


def test_4k_is_started_then_processing_then_ready(kie: Kie) -> None:
    no_urls = {"taskId": OTHER, "resultUrls": None, "imageUrls": None}
    message = "4k is processing. It should be ready in 5-10 minutes. Please check back shortly."
    add_response(UHD, make_envelope(data=no_urls))
    add_response(UHD, make_envelope(422, message, no_urls))
    add_response(
        UHD, make_envelope(422, "The video has been generated successfully", no_urls | {"resultUrls": [VIDEO]})
    )
    first = kie.upscale_4k(TASK, callback_url=CALLBACK)
    assert (first.ready, first.provider_task_id) == (False, OTHER)
    assert sent_json() == {"taskId": TASK, "index": 0, "callBackUrl": CALLBACK}
    second = kie.upscale_4k(TASK)
    assert (second.ready, second.message) == (False, message)
    third = kie.upscale_4k(TASK)
    assert (third.ready, third.url, third.oddities) == (True, VIDEO, ())


def test_4k_reports_its_cost_when_the_provider_states_it(kie: Kie) -> None:
    add_response(UHD, make_envelope(data={"taskId": TASK, "resultUrls": [VIDEO], "creditsConsumed": 120}))
    assert kie.upscale_4k(TASK).provider_credits == Decimal(120)


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (400, "Fallback videos cannot be upgraded", errors.Refused),
        (422, "record is null", errors.Refused),
        (404, "task not found", errors.Refused),
        (402, NO_CREDITS, errors.OutOfCredits),
        (429, "Your call frequency is too high. Please try again later.", errors.RateLimited),
        (500, "Internal Error, Please try again later.", errors.Unconfirmed),
    ],
)
def test_an_upscale_that_failed_is_an_error_of_a_paid_call(
    kie: Kie, code: int, message: str, error: type[errors.ProviderError]
) -> None:
    for call, upscale in ((HD, kie.upscale_1080p), (UHD, kie.upscale_4k)):
        add_response(call, make_envelope(code, message))
        with pytest.raises(error):
            upscale(TASK)

"""The API of kie.ai: requests, responses, limits and the price feed."""

import re
import time
from typing import Any

import pytest
import requests

from tests.sandbox import SandboxProcess
from tests.videos.sandbox.conftest import AGENT, Kie

HEX_ID = re.compile(r"[0-9a-f]{32}")


def test_generate_answers_with_a_task_id(kie: Kie) -> None:
    response = kie.post("/api/v1/veo/generate", {"prompt": "A quiet sea"})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json;charset=UTF-8"
    body = response.json()
    assert (body["code"], body["msg"], list(body["data"])) == (200, "success", ["taskId"])
    assert HEX_ID.fullmatch(body["data"]["taskId"])


def test_record_info_has_the_real_key_set_and_times(kie: Kie) -> None:
    started = time.time()
    task_id = kie.start_task("A quiet sea", aspect_ratio="9:16", seeds=61668, watermark="me")
    running = kie.record_info(task_id)["data"]
    assert (running["successFlag"], running["response"], running["completeTime"]) == (0, None, None)
    record = kie.wait_until_done(task_id)
    expected = {"taskId", "paramJson", "response", "successFlag", "fallbackFlag", "completeTime", "createTime"}
    assert set(record) == expected | {"errorCode", "errorMessage"}
    assert record["createTime"] % 1000 == 0
    assert started - 2 < record["createTime"] / 1000 <= record["completeTime"] / 1000 < time.time() + 1
    response = record["response"]
    assert set(response) == {
        "taskId",
        "resolution",
        "originUrls",
        "resultUrls",
        "fullResultUrls",
        "hasAudioList",
        "seeds",
    }
    assert (response["seeds"], response["hasAudioList"], response["resolution"]) == ([61668], [True], "720p")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v/[0-9a-f]{32}_\d{10}\.mp4", response["resultUrls"][0])
    assert len(response["originUrls"]) == 1
    for echoed in ('"aspectRatio":"9:16"', '"waterMark":"me"', '"prompt":"A quiet sea"'):
        assert echoed in record["paramJson"]


def test_a_new_task_is_invisible_for_a_moment(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.settings(invisible_s=30, times_s=[60, 60, 60])
    task_id = kie.start_task()
    assert kie.record_info(task_id) == {"code": 422, "msg": "record is null", "data": None}
    sandbox.settings(invisible_as="null")
    assert kie.record_info(task_id) == {"code": 200, "msg": "success", "data": None}
    sandbox.advance(31)
    assert kie.record_info(task_id)["data"]["successFlag"] == 0


def test_records_are_served_for_fourteen_days(sandbox: SandboxProcess, kie: Kie) -> None:
    task_id = kie.start_task()
    kie.wait_until_done(task_id)
    sandbox.advance(15 * 86400)
    assert kie.record_info(task_id)["msg"] == "Temporarily supports records within 14 days"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": ""},
        {"Authorization": "Bearer sandbox", "Content-Type": "text/plain"},
    ],
)
def test_missing_or_wrong_headers_are_refused(sandbox: SandboxProcess, headers: dict[str, str]) -> None:
    all_headers = {"Content-Type": "application/json", "User-Agent": AGENT, **headers}
    response = requests.post(
        sandbox.url + "/api/v1/veo/generate", data=b'{"prompt":"x"}', headers=all_headers, timeout=10
    )
    assert response.status_code == 200
    assert response.json() == {"code": 401, "msg": "You do not have access permissions", "data": None}
    assert sandbox.list_accepted() == []


def test_error_codes_are_http_statuses_if_set(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.settings(http_errors=True)
    assert kie.post("/api/v1/veo/generate", {}).status_code == 422
    kie.session.headers["Authorization"] = "Bearer wrong"
    assert kie.get("/api/v1/chat/credit").status_code == 401


@pytest.mark.parametrize(
    "invalid_fields",
    [
        {"prompt": ""},
        {"prompt": 5},
        {"prompt": None},
        {"model": "veo4"},
        {"aspect_ratio": "1:1"},
        {"aspectRatio": "1:1"},
        {"resolution": "8k"},
        {"duration": 5},
        {"duration": "8"},
        {"duration": True},
        {"seeds": 9999},
        {"seeds": "12345"},
        {"enableTranslation": "yes"},
        {"watermark": 1},
        {"callBackUrl": 1},
        {"callBackUrl": "somewhere"},
        {"imageUrls": "http://127.0.0.1/a.png"},
        {"imageUrls": ["a.png"]},
        {"imageUrls": ["http://h/1", "http://h/2", "http://h/3"]},
        {"generationType": "FIRST_AND_LAST_FRAMES_2_VIDEO"},
        {"generationType": "REFERENCE_2_VIDEO"},
        {"generationType": "REFERENCE_2_VIDEO", "imageUrls": ["http://h/1"], "model": "veo3"},
        {"generationType": "REFERENCE_2_VIDEO", "imageUrls": ["http://h/1"], "duration": 4},
        {"generationType": "SOMETHING"},
    ],
)
def test_invalid_types_and_values_give_422_and_cost_nothing(
    sandbox: SandboxProcess, kie: Kie, invalid_fields: dict[str, Any]
) -> None:
    body = {key: value for key, value in {"prompt": "A quiet sea", **invalid_fields}.items() if value is not None}
    response = kie.post("/api/v1/veo/generate", body)
    assert (response.status_code, response.json()["code"]) == (200, 422)
    assert sandbox.list_accepted() == []
    assert kie.credit() == 5000


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"[" * 5000, b"\xff\xfe"])
def test_bodies_that_are_not_objects_give_422(sandbox: SandboxProcess, kie: Kie, body: bytes) -> None:
    response = kie.session.post(
        sandbox.url + "/api/v1/veo/generate", data=body, headers={"Content-Type": "application/json"}, timeout=10
    )
    assert (response.status_code, response.json()["code"]) == (200, 422)


def test_both_spellings_of_the_aspect_ratio_are_accepted_and_the_new_one_wins(kie: Kie) -> None:
    old = kie.wait_until_done(kie.start_task(aspectRatio="9:16"))
    both = kie.wait_until_done(kie.start_task(aspectRatio="9:16", aspect_ratio="16:9"))
    assert '"aspectRatio":"9:16"' in old["paramJson"]
    assert '"aspectRatio":"16:9"' in both["paramJson"]


def test_unknown_paths_and_methods_get_error_envelopes(kie: Kie) -> None:
    assert kie.get("/api/v1/veo/nothing").json()["code"] == 404
    assert kie.get("/api/v1/veo/generate").json()["code"] == 405
    assert kie.post("/api/v1/chat/credit", {}).json()["code"] == 405
    assert kie.session.put(kie.url + "/api/v1/veo/generate", timeout=10).json()["code"] == 405
    assert kie.get("/").status_code == 404
    assert kie.get("/api/v1/jobs/recordInfo", taskId="x").json()["code"] == 404


def test_twenty_per_ten_seconds_then_http_429(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.speed(0.01)
    sandbox.balance(100_000)
    statuses = [kie.post("/api/v1/veo/generate", {"prompt": "x"}).status_code for _ in range(22)]
    assert statuses == [200] * 20 + [429] * 2
    assert len(sandbox.list_accepted()) == 20
    assert kie.get("/api/v1/chat/credit").status_code == 200
    assert kie.get("/api/v1/veo/record-info", taskId="x").status_code == 200
    refused = kie.post("/api/v1/veo/extend", {"taskId": "x", "prompt": "y"})
    assert refused.json() == {
        "code": 429,
        "msg": "Your call frequency is too high. Please try again later.",
        "data": None,
    }
    sandbox.advance(10.1)
    assert kie.post("/api/v1/veo/get-4k-video", {"taskId": "x"}).status_code == 200


def test_words_in_the_prompt_cause_a_failure(sandbox: SandboxProcess, kie: Kie) -> None:
    refused = kie.generate("A cat [refuse]")
    assert (refused["code"], refused["msg"]) == (
        400,
        "Your prompt was flagged by Website as violating content policies.",
    )
    failed = kie.wait_until_done(kie.start_task("A cat [fail]"))
    assert (failed["successFlag"], failed["errorCode"], failed["errorMessage"]) == (3, 422, "failed")
    stuck = kie.start_task("A cat [stuck]")
    sandbox.advance(3600)
    time.sleep(0.2)
    assert kie.record_info(stuck)["data"]["successFlag"] == 0
    with pytest.raises(requests.ConnectionError):
        kie.generate("A cat [lost]")
    assert len(sandbox.list_accepted()) == 3


def test_1080p_is_processing_first_then_has_a_url_and_costs_five_credits_once(
    sandbox: SandboxProcess, kie: Kie
) -> None:
    task_id = kie.start_task()
    path = "/api/v1/veo/get-1080p-video"
    assert kie.get(path, taskId=task_id).json()["msg"] == "record status is not success"
    kie.wait_until_done(task_id)
    before = kie.credit()
    busy = [kie.get(path, taskId=task_id, index=0).json() for _ in range(3)]
    assert {response["code"] for response in busy} == {400}
    assert busy[0]["msg"].startswith("1080P is processing.")
    sandbox.finish()
    done = kie.get(path, taskId=task_id).json()
    assert re.search(r"/p/[0-9a-f]{32}_\d+\.mp4$", done["data"]["resultUrl"])
    assert kie.get(path, taskId=task_id).json() == done
    assert before - kie.credit() == 5
    assert kie.get(path, taskId="0" * 32).json()["msg"] == "record is null"
    assert kie.get(path, taskId=task_id, index=3).json()["code"] == 422
    extended = kie.post("/api/v1/veo/extend", {"taskId": task_id, "prompt": "more"}).json()
    assert extended["code"] == 422


def test_4k_ends_in_a_422_with_the_result(sandbox: SandboxProcess, kie: Kie) -> None:
    task_id = kie.start_task()
    kie.wait_until_done(task_id)
    path, body = "/api/v1/veo/get-4k-video", {"taskId": task_id, "index": 0}
    before = kie.credit()
    accepted = kie.post(path, body).json()
    assert accepted == {
        "code": 200,
        "msg": "success",
        "data": {"taskId": task_id, "resultUrls": None, "imageUrls": None},
    }
    busy = kie.post(path, body).json()
    assert (busy["code"], busy["data"]) == (422, accepted["data"])
    assert busy["msg"] == "4k is processing. It should be ready in 5-10 minutes. Please check back shortly."
    sandbox.finish()
    done = kie.post(path, body).json()
    assert (done["code"], done["msg"]) == (422, "The video has been generated successfully")
    assert done["data"]["resultUrls"][0].endswith(".mp4")
    poster = kie.session.get(done["data"]["imageUrls"][0], timeout=60)
    assert (poster.status_code, poster.headers["Content-Type"], poster.content[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert before - kie.credit() == 120


def test_4k_can_have_its_own_task_id(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("4k-new-id")
    task_id = kie.start_task()
    kie.wait_until_done(task_id)
    new_id = kie.post("/api/v1/veo/get-4k-video", {"taskId": task_id}).json()["data"]["taskId"]
    assert new_id != task_id
    assert kie.record_info(new_id)["data"]["successFlag"] == 0
    sandbox.finish()
    record = kie.record_info(new_id)["data"]
    assert (record["successFlag"], record["response"]["resolution"]) == (1, "4k")
    assert record["response"]["mediaIds"]
    assert "fallbackFlag" not in record


def test_extend_needs_a_successful_task_and_joins_the_videos(sandbox: SandboxProcess, kie: Kie) -> None:
    path = "/api/v1/veo/extend"
    assert kie.post(path, {"taskId": "0" * 32, "prompt": "more"}).json()["code"] == 404
    running = kie.start_task()
    assert kie.post(path, {"taskId": running, "prompt": "more"}).json()["code"] == 422
    kie.wait_until_done(running)
    assert kie.post(path, {"taskId": running, "prompt": "more", "model": "veo3_fast"}).json()["code"] == 422
    assert kie.post(path, {"taskId": running}).json()["code"] == 422
    before = kie.credit()
    extension = kie.post(path, {"taskId": running, "prompt": "more", "model": "quality"}).json()["data"]["taskId"]
    assert before - kie.credit() == 250
    response = kie.wait_until_done(extension)["response"]
    assert len(response["resultUrls"]) == len(response["fullResultUrls"]) == 1


def test_credit_is_a_number_that_may_be_fractional(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.balance("5916.25")
    sandbox.prices(veo3_fast_720p="37.5")
    assert kie.get("/api/v1/chat/credit").json() == {"code": 200, "msg": "success", "data": 5916.25}
    kie.start_task()
    assert kie.credit() == 5878.75
    assert sandbox.balance() == "5878.75"


def test_the_price_feed_is_public_and_has_strings_and_misspellings(sandbox: SandboxProcess) -> None:
    body = {"pageNum": 1, "pageSize": 100, "modelDescription": "", "interfaceType": "video"}
    response = requests.post(sandbox.url + "/client/v1/model-pricing/page", json=body, timeout=10).json()
    rows = response["data"]["records"]
    assert response["data"]["total"] == len(rows) > 20
    by_name = {row["modelDescription"]: row for row in rows}
    fast = by_name["Google veo 3.1, text-to-video, Fast, 720p"]
    assert (fast["creditPrice"], fast["usdPrice"], fast["creditUnit"]) == ("60", "0.30", "per video")
    assert any(row["creditUnit"] == "per vedio" for row in rows)
    assert any("," in row["usdPrice"] for row in rows)
    second = requests.post(
        sandbox.url + "/client/v1/model-pricing/page", json=body | {"pageNum": 2, "pageSize": 5}, timeout=10
    )
    assert second.json()["data"]["records"] == rows[5:10]
    count = requests.post(sandbox.url + "/client/v1/model-pricing/count", json={}, timeout=10).json()
    assert count["data"][0]["count"] == len(rows)


def test_a_body_may_be_chunked_and_its_size_is_limited(sandbox: SandboxProcess, kie: Kie) -> None:
    headers = {"Content-Type": "application/json"}
    response = kie.session.post(
        sandbox.url + "/api/v1/veo/generate", data=iter([b'{"pro', b'mpt":"x"}']), headers=headers, timeout=10
    )
    assert response.json()["code"] == 200
    large = kie.session.post(sandbox.url + "/api/v1/veo/generate", data=b" " * 2_000_000, headers=headers, timeout=10)
    assert large.status_code == 413

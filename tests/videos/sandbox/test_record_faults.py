"""Faults of record-info, of upgrades and of how tasks end."""

import json
import time

import pytest
import requests

from tests.sandbox import SandboxProcess
from tests.videos.sandbox.conftest import Kie


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("record-404", {"code": 404, "msg": "Not Found", "data": None}),
        ("record-null", {"code": 422, "msg": "record is null", "data": None}),
        ("data-null", {"code": 200, "msg": "success", "data": None}),
        ("record-422", {"code": 422, "msg": "record result data is blank", "data": None}),
        ("record-422:record result data is empty", {"code": 422, "msg": "record result data is empty", "data": None}),
        ("record-code:455", {"code": 455, "msg": "Internal Error, Please try again later.", "data": None}),
    ],
)
def test_a_record_is_missing(sandbox: SandboxProcess, kie: Kie, order: str, expected: object) -> None:
    task_id = kie.start_task()
    sandbox.set_faults(order)
    assert kie.record_info(task_id) == expected
    sandbox.set_faults()
    assert kie.record_info(task_id)["data"]["taskId"] == task_id


def test_a_record_is_missing_while_its_task_is_new(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("record-404:600")
    task_id = kie.start_task()
    assert kie.record_info(task_id)["code"] == 404
    sandbox.advance(601)
    assert kie.record_info(task_id)["code"] == 200


def test_a_record_is_broken_late_or_missing(sandbox: SandboxProcess, kie: Kie) -> None:
    task_id = kie.start_task()
    kie.wait_until_done(task_id)
    sandbox.set_faults("record-html")
    assert kie.get("/api/v1/veo/record-info", taskId=task_id).status_code == 502
    sandbox.set_faults("record-http:503")
    assert kie.get("/api/v1/veo/record-info", taskId=task_id).status_code == 503
    sandbox.set_faults("record-truncated")
    with pytest.raises(json.JSONDecodeError):
        kie.record_info(task_id)
    sandbox.set_faults("record-drop")
    with pytest.raises(requests.ConnectionError):
        kie.record_info(task_id)
    sandbox.set_faults("record-slow:0.4")
    started = time.monotonic()
    assert kie.record_info(task_id)["code"] == 200
    assert time.monotonic() - started > 0.35
    for order in ("record-gzip-bomb", "record-huge"):
        sandbox.set_faults(order)
        params = {"taskId": task_id}
        with kie.session.get(kie.url + "/api/v1/veo/record-info", params=params, stream=True, timeout=30) as response:
            assert response.raw.read(30, decode_content=True).startswith(b'{"code":200')


def test_a_task_is_stuck_until_the_order_is_removed(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("stuck-generating")
    task_id = kie.start_task()
    sandbox.advance(3600)
    time.sleep(0.3)
    assert kie.record_info(task_id)["data"]["successFlag"] == 0
    sandbox.set_faults()
    sandbox.advance(2)
    assert kie.wait_until_done(task_id)["successFlag"] == 1


@pytest.mark.parametrize(
    ("order", "key", "value"),
    [
        ("unknown-flag", "successFlag", 7),
        ("unknown-flag:-1", "successFlag", -1),
        ("string-flag", "successFlag", "1"),
        ("status-words", "status", "SUCCESS"),
        ("state-words", "state", "success"),
        ("times-absent", "createTime", None),
        ("param-absent", "paramJson", None),
        ("credits-consumed", "creditsConsumed", 60),
        ("credits-consumed:snake", "credits_consumed", 60),
        ("record-other-task", "taskId", "0" * 32),
        ("success-no-urls:absent", "response", None),
    ],
)
def test_a_record_has_other_fields(sandbox: SandboxProcess, kie: Kie, order: str, key: str, value: object) -> None:
    task_id = kie.start_task()
    kie.wait_until_done(task_id)
    sandbox.set_faults(order)
    assert kie.record_info(task_id)["data"].get(key) == value


@pytest.mark.parametrize(
    ("order", "start"),
    [
        ("success-no-urls", "[]"),
        ("success-no-urls:null", "null"),
        ("urls-json-string", '"[\\"http:'),
        ("urls-bare-string", '"http:'),
        ("urls-unquoted", '"[http:'),
        ("evil-result-url:http://10.0.0.1/a.mp4", '["http://10.0.0.1/a.mp4"]'),
    ],
)
def test_a_record_has_its_results_in_an_unusual_format(
    sandbox: SandboxProcess, kie: Kie, order: str, start: str
) -> None:
    task_id = kie.start_task()
    kie.wait_until_done(task_id)
    sandbox.set_faults(order)
    assert json.dumps(kie.record_info(task_id)["data"]["response"]["resultUrls"]).startswith(start)


@pytest.mark.parametrize(
    ("order", "key"),
    [("urls-at-root", "resultUrls"), ("urls-result-json", "resultJson"), ("urls-video-url", "videoUrl")],
)
def test_a_record_has_its_results_in_another_place(sandbox: SandboxProcess, kie: Kie, order: str, key: str) -> None:
    task_id = kie.start_task()
    kie.wait_until_done(task_id)
    sandbox.set_faults(order)
    data = kie.record_info(task_id)["data"]
    assert data["response"] is None
    assert "/v/" in data[key]
    assert isinstance(data[key], str)


def test_a_record_has_other_types(sandbox: SandboxProcess, kie: Kie) -> None:
    task_id = kie.start_task("A cat [fail]")
    kie.wait_until_done(task_id)
    sandbox.set_faults("times-as-text", "error-code-string", "message-key", "param-object")
    response = kie.record_info(task_id)
    assert response["message"] == "success"
    data = response["data"]
    assert time.strptime(data["createTime"], "%Y-%m-%d %H:%M:%S")
    assert (data["errorCode"], data["paramJson"]["prompt"]) == ("422", "A cat [fail]")
    sandbox.set_faults("param-foreign")
    assert json.loads(kie.record_info(task_id)["data"]["paramJson"])["prompt"] == "Somebody else's prompt"


def test_a_task_fails_with_the_ordered_flag_and_text(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("fail-flag-3:No sound today", "no-callback")
    record = kie.wait_until_done(kie.start_task())
    assert (record["successFlag"], record["errorCode"], record["errorMessage"]) == (3, 400, "No sound today")
    sandbox.set_faults("fail-flag-2")
    assert kie.wait_until_done(kie.start_task())["successFlag"] == 2


def test_a_success_turns_into_a_failure(sandbox: SandboxProcess, kie: Kie) -> None:
    task_id = kie.start_task()
    sandbox.finish()
    sandbox.set_faults("record-flips")
    assert [kie.record_info(task_id)["data"]["successFlag"] for _ in range(3)] == [1, 3, 3]


def test_an_upgrade_is_busy_with_422(sandbox: SandboxProcess, kie: Kie) -> None:
    task_id = kie.start_task()
    kie.wait_until_done(task_id)
    sandbox.set_faults("upgrade-422")
    assert kie.get("/api/v1/veo/get-1080p-video", taskId=task_id).json()["code"] == 422

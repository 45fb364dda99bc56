"""Faults of paid requests, and of every endpoint."""

import time

import pytest
import requests

from tests.sandbox import SandboxProcess
from tests.videos.sandbox.conftest import Kie


@pytest.mark.parametrize(
    ("order", "status", "code"),
    [
        ("code-402", 200, 402),
        ("code-433", 200, 433),
        ("credits-500", 200, 500),
        ("credits-500:http", 500, 500),
        ("code-422", 200, 422),
        ("code-400-policy", 200, 400),
        ("code-451", 200, 451),
        ("code-429", 200, 429),
        ("http-429", 429, 429),
        ("code-455", 200, 455),
        ("code-505", 200, 505),
        ("code-500-no-id", 200, 500),
        ("code-501-no-id", 200, 501),
        ("http-500", 500, 500),
        ("code-401", 200, 401),
        ("http-401", 401, 401),
        ("code-404", 200, 404),
        ("odd-code", 200, 799),
        ("odd-code:733", 200, 733),
    ],
)
def test_a_refusal_creates_and_charges_nothing(
    sandbox: SandboxProcess, kie: Kie, order: str, status: int, code: int
) -> None:
    sandbox.set_faults(order)
    response = kie.post("/api/v1/veo/generate", {"prompt": "x"})
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert (sandbox.list_accepted(), sandbox.balance()) == ([], "5000")
    assert sandbox.events("submission")[0]["accepted"] is False
    if order.startswith("credits-500"):
        assert response.json()["msg"].startswith("Credits insufficient")


@pytest.mark.parametrize(
    "order", ["html-502", "html-504", "http-500", "code-500-no-id", "code-501-no-id", "odd-code:799,"]
)
def test_an_ambiguous_reply_may_hide_an_accepted_task(sandbox: SandboxProcess, kie: Kie, order: str) -> None:
    text = f"{order}accepted" if order.endswith(",") else f"{order}:accepted"
    sandbox.set_faults(text)
    response = kie.post("/api/v1/veo/generate", {"prompt": "x"})
    assert "taskId" not in response.text
    assert len(sandbox.list_accepted()) == 1
    assert sandbox.balance() == "4940"


@pytest.mark.parametrize("order", ["drop-answer", "reset-mid-answer"])
def test_the_connection_breaks_after_acceptance(sandbox: SandboxProcess, kie: Kie, order: str) -> None:
    sandbox.set_faults(f"{order}=1")
    with pytest.raises(requests.RequestException):
        kie.generate()
    assert len(sandbox.list_accepted()) == 1
    assert kie.generate()["code"] == 200


def test_the_connection_breaks_before_acceptance(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("drop-request")
    with pytest.raises(requests.ConnectionError):
        kie.generate()
    assert (sandbox.list_accepted(), len(sandbox.events("submission"))) == ([], 1)


@pytest.mark.parametrize(
    ("order", "data"),
    [
        ("no-task-id", {}),
        ("number-task-id", {"taskId": 1776728214}),
        ("null-task-id", {"taskId": None}),
    ],
)
def test_a_reply_has_no_usable_id(sandbox: SandboxProcess, kie: Kie, order: str, data: object) -> None:
    sandbox.set_faults(order)
    assert kie.generate() == {"code": 200, "msg": "success", "data": data}
    assert len(sandbox.list_accepted()) == 1


def test_a_reply_has_the_id_of_another_task_or_in_another_place(sandbox: SandboxProcess, kie: Kie) -> None:
    first = kie.start_task()
    sandbox.set_faults("repeated-task-id")
    assert kie.start_task() == first
    sandbox.set_faults("task-id-key=1", "task-id-key=1:recordId", "task-id-key=1:root")
    assert set(kie.generate()["data"]) == {"task_id"}
    assert set(kie.generate()["data"]) == {"recordId"}
    assert "taskId" in kie.generate()
    assert len({row["task_id"] for row in sandbox.list_accepted()}) == 5


def test_a_reply_is_truncated_html_redirected_or_slow(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("truncated-json")
    with pytest.raises(requests.JSONDecodeError):
        kie.generate()
    sandbox.set_faults("html-502")
    page = kie.post("/api/v1/veo/generate", {"prompt": "x"})
    assert (page.status_code, page.headers["Content-Type"]) == (502, "text/html")
    sandbox.set_faults("redirect:http://10.1.1.1/")
    redirect = kie.post("/api/v1/veo/generate", {"prompt": "x"})
    assert (redirect.status_code, redirect.headers["Location"]) == (307, "http://10.1.1.1/")
    sandbox.set_faults("slow-answer:0.5", "latency:200")
    started = time.monotonic()
    kie.start_task()
    assert time.monotonic() - started > 0.65
    assert len(sandbox.list_accepted()) == 2


@pytest.mark.parametrize(("order", "max_bytes"), [("gzip-bomb", 1_000_000), ("huge-json", 250_000_000)])
def test_a_huge_reply_starts_like_the_normal_one(sandbox: SandboxProcess, kie: Kie, order: str, max_bytes: int) -> None:
    sandbox.set_faults(order)
    with kie.session.post(kie.url + "/api/v1/veo/generate", json={"prompt": "x"}, stream=True, timeout=30) as response:
        assert int(response.headers["Content-Length"]) < max_bytes
        assert response.raw.read(200, decode_content=True).startswith(b'{"code":200,"msg":"success","data":{"taskId":"')
        total = 0
        while total < 60_000_000:
            total += len(response.raw.read(1_000_000, decode_content=True))


def test_libraries_or_all_clients_are_blocked(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("cf-1010")
    assert kie.get("/api/v1/chat/credit").status_code == 200
    for agent in ("python-requests/2", "Python-urllib/3.11", ""):
        response = kie.session.get(kie.url + "/api/v1/chat/credit", headers={"User-Agent": agent}, timeout=10)
        assert (response.status_code, response.text) == (403, "error code: 1010")
    sandbox.set_faults("cf-1010:any")
    assert kie.get("/api/v1/chat/credit").status_code == 403


def test_the_fault_down_gives_503_except_for_controls(sandbox: SandboxProcess, kie: Kie) -> None:
    url = kie.result_url(kie.start_task())
    sandbox.set_faults("down")
    assert {kie.get("/api/v1/chat/credit").status_code, kie.session.get(url, timeout=10).status_code} == {503}
    sandbox.set_faults()
    assert kie.credit() == 4940

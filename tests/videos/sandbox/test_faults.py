"""Orders for faults, and each fault of submit, record-info and files."""

import io
import json
import socket
import time
from urllib.parse import urlsplit

import pytest
import requests
from PIL import Image

from tests.sandbox import ROOT, SandboxProcess
from tests.videos.sandbox.conftest import Kie
from videos.sandbox.faults.catalogue import CATALOGUE, NAMES, listing
from videos.sandbox.faults.orders import BadOrder, FaultOrders, Order, parse


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("drop-answer", Order("drop-answer")),
        ("drop-answer=2", Order("drop-answer", count=2)),
        ("no-callback@0.3", Order("no-callback", chance=0.3)),
        ("no-callback@.5", Order("no-callback", chance=0.5)),
        ("no-callback@1", Order("no-callback")),
        ("slow-answer:20", Order("slow-answer", arg="20")),
        ("slow-answer=1:20@0.5", Order("slow-answer", arg="20", count=1, chance=0.5)),
        ("evil-result-url:http://u@10.0.0.1:80/?id=5", Order("evil-result-url", arg="http://u@10.0.0.1:80/?id=5")),
        ("evil-result-url=1:http://a/?id=5@0.25", Order("evil-result-url", arg="http://a/?id=5", count=1, chance=0.25)),
        ("fail-flag-3:It said: no", Order("fail-flag-3", arg="It said: no")),
    ],
)
def test_orders_are_read(text: str, order: Order) -> None:
    assert parse(text) == order
    assert parse(str(order)) == order


@pytest.mark.parametrize(
    "text", ["", "no-such-fault", "drop-answer=", "drop-answer=x", "drop-answer@2", "Drop-Answer", "drop answer"]
)
def test_orders_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(BadOrder):
        parse(text)


def test_the_same_seed_throws_the_same_dice() -> None:
    def throws(seed: int) -> list[bool]:
        book = FaultOrders(seed=seed, orders=[parse("no-callback@0.3"), parse("drop-answer@0.5")])
        return [bool(book.strikes(name)) for _ in range(200) for name in ("no-callback", "drop-answer")]

    assert throws(7) == throws(7) != throws(8)
    assert 40 < sum(throws(7)[::2]) < 80


def test_a_count_limits_and_a_key_keeps_the_answer() -> None:
    book = FaultOrders(seed=1, orders=[parse("drop-answer=2"), parse("fail-flag-3@0.5")])
    assert [bool(book.strikes("drop-answer")) for _ in range(4)] == [True, True, False, False]
    first = [bool(book.strikes("fail-flag-3", key=str(n))) for n in range(50)]
    assert first == [bool(book.strikes("fail-flag-3", key=str(n))) for n in range(50)]
    assert {True, False} == set(first)
    book.replace([])
    assert not any(book.strikes("fail-flag-3", key=str(n)) for n in range(50))


def test_every_fault_of_the_catalogue_is_played_somewhere() -> None:
    package = ROOT / "videos" / "sandbox"
    code = "".join(path.read_text() for path in package.rglob("*.py") if path.name != "catalogue.py")
    built = {f"callback-{name}" for name in ("json-string", "bare-string", "unquoted-list")}
    assert [name for name in sorted(NAMES - built) if f'"{name}"' not in code] == []
    assert len(NAMES) == len(CATALOGUE)
    assert all(name in listing() for name in NAMES)


# submit


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
def test_refusals_make_nothing_and_cost_nothing(
    sandbox: SandboxProcess, kie: Kie, order: str, status: int, code: int
) -> None:
    sandbox.set_faults(order)
    reply = kie.post("/api/v1/veo/generate", {"prompt": "x"})
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert (sandbox.list_accepted(), sandbox.balance()) == ([], "5000")
    assert sandbox.events("submission")[0]["accepted"] is False
    if order.startswith("credits-500"):
        assert reply.json()["msg"].startswith("Credits insufficient")


@pytest.mark.parametrize(
    "order", ["html-502", "html-504", "http-500", "code-500-no-id", "code-501-no-id", "odd-code:799,"]
)
def test_unsure_answers_may_hide_an_accepted_task(sandbox: SandboxProcess, kie: Kie, order: str) -> None:
    text = f"{order}accepted" if order.endswith(",") else f"{order}:accepted"
    sandbox.set_faults(text)
    reply = kie.post("/api/v1/veo/generate", {"prompt": "x"})
    assert "taskId" not in reply.text
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
def test_answers_without_a_usable_id(sandbox: SandboxProcess, kie: Kie, order: str, data: object) -> None:
    sandbox.set_faults(order)
    assert kie.generate() == {"code": 200, "msg": "success", "data": data}
    assert len(sandbox.list_accepted()) == 1


def test_answers_with_the_id_of_another_task_or_elsewhere(sandbox: SandboxProcess, kie: Kie) -> None:
    first = kie.task()
    sandbox.set_faults("repeated-task-id")
    assert kie.task() == first
    sandbox.set_faults("task-id-key=1", "task-id-key=1:recordId", "task-id-key=1:root")
    assert set(kie.generate()["data"]) == {"task_id"}
    assert set(kie.generate()["data"]) == {"recordId"}
    assert "taskId" in kie.generate()
    assert len({row["task_id"] for row in sandbox.list_accepted()}) == 5


def test_truncated_html_redirected_and_slow_answers(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("truncated-json")
    with pytest.raises(requests.JSONDecodeError):
        kie.generate()
    sandbox.set_faults("html-502")
    page = kie.post("/api/v1/veo/generate", {"prompt": "x"})
    assert (page.status_code, page.headers["Content-Type"]) == (502, "text/html")
    sandbox.set_faults("redirect:http://10.1.1.1/")
    moved = kie.post("/api/v1/veo/generate", {"prompt": "x"})
    assert (moved.status_code, moved.headers["Location"]) == (307, "http://10.1.1.1/")
    sandbox.set_faults("slow-answer:0.5", "latency:200")
    began = time.monotonic()
    kie.task()
    assert time.monotonic() - began > 0.65
    assert len(sandbox.list_accepted()) == 2


@pytest.mark.parametrize(("order", "wire"), [("gzip-bomb", 1_000_000), ("huge-json", 250_000_000)])
def test_huge_answers_begin_like_true_ones(sandbox: SandboxProcess, kie: Kie, order: str, wire: int) -> None:
    sandbox.set_faults(order)
    with kie.session.post(kie.url + "/api/v1/veo/generate", json={"prompt": "x"}, stream=True, timeout=30) as reply:
        assert int(reply.headers["Content-Length"]) < wire
        assert reply.raw.read(200, decode_content=True).startswith(b'{"code":200,"msg":"success","data":{"taskId":"')
        total = 0
        while total < 60_000_000:
            total += len(reply.raw.read(1_000_000, decode_content=True))


def test_everybody_or_libraries_only_meet_cloudflare(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("cf-1010")
    assert kie.get("/api/v1/chat/credit").status_code == 200
    for agent in ("python-requests/2", "Python-urllib/3.11", ""):
        reply = kie.session.get(kie.url + "/api/v1/chat/credit", headers={"User-Agent": agent}, timeout=10)
        assert (reply.status_code, reply.text) == (403, "error code: 1010")
    sandbox.set_faults("cf-1010:any")
    assert kie.get("/api/v1/chat/credit").status_code == 403


def test_down_is_503_for_the_wire_and_not_for_the_controls(sandbox: SandboxProcess, kie: Kie) -> None:
    url = kie.file_of(kie.task())
    sandbox.set_faults("down")
    assert {kie.get("/api/v1/chat/credit").status_code, kie.session.get(url, timeout=10).status_code} == {503}
    sandbox.set_faults()
    assert kie.credit() == 4940


# record-info


@pytest.mark.parametrize(
    ("order", "answer"),
    [
        ("record-404", {"code": 404, "msg": "Not Found", "data": None}),
        ("record-null", {"code": 422, "msg": "record is null", "data": None}),
        ("data-null", {"code": 200, "msg": "success", "data": None}),
        ("record-422", {"code": 422, "msg": "record result data is blank", "data": None}),
        ("record-422:record result data is empty", {"code": 422, "msg": "record result data is empty", "data": None}),
        ("record-code:455", {"code": 455, "msg": "Internal Error, Please try again later.", "data": None}),
    ],
)
def test_records_that_say_nothing(sandbox: SandboxProcess, kie: Kie, order: str, answer: object) -> None:
    task_id = kie.task()
    sandbox.set_faults(order)
    assert kie.info(task_id) == answer
    sandbox.set_faults()
    assert kie.info(task_id)["data"]["taskId"] == task_id


def test_records_that_say_nothing_while_young(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("record-404:600")
    task_id = kie.task()
    assert kie.info(task_id)["code"] == 404
    sandbox.advance(601)
    assert kie.info(task_id)["code"] == 200


def test_records_that_do_not_come_through(sandbox: SandboxProcess, kie: Kie) -> None:
    task_id = kie.task()
    kie.done(task_id)
    sandbox.set_faults("record-html")
    assert kie.get("/api/v1/veo/record-info", taskId=task_id).status_code == 502
    sandbox.set_faults("record-http:503")
    assert kie.get("/api/v1/veo/record-info", taskId=task_id).status_code == 503
    sandbox.set_faults("record-truncated")
    with pytest.raises(json.JSONDecodeError):
        kie.info(task_id)
    sandbox.set_faults("record-drop")
    with pytest.raises(requests.ConnectionError):
        kie.info(task_id)
    sandbox.set_faults("record-slow:0.4")
    began = time.monotonic()
    assert kie.info(task_id)["code"] == 200
    assert time.monotonic() - began > 0.35
    for order in ("record-gzip-bomb", "record-huge"):
        sandbox.set_faults(order)
        params = {"taskId": task_id}
        with kie.session.get(kie.url + "/api/v1/veo/record-info", params=params, stream=True, timeout=30) as reply:
            assert reply.raw.read(30, decode_content=True).startswith(b'{"code":200')


def test_stuck_for_as_long_as_it_is_ordered(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("stuck-generating")
    task_id = kie.task()
    sandbox.advance(3600)
    time.sleep(0.3)
    assert kie.info(task_id)["data"]["successFlag"] == 0
    sandbox.set_faults()
    sandbox.advance(2)
    assert kie.done(task_id)["successFlag"] == 1


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
def test_other_fields_of_a_record(sandbox: SandboxProcess, kie: Kie, order: str, key: str, value: object) -> None:
    task_id = kie.task()
    kie.done(task_id)
    sandbox.set_faults(order)
    assert kie.info(task_id)["data"].get(key) == value


@pytest.mark.parametrize(
    ("order", "shape"),
    [
        ("success-no-urls", "[]"),
        ("success-no-urls:null", "null"),
        ("urls-json-string", '"[\\"http:'),
        ("urls-bare-string", '"http:'),
        ("urls-unquoted", '"[http:'),
        ("evil-result-url:http://10.0.0.1/a.mp4", '["http://10.0.0.1/a.mp4"]'),
    ],
)
def test_odd_addresses_in_a_record(sandbox: SandboxProcess, kie: Kie, order: str, shape: str) -> None:
    task_id = kie.task()
    kie.done(task_id)
    sandbox.set_faults(order)
    assert json.dumps(kie.info(task_id)["data"]["response"]["resultUrls"]).startswith(shape)


@pytest.mark.parametrize(
    ("order", "key"),
    [("urls-at-root", "resultUrls"), ("urls-result-json", "resultJson"), ("urls-video-url", "videoUrl")],
)
def test_addresses_elsewhere(sandbox: SandboxProcess, kie: Kie, order: str, key: str) -> None:
    task_id = kie.task()
    kie.done(task_id)
    sandbox.set_faults(order)
    data = kie.info(task_id)["data"]
    assert data["response"] is None
    assert "/v/" in data[key]
    assert isinstance(data[key], str)


def test_other_spellings(sandbox: SandboxProcess, kie: Kie) -> None:
    task_id = kie.task("A cat [fail]")
    kie.done(task_id)
    sandbox.set_faults("times-as-text", "error-code-string", "message-key", "param-object")
    answer = kie.info(task_id)
    assert answer["message"] == "success"
    data = answer["data"]
    assert time.strptime(data["createTime"], "%Y-%m-%d %H:%M:%S")
    assert (data["errorCode"], data["paramJson"]["prompt"]) == ("422", "A cat [fail]")
    sandbox.set_faults("param-foreign")
    assert json.loads(kie.info(task_id)["data"]["paramJson"])["prompt"] == "Somebody else's prompt"


def test_failures_by_order(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("fail-flag-3:No sound today", "no-callback")
    record = kie.done(kie.task())
    assert (record["successFlag"], record["errorCode"], record["errorMessage"]) == (3, 400, "No sound today")
    sandbox.set_faults("fail-flag-2")
    assert kie.done(kie.task())["successFlag"] == 2


def test_a_success_that_flips(sandbox: SandboxProcess, kie: Kie) -> None:
    task_id = kie.task()
    sandbox.finish()
    sandbox.set_faults("record-flips")
    assert [kie.info(task_id)["data"]["successFlag"] for _ in range(3)] == [1, 3, 3]


def test_upgrade_is_busy_with_422(sandbox: SandboxProcess, kie: Kie) -> None:
    task_id = kie.task()
    kie.done(task_id)
    sandbox.set_faults("upgrade-422")
    assert kie.get("/api/v1/veo/get-1080p-video", taskId=task_id).json()["code"] == 422


# files


def test_files_that_are_refused_the_first_times(sandbox: SandboxProcess, kie: Kie) -> None:
    url, other = kie.file_of(kie.task()), kie.file_of(kie.task())
    sandbox.set_faults("file-404:2")
    assert [kie.session.get(url, timeout=30).status_code for _ in range(3)] == [404, 404, 200]
    assert kie.session.get(other, timeout=30).status_code == 404
    sandbox.set_faults("file-500:1")
    assert [kie.session.get(url, timeout=30).status_code for _ in range(2)] == [500, 200]
    sandbox.set_faults("file-404")
    assert {kie.session.get(url, timeout=30).status_code for _ in range(3)} == {404}


@pytest.mark.parametrize(("order", "status"), [("file-403-until-minted", 403), ("file-expired", 404)])
def test_files_that_want_a_new_link(sandbox: SandboxProcess, kie: Kie, order: str, status: int) -> None:
    url = kie.file_of(kie.task())
    sandbox.set_faults(order)
    assert kie.session.get(url, timeout=30).status_code == status
    link = kie.post("/api/v1/common/download-url", {"url": url}).json()["data"]
    assert kie.session.get(link, timeout=30).status_code == 200


def test_files_that_send_you_elsewhere(sandbox: SandboxProcess, kie: Kie) -> None:
    url = kie.file_of(kie.task())
    sandbox.set_faults("redirect-private")
    assert kie.session.get(url, allow_redirects=False, timeout=30).headers["Location"] == "http://10.0.0.1/private.mp4"
    sandbox.set_faults("redirect-loop")
    with pytest.raises(requests.TooManyRedirects):
        kie.session.get(url, timeout=30)
    sandbox.set_faults("redirect-once")
    assert kie.session.get(url, timeout=30).status_code == 200


@pytest.mark.parametrize("order", ["truncated-file", "aborted-chunk"])
def test_files_that_break_off(sandbox: SandboxProcess, kie: Kie, order: str) -> None:
    task_id = kie.task()
    url = kie.file_of(task_id)
    sandbox.set_faults(f"{order}:1")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _ = kie.session.get(url, timeout=30).content
    whole = kie.session.get(url, timeout=30).content
    rows = sandbox.wait_for("served", count=2, task_id=task_id)
    assert [row["bytes"] for row in rows] == [len(whole) // 2, len(whole)]


def test_files_that_never_end_or_hardly_begin(sandbox: SandboxProcess, kie: Kie) -> None:
    url = kie.file_of(kie.task())
    for order, length in (("endless-file", None), ("huge-length", str(10 * 1024**3))):
        sandbox.set_faults(order)
        with kie.session.get(url, stream=True, timeout=30) as reply:
            assert reply.headers.get("Content-Length") == length
            assert len(reply.raw.read(30_000_000)) == 30_000_000
    sandbox.set_faults("slow-loris:0.2")
    with kie.session.get(url, stream=True, timeout=30) as reply:
        began = time.monotonic()
        reply.raw.read(4)
        assert time.monotonic() - began > 0.5


@pytest.mark.parametrize(
    ("order", "begin"),
    [("html-file", b"<html>"), ("json-file", b'{"code":404'), ("empty-file", b""), ("image-file", b"\x89PNG")],
)
def test_files_that_are_no_film(sandbox: SandboxProcess, kie: Kie, order: str, begin: bytes) -> None:
    url = kie.file_of(kie.task())
    sandbox.set_faults(order)
    content = kie.session.get(url, timeout=30).content
    assert content[: len(begin)] == begin
    assert b"ftyp" not in content[:16]
    if order == "image-file":
        assert Image.open(io.BytesIO(content)).format == "PNG"


def test_polyglots_play_and_hold_a_script(sandbox: SandboxProcess, kie: Kie) -> None:
    url = kie.file_of(kie.task())
    sandbox.set_faults("polyglot")
    content = kie.session.get(url, timeout=30).content
    assert content[4:8] == b"ftyp"
    assert b"<script>" in content


def test_short_films_second_results_and_no_ranges(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("short-film", "second-url-fails", "no-range")
    first, second = kie.done(kie.task())["response"]["resultUrls"]
    whole = kie.session.get(first, headers={"Range": "bytes=5-"}, timeout=30)
    assert whole.status_code == 200
    assert len(whole.content) < 100_000
    assert kie.session.get(second, timeout=30).status_code == 404


def test_uploads_can_fail(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("no-upload")
    assert kie.post("/api/file-base64-upload", {"base64Data": "aGk=", "uploadPath": "a"}).status_code == 500


def test_strikes_are_in_the_truth(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("code-455=1")
    kie.generate()
    kie.generate()
    assert [row["order"] for row in sandbox.events("fault")] == ["code-455=1"]


def test_a_keep_alive_connection_survives_odd_requests(sandbox: SandboxProcess) -> None:
    parts = urlsplit(sandbox.url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=10) as raw:
        for _ in range(2):
            raw.sendall(b"GET /api/v1/chat/credit HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sandbox\r\n\r\n")
            head = b""
            while not head.endswith(b'"data":5000}'):
                head += raw.recv(4096)
            assert head.startswith(b"HTTP/1.1 200")

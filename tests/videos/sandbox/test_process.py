"""The sandbox as a process: how it is started, controlled, monitored and stopped."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from django.core.management import CommandError, call_command

from tests.sandbox import ROOT, SandboxProcess
from tests.videos.sandbox.conftest import Kie

Start = Callable[..., SandboxProcess]


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "videos.sandbox", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_greeting_is_one_line_with_the_address(new_sandbox: Start) -> None:
    process = new_sandbox("--balance", "12.5", "--fault", "no-callback@0.3")
    assert process.greeting.startswith(f"sandbox: {process.url} plays kie.ai (key: sandbox, 12.5 credits, speed 1")
    assert "faults: no-callback@0.3" in process.greeting
    assert "nothing is paid" in process.greeting


def test_another_key_is_not_printed(new_sandbox: Start, connect: Callable[[SandboxProcess], Kie]) -> None:
    process = new_sandbox("--api-key", "another-key")
    assert "another-key" not in process.greeting
    kie = connect(process)
    assert kie.get("/api/v1/chat/credit").json()["code"] == 401
    kie.session.headers["Authorization"] = "Bearer another-key"
    assert kie.credit() == 5000
    assert "another-key" not in json.dumps(process.read_state())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it_cleanly_while_a_file_is_served(
    new_sandbox: Start, connect: Callable[[SandboxProcess], Kie], number: signal.Signals
) -> None:
    process = new_sandbox("--fault", "slow-loris:5")
    kie = connect(process)
    url = kie.result_url(kie.start_task())
    with kie.session.get(url, stream=True, timeout=30):
        os.kill(process.pid, number)
        started = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - started < 5


def test_it_stops_when_standard_input_ends(new_sandbox: Start) -> None:
    process = new_sandbox()
    assert process._process.stdin
    process._process.stdin.close()
    assert process._process.wait(timeout=10) == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.com"])
def test_it_listens_on_loopback_only(host: str) -> None:
    result = _run("--host", host)
    assert result.returncode == 2
    assert "is not a loopback address" in result.stderr


def test_a_port_in_use_is_reported_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as used_socket:
        result = _run("--port", str(used_socket.getsockname()[1]))
    assert result.returncode == 1
    assert "Is another one running? --port 0 takes a free port." in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--fault", "no-such"),
        ("--speed", "0"),
        ("--balance", "-1"),
        ("--balance", "x"),
        ("--times", "1,2"),
        ("--film", "x"),
    ],
)
def test_invalid_options_are_refused(options: tuple[str, ...]) -> None:
    result = _run(*options)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_help_and_the_list_of_faults_explain_the_orders() -> None:
    help_text = _run("--help").stdout
    for text in (
        "[refuse]",
        "[fail]",
        "[lost]",
        "NAME[=COUNT][:ARG][@PROBABILITY]",
        "window of 20 requests",
        "default 8,12,20",
    ):
        assert text in help_text
    listed = _run("--list-faults").stdout
    assert "F09" in listed
    assert len(listed.splitlines()) > 100


def test_the_command_of_manage_py_has_the_same_options() -> None:
    out = StringIO()
    original, sys.stdout = sys.stdout, out
    try:
        call_command("sandbox", "--list-faults")
    finally:
        sys.stdout = original
    assert out.getvalue() == _run("--list-faults").stdout
    with pytest.raises(CommandError, match="not a loopback address"):
        call_command("sandbox", "--host", "0.0.0.0")


def test_events_are_appended_to_a_file(
    new_sandbox: Start, connect: Callable[[SandboxProcess], Kie], tmp_path: Path
) -> None:
    path = tmp_path / "truth.jsonl"
    path.write_text('{"event": "older"}\n')
    process = new_sandbox("--truth", str(path))
    connect(process).start_task("A cat")
    process.reset()
    connect(process).start_task("A dog")
    events = process.read_state()["events"]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["event"] for row in rows] == ["older", "balance", "submission", "reset", "balance", "submission"]
    assert [row["n"] for row in rows[1:]] == [1, 2, 3, 4, 5]
    assert rows[4:] == events
    assert rows[2]["body"] == {"prompt": "A cat"}


def test_speed_shortens_a_task_and_records_have_real_times(
    new_sandbox: Start, connect: Callable[[SandboxProcess], Kie]
) -> None:
    process = new_sandbox("--speed", "100", times="60,60,60")
    kie = connect(process)
    started = time.time()
    record = kie.wait_until_done(kie.start_task())
    assert time.time() - started < 5
    assert abs(record["createTime"] / 1000 - started) < 3
    assert abs(record["completeTime"] / 1000 - time.time()) < 3


def test_reset_clears_everything(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.set_faults("down@0")
    sandbox.settings(hmac_key="x", failed="refunded")
    task_id = kie.start_task()
    sandbox.prices(extend_fast=1)
    sandbox.reset()
    state = sandbox.read_state()
    assert (state["events"], state["requests"], state["tasks"], state["balance"]) == ([], {}, [], "5000")
    assert kie.record_info(task_id)["msg"] == "record is null"
    assert requests.get(sandbox.url + "/_sandbox/faults", timeout=10).json()["faults"] == []


def test_requests_are_counted_by_path(sandbox: SandboxProcess, kie: Kie) -> None:
    task_id = kie.start_task()
    kie.session.get(kie.result_url(task_id), timeout=60)
    requested = sandbox.read_state()["requests"]
    assert requested["POST /api/v1/veo/generate"] == 1
    assert requested["GET /api/v1/veo/record-info"] >= 1
    assert requested["GET (file)"] == 1


@pytest.mark.parametrize(
    ("control", "body"),
    [
        ("faults", ["no-such-fault"]),
        ("faults", {"x": 1}),
        ("balance", {"balance": "-1"}),
        ("balance", {}),
        ("balance", []),
        ("clock", {"advance": "x"}),
        ("clock", {"speed": 0}),
        ("prices", {"veo9:720p": 1}),
        ("settings", {"no_such": 1}),
        ("settings", {"hmac_key": 1}),
        ("settings", {"file_life_s": "x"}),
        ("settings", {"times_s": ["x"]}),
        ("settings", {"times_s": [1]}),
    ],
)
def test_invalid_controls_are_http_400(sandbox: SandboxProcess, control: str, body: object) -> None:
    response = requests.post(f"{sandbox.url}/_sandbox/{control}", json=body, timeout=10)
    assert response.status_code == 400
    assert response.json()["error"]


def test_an_unknown_control_answers_with_the_known_ones(sandbox: SandboxProcess) -> None:
    response = requests.get(sandbox.url + "/_sandbox/nothing", timeout=10)
    assert response.status_code == 404
    assert "POST faults" in response.json()["controls"]


def test_sixty_tasks_run_concurrently(sandbox: SandboxProcess, kie: Kie) -> None:
    sandbox.settings(film="quick")
    for batch in range(3):
        ids = {kie.start_task(f"video {batch}.{number}") for number in range(20)}
        assert len(ids) == 20
        sandbox.advance(11)
    sandbox.finish()
    assert {task["flag"] for task in sandbox.read_state()["tasks"]} == {1}
    assert sandbox.balance() == str(5000 - 60 * 60)


def test_a_connection_is_kept_alive(sandbox: SandboxProcess) -> None:
    parts = urlsplit(sandbox.url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=10) as raw:
        for _ in range(2):
            raw.sendall(b"GET /api/v1/chat/credit HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sandbox\r\n\r\n")
            head = b""
            while not head.endswith(b'"data":5000}'):
                head += raw.recv(4096)
            assert head.startswith(b"HTTP/1.1 200")

"""A sandbox with --memory keeps its tasks, files, credits and running tasks across a restart."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.sandbox import SandboxProcess
from tests.videos.sandbox.conftest import Kie, Receiver

Start = Callable[..., SandboxProcess]
Connect = Callable[[SandboxProcess], Kie]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "sandbox.json"


def test_a_restart_continues_with_all_tasks_files_and_credits(
    new_sandbox: Start, connect: Connect, receiver: Receiver, file: Path
) -> None:
    first = new_sandbox("--memory", str(file))
    kie = connect(first)
    done = kie.start_task("A quiet sea")
    url = kie.result_url(done)
    content = kie.session.get(url, timeout=20).content
    assert kie.get("/api/v1/veo/get-1080p-video", taskId=done, index=0).json()["code"] != 200
    longer = kie.start_task("Longer", callBackUrl=receiver.url)
    parent = kie.start_task("Sea")
    kie.wait_until_done(parent)
    first.settings(times_s=[600, 600, 600])
    extended = kie.post("/api/v1/veo/extend", {"taskId": parent, "prompt": "On"}).json()["data"]["taskId"]
    running = kie.start_task("Still running", callBackUrl=receiver.url)
    kie.wait_until_done(longer)
    first.prices(veo3_lite_720p=31)
    balance = first.balance()
    assert first.stop() == 0
    assert file.stat().st_mode & 0o777 == 0o600

    second = new_sandbox("--memory", str(file), "--balance", "1")
    assert f"{balance} credits" in second.greeting
    kie = connect(second)
    assert kie.record_info(done)["data"]["successFlag"] == 1
    again = kie.session.get(second.url + urlsplit(url).path, timeout=20)
    assert again.content == content
    assert kie.record_info(running)["data"]["successFlag"] == 0
    received = len(receiver.received)
    second.advance(900)
    assert kie.wait_until_done(running)["successFlag"] == 1
    receiver.wait(received + 1)
    assert receiver.received[-1].body["data"]["taskId"] == running
    assert kie.get("/api/v1/veo/get-1080p-video", taskId=done, index=0).json()["code"] == 200
    kie.start_task("Lite", model="veo3_lite")
    assert float(second.balance()) == float(balance) - 31
    assert len(kie.wait_until_done(extended)["response"]["fullResultUrls"]) == 1


def test_an_accepted_task_survives_a_kill(new_sandbox: Start, connect: Connect, file: Path) -> None:
    first = new_sandbox("--memory", str(file))
    task = connect(first).start_task()
    deadline = time.monotonic() + 20
    while not file.exists() or task not in file.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.stop()
    second = new_sandbox("--memory", str(file))
    assert connect(second).wait_until_done(task)["successFlag"] == 1
    assert second.balance() == "4940"


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 2}', '{"version": 1, "tasks": [{"id": "x"}]}'])
def test_an_unreadable_file_is_renamed(new_sandbox: Start, connect: Connect, file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    process = new_sandbox("--memory", str(file))
    assert file.with_suffix(".unreadable").read_text() == text
    kie = connect(process)
    assert kie.credit() == 5000
    task = kie.start_task()
    assert process.stop() == 0
    assert [row["id"] for row in json.loads(file.read_text())["tasks"]] == [task]


def test_a_reset_is_saved(new_sandbox: Start, connect: Connect, file: Path) -> None:
    process = new_sandbox("--memory", str(file))
    connect(process).start_task()
    process.reset()
    assert process.stop() == 0
    assert json.loads(file.read_text())["tasks"] == []

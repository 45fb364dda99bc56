"""`manage.py generate --wait`: progress, time-outs, and work done without a worker."""

import io
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.conf import settings as site
from django.db import connections
from pytest_django import Settings

from accounts.models import User
from accounts.seams import clock
from billing.credits import ledger
from tests.sandbox import SandboxProcess
from tests.videos.management.generate_command import PROMPT, generate
from videos.models import JobRequest, VideoTask
from videos.presentation import terminal
from videos.worker import inline as inline_worker

pytestmark = pytest.mark.django_db(transaction=True)


class Terminal(io.StringIO):
    """An output that claims to be a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_after_the_timeout_the_video_continues(buyer: User, sandbox: SandboxProcess) -> None:
    sandbox.settings(times_s=[600, 600, 600])
    result = generate(PROMPT, "--user", buyer.email, "--wait", "--timeout", "3")
    assert result.code == 3
    task = VideoTask.objects.get()
    assert f"it continues without this command. See {site.APP_URL}/videos/{task.pk}/" in result.err
    assert task.status == "generating"
    assert ledger.balance_of(buyer) == 940


def test_ctrl_c_ends_the_wait_and_not_the_video(
    buyer: User, sandbox: SandboxProcess, process_environment: dict[str, str]
) -> None:
    sandbox.settings(times_s=[600, 600, 600])
    environment = process_environment | {
        "KIE_AI_API_KEY": sandbox.api_key,
        "KIE_AI_BASE_URL": sandbox.url,
        "KIE_AI_UPLOAD_BASE_URL": sandbox.url,
    }
    command = [sys.executable, "manage.py", "generate", PROMPT, "--user", buyer.email, "--wait"]
    process = subprocess.Popen(
        command,
        cwd=site.BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Background processes ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while not VideoTask.objects.filter(status="generating").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert "Still in progress" in err
    assert "Finishing the current step first" in err
    assert "Traceback" not in err
    assert "Generating" in out
    assert VideoTask.objects.get().status == "generating"


def test_beside_a_running_worker_the_command_only_watches(
    buyer: User, sandbox: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    JobRequest.objects.create(name="canary", started_at=clock.now())
    worker = threading.Thread(target=_work_until_ready, daemon=True)
    worker.start()
    monkeypatch.setattr(inline_worker.InlineWorker, "__enter__", _must_not_work)
    result = generate(PROMPT, "--user", buyer.email, "--output", str(tmp_path / "out.mp4"))
    worker.join(60)
    assert result.code == 0, result.err
    assert "No worker" not in result.out
    assert (tmp_path / "out.mp4").exists()


def test_in_a_terminal_one_line_is_redrawn(buyer: User) -> None:
    screen = Terminal()
    result = generate(PROMPT, "--user", buyer.email, "--wait", out=screen)
    assert result.code == 0
    redraws = result.out.count("\r\x1b[K")
    assert redraws > 3
    assert "░" in result.out
    assert "100 %" in result.out
    assert result.out.count("\n") <= 6
    assert all(len(line) < 80 for line in result.out.replace("\n", "\r\x1b[K").split("\r\x1b[K"))


def test_the_wait_reason_is_shown(buyer: User, sandbox: SandboxProcess, settings: Settings) -> None:
    settings.MAX_CONCURRENT_PER_USER = 1
    sandbox.settings(times_s=[600, 600, 600])
    generate(PROMPT, "--user", buyer.email, "--wait", "--timeout", "3")
    result = generate("Dunes", "--user", buyer.email, "--wait", "--timeout", "3")
    assert result.code == 3
    assert "Waiting · your other videos come first" in result.out
    assert "next in the queue" not in result.out


def test_snapshots_are_in_english_whatever_the_sites_language(buyer: User, settings: Settings) -> None:
    settings.LANGUAGE_CODE = "zh-hans"
    generate(PROMPT, "--user", buyer.email)
    assert terminal.take_snapshot(VideoTask.objects.get()).label == "Waiting"


def _work_until_ready() -> None:
    deadline = time.monotonic() + 60
    while not VideoTask.objects.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    task = VideoTask.objects.get()
    while not VideoTask.objects.filter(status="ready").exists() and time.monotonic() < deadline:
        inline_worker.InlineWorker(task.pk)._run_jobs()
        time.sleep(0.1)
    connections.close_all()


def _must_not_work(self: inline_worker.InlineWorker) -> None:
    raise AssertionError("a worker is alive")

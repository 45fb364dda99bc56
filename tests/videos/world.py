"""Runs videos from order to download: with the database, the sandbox over HTTP, and a clock that the test adjusts.

def test_...(world, alice):
    task = world.order(alice)
    world.run()                      # send, poll and download until nothing is due
    assert world.reload(task).status == "ready"
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from accounts.seams import clock, failpoints
from billing.credits import ledger
from billing.models import Alert, LedgerEntry, Spend
from tests.people import give_credits
from tests.sandbox import SandboxProcess
from videos.models import TaskEvent, VideoFile, VideoTask
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
from videos.pipeline import dispatch, downloads, polling
from videos.worker import sweep

PRICE = 60
PROMPT = "A lighthouse at dusk, long waves rolling in, a slow dolly towards the lamp"


class AdjustableClock:
    """The machine's clock plus an offset set by the test."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def sleep(self, seconds: float) -> None:
        self.offset += timedelta(seconds=seconds)


class Killed(BaseException):
    """Simulates SIGKILL at a checkpoint; the product does not catch it."""


class World:
    """Runs the jobs one by one, in one thread, against the sandbox."""

    def __init__(self, sandbox: SandboxProcess, clock: AdjustableClock) -> None:
        self.sandbox = sandbox
        self.clock = clock
        self._orders = 0

    def order(self, user: User, prompt: str = PROMPT, *, key: str = "", **fields: Any) -> VideoTask:
        """A charged, queued task; its user gets the credits for it first."""
        self._orders += 1
        video_order = VideoOrder(prompt=prompt, **fields)
        give_credits(user, video_order.quote().user_credits)
        return orders.create(user=user, order=video_order, idempotency_key=key or f"order-{self._orders}")

    def send(self) -> int:
        return dispatch.dispatch_due()

    def poll(self) -> int:
        return polling.poll_due()

    def download(self) -> int:
        return downloads.download_due()

    def run(self, *, rounds: int = 40) -> None:
        """Send, poll and download until no video is unfinished; the sandbox finishes videos immediately.

        The clock moves by 5 s per round.
        """
        for _ in range(rounds):
            sweep.tidy()
            self.send()
            self.sandbox.finish()
            self.poll()
            self.download()
            live = VideoTask.objects.filter(status__in=VideoTask.LIVE)
            pending = VideoFile.objects.filter(state=VideoFile.State.PENDING)
            if not live.exists() and not pending.exists():
                return
            self.clock.sleep(5)

    def advance(self, **time: float) -> None:
        """Move the product's clock, but not the sandbox's."""
        self.clock.offset += timedelta(**time)

    def reload(self, task: VideoTask) -> VideoTask:
        """The task, read again."""
        return VideoTask.objects.get(pk=task.pk)

    def event_kinds(self, task: VideoTask) -> list[str]:
        """The kinds of the task's events, oldest first."""
        return list(TaskEvent.objects.filter(task=task).order_by("id").values_list("kind", flat=True))

    def list_alerts(self, kind: str) -> list[Alert]:
        return list(Alert.objects.filter(kind=kind))

    def kill_at(self, checkpoint: str, function: Callable[[], object]) -> None:
        """Run a function and stop it at a checkpoint, as if its process were killed by SIGKILL."""

        def visit(name: str) -> None:
            if name == checkpoint:
                raise Killed

        with failpoints.replaced(visit), pytest.raises(Killed):
            function()

    def ledger_entries(self, task: VideoTask) -> list[tuple[str, int]]:
        """The task's ledger entries, oldest first."""
        rows = LedgerEntry.objects.filter(reference=task.reference).order_by("id")
        return list(rows.values_list("kind", "amount"))

    def spend_state(self, task: VideoTask) -> tuple[str, str]:
        """The state and basis of the task's spend."""
        row = Spend.objects.get(job_id=task.pk)
        return row.state, row.basis

    def assert_charged(self, task: VideoTask) -> None:
        """Assert that the task is ready and was charged once."""
        assert self.reload(task).status == "ready"
        assert self.ledger_entries(task) == [("charge", -task.user_credits)]
        self.assert_balance(task.user)

    def assert_refunded(self, task: VideoTask) -> None:
        """Assert that the task failed or was cancelled, and that exactly the charge was refunded, once."""
        assert self.reload(task).status in ("failed", "cancelled")
        assert self.ledger_entries(task) == [("charge", -task.user_credits), ("refund", task.user_credits)]
        self.assert_balance(task.user)

    def assert_balance(self, user: User) -> None:
        """Assert that the user's balance is the sum of the ledger entries."""
        entries = ledger.statement(user)
        assert ledger.balance_of(user) == sum(entry.amount for entry in entries)

    def count_submissions(self) -> int:
        """How many paid submissions the provider accepted."""
        return len(self.sandbox.list_accepted())


@pytest.fixture
def adjustable_clock() -> Iterator[AdjustableClock]:
    """A clock for the product that the test can move."""
    product_clock = AdjustableClock()
    with clock.replaced(product_clock):
        yield product_clock


@pytest.fixture
def at_sandbox(sandbox: SandboxProcess, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> SandboxProcess:
    """The site's settings point at the sandbox; jobs run in this thread; callbacks go to a closed port.

    Media has its own folder: a sweep with an adjusted clock would delete the files of parallel tests.
    """
    settings.MEDIA_ROOT = tmp_path_factory.mktemp("media")
    settings.INCOMING_ROOT = settings.MEDIA_ROOT / ".incoming"
    settings.KIE_AI_API_KEY = sandbox.api_key
    settings.KIE_AI_BASE_URL = sandbox.url
    settings.KIE_AI_UPLOAD_BASE_URL = sandbox.url
    settings.RESULT_HOSTS_ALLOWED = ["127.0.0.1"]
    settings.CALLBACK_BASE_URL = "http://127.0.0.1:9"
    settings.JOB_THREADS = 0
    return sandbox


@pytest.fixture
def world(db: None, at_sandbox: SandboxProcess, adjustable_clock: AdjustableClock) -> World:
    """A World in which no callback arrives."""
    return World(at_sandbox, adjustable_clock)


@pytest.fixture
def world_with_callbacks(
    live_server: LiveServer, at_sandbox: SandboxProcess, adjustable_clock: AdjustableClock, settings: Settings
) -> World:
    """A World with a web server that receives callbacks."""
    settings.CALLBACK_BASE_URL = live_server.url
    return World(at_sandbox, adjustable_clock)

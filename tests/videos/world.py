"""A world for the life of a video: the real rows, the real sandbox over HTTP, and a clock that the test pushes.

def test_...(world, alice):
    task = world.order(alice)
    world.run()                      # send, ask, download: whatever is due, until nothing is
    assert world.now(task).status == "ready"
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


class PushedClock:
    """The machine's clock and what the test added to it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def sleep(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


class Killed(BaseException):
    """Stands for SIGKILL at a checkpoint: nothing of the product catches it."""


class World:
    """Drives the jobs by hand, in one thread, against the sandbox."""

    def __init__(self, sandbox: SandboxProcess, clock: PushedClock) -> None:
        self.sandbox = sandbox
        self.clock = clock
        self._orders = 0

    def order(self, user: User, prompt: str = PROMPT, *, key: str = "", **fields: Any) -> VideoTask:
        """A charged, queued task; the user is given its price first."""
        self._orders += 1
        wanted = VideoOrder(prompt=prompt, **fields)
        give_credits(user, wanted.quote().user_credits)
        return orders.create(user=user, order=wanted, idempotency_key=key or f"order-{self._orders}")

    def send(self) -> int:
        return dispatch.dispatch_due()

    def ask(self) -> int:
        return polling.poll_due()

    def save(self) -> int:
        return downloads.download_due()

    def run(self, *, rounds: int = 40) -> None:
        """Send, ask and save while something is due; the sandbox ends its films at once, the clock moves as it must."""
        for _ in range(rounds):
            sweep.tidy()
            self.send()
            self.sandbox.finish()
            self.ask()
            self.save()
            live = VideoTask.objects.filter(status__in=VideoTask.LIVE)
            pending = VideoFile.objects.filter(state=VideoFile.State.PENDING)
            if not live.exists() and not pending.exists():
                return
            self.clock.sleep(5)

    def later(self, **time: float) -> None:
        """Let time pass for us, not for the provider."""
        self.clock.ahead += timedelta(**time)

    def now(self, task: VideoTask) -> VideoTask:
        """The task as its row says now."""
        return VideoTask.objects.get(pk=task.pk)

    def kinds(self, task: VideoTask) -> list[str]:
        """The receipt's lines."""
        return list(TaskEvent.objects.filter(task=task).order_by("id").values_list("kind", flat=True))

    def alerts(self, kind: str) -> list[Alert]:
        return list(Alert.objects.filter(kind=kind))

    def kill_at(self, checkpoint: str, act: Callable[[], object]) -> None:
        """Run an act that dies at a checkpoint, as by SIGKILL."""

        def visit(name: str) -> None:
            if name == checkpoint:
                raise Killed

        with failpoints.replaced(visit), pytest.raises(Killed):
            act()

    def money(self, task: VideoTask) -> list[tuple[str, int]]:
        """The task's ledger entries, oldest first."""
        rows = LedgerEntry.objects.filter(reference=task.reference).order_by("id")
        return list(rows.values_list("kind", "amount"))

    def spent(self, task: VideoTask) -> tuple[str, str]:
        """The state and basis of the task's spend."""
        row = Spend.objects.get(job_id=task.pk)
        return row.state, row.basis

    def assert_charged(self, task: VideoTask) -> None:
        """Ready and paid for, once."""
        assert self.now(task).status == "ready"
        assert self.money(task) == [("charge", -task.user_credits)]
        self.assert_books(task.user)

    def assert_refunded(self, task: VideoTask) -> None:
        """Failed or cancelled, and refunded exactly once, the charged amount."""
        assert self.now(task).status in ("failed", "cancelled")
        assert self.money(task) == [("charge", -task.user_credits), ("refund", task.user_credits)]
        self.assert_books(task.user)

    def assert_books(self, user: User) -> None:
        """The balance is what the entries say."""
        entries = ledger.statement(user)
        assert ledger.balance_of(user) == sum(entry.amount for entry in entries)

    def submissions(self) -> int:
        """The paid submissions that the provider accepted."""
        return len(self.sandbox.list_accepted())


@pytest.fixture
def pushed_clock() -> Iterator[PushedClock]:
    """Our clock, pushed by the test."""
    mine = PushedClock()
    with clock.replaced(mine):
        yield mine


@pytest.fixture
def at_sandbox(sandbox: SandboxProcess, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> SandboxProcess:
    """The site's settings point at the sandbox; jobs run in this thread; callbacks go to a port where nobody listens.

    Media has a folder of the test's own: a sweep under a pushed clock would take the files of tests beside it.
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
def world(db: None, at_sandbox: SandboxProcess, pushed_clock: PushedClock) -> World:
    """Rows, sandbox and clock; nobody hears callbacks."""
    return World(at_sandbox, pushed_clock)


@pytest.fixture
def called_world(
    live_server: LiveServer, at_sandbox: SandboxProcess, pushed_clock: PushedClock, settings: Settings
) -> World:
    """The same with a web server that the sandbox calls back."""
    settings.CALLBACK_BASE_URL = live_server.url
    return World(at_sandbox, pushed_clock)

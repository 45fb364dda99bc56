"""`manage.py worker --inline`: the jobs run in one process, to debug them."""

import pytest
from django.core.management import call_command
from django_q.models import OrmQ

from accounts.models import User
from tests.videos.world import World
from videos.models import VideoTask
from videos.worker import sweep, tasks

# The command closes its connections before it begins, so the rows are committed.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def limited_rounds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the worker when no video is in progress, or after thirty rounds; the sandbox finishes videos immediately."""
    enqueue_due, remaining = sweep.enqueue_due, 30

    def enqueue_or_stop() -> list[str]:
        nonlocal remaining
        remaining -= 1
        if remaining == 0 or not VideoTask.objects.filter(status__in=VideoTask.LIVE).exists():
            raise KeyboardInterrupt
        world.sandbox.finish()
        world.clock.sleep(5)
        return enqueue_due()

    monkeypatch.setattr(sweep, "enqueue_due", enqueue_or_stop)


@pytest.mark.usefixtures("limited_rounds")
def test_an_inline_worker_sends_polls_and_downloads(world: World, alice: User) -> None:
    task = world.order(alice)
    call_command("worker", "--inline")
    world.assert_charged(task)
    assert not OrmQ.objects.exists()


@pytest.mark.usefixtures("limited_rounds")
def test_a_job_that_fails_does_not_end_an_inline_worker(
    world: World, alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("no balance today")

    monkeypatch.setattr(tasks, "balance", fail)
    task = world.order(alice)
    call_command("worker", "--inline")
    world.assert_charged(task)
    assert "videos.worker.tasks.balance failed" in caplog.text

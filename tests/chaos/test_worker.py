"""The worker as real processes: killed, hung, stopped. No video is lost or paid twice, and no process keeps running."""

import signal
import sys

import pytest

from tests.sandbox import SandboxProcess
from tests.stack import Process, Stack, is_alive, wait_until

pytestmark = pytest.mark.chaos

ORDER_SCRIPT = """
from accounts.models import User
from billing.credits import ledger
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
for number in range(20):
    user, _ = User.objects.get_or_create(email=f"user{number % 7}@example.com")
    ledger.grant(user=user, user_credits=60, idempotency_key=f"grant-{number}", note="for a test")
    orders.create(user=user, order=VideoOrder(prompt=f"Video number {number}"), idempotency_key=f"order-{number}")
"""

# A worker that is killed during a download leaves a lease (its claim on the row) of five minutes; this ends it now.
END_LEASES_SCRIPT = """
from accounts.seams import clock
from videos.models import VideoFile
at = clock.database_now()
VideoFile.objects.filter(state="pending", lease_until__gt=at).update(lease_until=at, due_at=at)
"""


def count_by_status(stack: Stack) -> dict[str, int]:
    """The number of tasks in each status."""
    return dict(stack.rows("SELECT status, count(*) FROM videos_videotask GROUP BY status"))


def read_canary_start(stack: Stack) -> list[tuple[object, ...]]:
    """When a canary job last started."""
    return stack.rows("SELECT started_at FROM videos_jobrequest WHERE name = 'canary' AND started_at IS NOT NULL")


def test_a_worker_killed_during_twenty_videos_loses_no_video_and_pays_for_none_twice(
    stack: Stack, sandbox: SandboxProcess
) -> None:
    sandbox.settings(times_s=[3, 3, 3])
    sandbox.set_faults("latency:150")
    stack.env |= {"MAX_CONCURRENT_PER_USER": "5", "MAX_CONCURRENT_VIDEOS": "10", "HOURLY_COST_LIMIT": "0"}
    stack.start_web()
    stack.script(ORDER_SCRIPT)
    for accepted in (3, 9):
        _kill_once(stack, sandbox, accepted)
    stack.script(END_LEASES_SCRIPT)
    stack.start_worker()
    # A worker killed between claim and request leaves a task of unknown state: it is never sent again and is refunded
    # after an hour. All videos that the provider accepted become ready.
    # The submissions of a killed worker count as running until their leases end, 75 s later.
    wait_until(lambda: _are_all_settled(stack, sandbox), within_s=300)
    prompts = [row["body"]["prompt"] for row in sandbox.list_accepted()]
    assert sorted(prompts) == sorted(set(prompts)), "never paid twice"
    assert count_by_status(stack)["ready"] == len(prompts) >= 18  # two kills, one submission under way at each
    result = stack.manage("check_books", "--deep")
    assert "0 problems" in result.stdout


def test_the_worker_and_all_its_processes_stop_on_sigterm(stack: Stack) -> None:
    worker = stack.start_worker()
    wait_until(lambda: len(worker.list_processes()) >= 4, within_s=30)
    processes = worker.list_processes()
    assert worker.stop() < 25
    assert not [process for process in processes if is_alive(process.pid)]


def test_f61_a_cluster_that_runs_nothing_is_killed_and_restarted(stack: Stack) -> None:
    code = (
        "import django; django.setup(); from videos.worker.supervisor import Supervisor; "
        "Supervisor(canary_every_s=1, canary_timeout_s=6).run()"
    )
    supervisor = Process(
        [sys.executable, "-c", code],
        {**stack.env, "DJANGO_SETTINGS_MODULE": "veoapp.settings"},
        stack.folder / "supervisor.log",
    )
    try:
        wait_until(lambda: bool(read_canary_start(stack)), within_s=90)
        children = [process for process in supervisor.list_processes() if process.pid != supervisor.popen.pid]
        for process in children:
            process.send_signal(signal.SIGSTOP)
        wait_until(lambda: not any(is_alive(process.pid) for process in children), within_s=90)
        wait_until(lambda: len(supervisor.list_processes()) >= 4, within_s=30)
        last_start = read_canary_start(stack)
        wait_until(lambda: read_canary_start(stack) != last_start, within_s=90)
        assert ("worker",) in stack.rows("SELECT kind FROM billing_alert")
    finally:
        supervisor.stop()


def test_the_cluster_does_not_outlive_its_supervisor(stack: Stack) -> None:
    worker = stack.start_worker()
    wait_until(lambda: len(worker.list_processes()) >= 4, within_s=30)
    children = worker.list_processes()[1:]
    worker.kill_hard()
    wait_until(lambda: not any(is_alive(child.pid) for child in children), within_s=10)


def _are_all_settled(stack: Stack, sandbox: SandboxProcess) -> bool:
    """All twenty are ready, or unconfirmed because the provider never saw them."""
    counts = count_by_status(stack)
    return counts.get("ready") == len(sandbox.list_accepted()) == 20 - counts.get("unconfirmed", 0)


def _kill_once(stack: Stack, sandbox: SandboxProcess, accepted: int) -> None:
    """Start a worker, and kill it by SIGKILL once the provider has accepted `accepted` videos."""
    worker = stack.start_worker()
    wait_until(lambda: len(sandbox.list_accepted()) >= accepted, within_s=60, every_s=0.05)
    processes = worker.list_processes()
    worker.kill_hard()
    wait_until(lambda: not any(is_alive(process.pid) for process in processes), within_s=10)

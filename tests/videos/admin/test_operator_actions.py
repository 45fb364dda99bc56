"""F76, F77: an operator and the worker change the same video at the same time. One of them succeeds, and money moves once."""

import threading
import time
from collections.abc import Callable

import pytest
from django.db import connections
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from accounts.seams import failpoints
from billing.models import LedgerEntry, PaidCall
from tests.videos.admin.operator_pages import unconfirmed_video
from tests.videos.world import World
from videos.actions import operator as operator_actions
from videos.lifecycle import status_changes as lifecycle
from videos.lifecycle import verdicts
from videos.models import CallbackReceipt, VideoFile, VideoTask
from videos.pipeline import dispatch
from videos.providers.base import RefusalReason, Report, ReportState

pytestmark = pytest.mark.django_db(transaction=True)


def run_concurrently(*calls: Callable[[], object]) -> list[object]:
    """Run all calls concurrently, each in its own thread and connection; returns each result or error."""
    barrier = threading.Barrier(len(calls))
    results: list[object] = [None] * len(calls)

    def run(index: int, call: Callable[[], object]) -> None:
        try:
            barrier.wait(10)
            results[index] = call()
        except lifecycle.NotPossible as refusal:
            results[index] = refusal
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(index, call)) for index, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def cancel(task: VideoTask, seen_status: str, actor: User) -> Callable[[], object]:
    """A call that cancels as an operator; it returns "cancelled"."""

    def call() -> object:
        operator_actions.cancel(task_id=task.pk, seen_status=seen_status, actor=actor)
        return "cancelled"

    return call


def failure_report(task: VideoTask) -> Report:
    """The provider's verdict that a task failed."""
    return Report(
        provider_task_id=task.provider_task_id or "", state=ReportState.FAILED, reason=RefusalReason.GENERATION
    )


@pytest.mark.postgres
def test_f76_an_operator_and_the_worker_together_refund_once(
    world: World, alice: User, olga: User, settings: Settings
) -> None:
    settings.MAX_CONCURRENT_PER_USER = settings.MAX_CONCURRENT_VIDEOS = 20
    tasks = [world.order(alice) for _ in range(12)]
    world.send()
    for order in tasks:
        task = world.reload(order)
        assert task.status == "generating"
        operator_result, verdict_result = run_concurrently(
            cancel(task, "generating", olga),
            lambda task=task: verdicts.record_failure(task_id=task.pk, report=failure_report(task), source="poll"),  # type: ignore[misc]
        )
        assert (operator_result == "cancelled") != verdict_result
        world.assert_refunded(task)
        assert world.event_kinds(task).count("refunded") == 1
        assert world.event_kinds(task).count("failed") == 1
    assert LedgerEntry.objects.filter(kind="refund").count() == 12


@pytest.mark.postgres
def test_f76_two_operators_and_the_deadline_refund_once(world: World, alice: User, olga: User, bob: User) -> None:
    for seen_status in ("queued", "generating"):
        task = world.order(alice)
        if seen_status == "generating":
            world.send()
        results = run_concurrently(
            cancel(task, seen_status, olga), cancel(task, seen_status, bob), cancel(task, seen_status, olga)
        )
        assert results.count("cancelled") == 1
        world.assert_refunded(task)
    assert LedgerEntry.objects.filter(kind="refund").count() == 2


@pytest.mark.postgres
def test_f77_cancelling_while_the_dispatcher_claims_cancels_or_sends_but_never_both(
    world: World, alice: User, olga: User, settings: Settings
) -> None:
    settings.MAX_CONCURRENT_PER_USER = settings.MAX_CONCURRENT_VIDEOS = 20
    tasks = [world.order(alice, f"video {number}") for number in range(12)]

    def cancel_all() -> list[str]:
        prompts = []
        for task in reversed(tasks):
            try:
                operator_actions.cancel(task_id=task.pk, seen_status="queued", actor=olga)
            except lifecycle.NotPossible:
                continue
            prompts.append(task.prompt)
        return prompts

    cancelled, _sent = run_concurrently(cancel_all, dispatch.dispatch_due)
    assert isinstance(cancelled, list)
    sent = {task.prompt for task in tasks} - set(cancelled)
    # A dispatcher stops when another worker has claimed the next task; the sweep starts it again.
    world.run()
    assert world.count_submissions() == len(sent)
    for task in tasks:
        if task.prompt in cancelled:
            world.assert_refunded(task)
            assert world.spend_state(task) == ("settled", "not_spent")
            assert not PaidCall.objects.filter(spend__job_id=task.pk).exists()
        else:
            world.assert_charged(task)


def test_f77_while_a_video_is_being_sent_the_operator_has_to_wait(
    world: World, alice: User, olga: User, settings: Settings
) -> None:
    settings.STAFF_MFA_REQUIRED = False
    staff = Client()
    staff.force_login(olga)
    task = world.order(alice)
    messages: list[str] = []

    def visit(name: str) -> None:
        if name == "submit.claimed":
            for seen_status in ("queued", "submitting"):
                messages.append(_cancel_by_page(staff, task, seen_status))

    with failpoints.replaced(visit):
        world.send()
    assert "Its state is now “Sending”; nothing was changed." in messages[0]
    assert "A worker is handling it right now; nothing was changed." in messages[1]
    world.run()
    world.assert_charged(task)
    assert world.count_submissions() == 1


def test_f77_a_video_that_became_ready_meanwhile_is_not_changed(
    world: World, alice: User, olga: User, settings: Settings
) -> None:
    settings.STAFF_MFA_REQUIRED = False
    staff = Client()
    staff.force_login(olga)
    task = world.order(alice)
    world.run()
    for seen_status in ("queued", "generating", "downloading", "unconfirmed"):
        assert "Its state is now “Ready”; nothing was changed." in _cancel_by_page(staff, task, seen_status)
    world.assert_charged(task)
    with pytest.raises(lifecycle.NotPossible):
        operator_actions.mark_lost(task_id=task.pk, actor=olga)
    assert world.event_kinds(task)[-1] == "ready"


def test_f77_an_unconfirmed_video_with_a_pending_callback_is_not_given_up(
    world_with_callbacks: World, alice: User, olga: User
) -> None:
    task = unconfirmed_video(world_with_callbacks, alice)
    world_with_callbacks.sandbox.finish()
    deadline = time.monotonic() + 20
    while not CallbackReceipt.objects.filter(task=task).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(operator_actions.CallbackPending):
        operator_actions.mark_lost(task_id=task.pk, actor=olga)
    with pytest.raises(operator_actions.CallbackPending):
        operator_actions.cancel(task_id=task.pk, seen_status="unconfirmed", actor=olga)
    operator_actions.check_now(task_id=task.pk, seen_status="unconfirmed", actor=olga)
    world_with_callbacks.run()
    world_with_callbacks.assert_charged(task)
    assert world_with_callbacks.count_submissions() == 1


def test_f77_cancelling_while_a_poller_has_the_result_refunds_once_and_delivers(
    world: World, alice: User, olga: User
) -> None:
    task = world.order(alice)
    world.send()
    world.sandbox.finish()
    world.advance(minutes=3)

    def visit(name: str) -> None:
        if name == "poll.answered" and world.reload(task).status == "generating":
            operator_actions.cancel(task_id=task.pk, seen_status="generating", actor=olga)

    with failpoints.replaced(visit):
        world.poll()
    world.run()
    world.assert_refunded(task)
    assert world.reload(task).late_at is not None
    assert VideoFile.objects.get(task=task).state == "stored"
    assert world.count_submissions() == 1


def test_f77_retrying_a_download_in_progress_changes_nothing(world: World, alice: User, olga: User) -> None:
    task = world.order(alice)
    world.send()
    world.sandbox.finish()
    world.advance(minutes=3)
    world.poll()
    busy: list[bool] = []

    def visit(name: str) -> None:
        if name == "download.fetched":
            with pytest.raises(operator_actions.TaskBusy):
                operator_actions.retry_download(task_id=task.pk, seen_status="downloading", actor=olga)
            busy.append(True)

    with failpoints.replaced(visit):
        world.download()
    assert busy == [True]
    world.assert_charged(task)
    assert VideoFile.objects.get(task=task).attempts == 1


def test_f77_cancelling_during_a_download_delivers_the_video_free(world: World, alice: User, olga: User) -> None:
    task = world.order(alice)
    world.send()
    world.sandbox.finish()
    world.advance(minutes=3)
    world.poll()

    def visit(name: str) -> None:
        if name == "download.moved":
            operator_actions.cancel(task_id=task.pk, seen_status="downloading", actor=olga)

    with failpoints.replaced(visit):
        world.download()
    world.assert_refunded(task)
    assert world.reload(task).late_at is not None
    assert world.spend_state(task) == ("settled", "price_list")


def test_f77_checking_now_while_a_poller_checks_settles_once(world: World, alice: User, olga: User) -> None:
    task = world.order(alice)
    world.send()
    world.sandbox.finish()
    world.advance(minutes=3)
    checks: list[bool] = []

    def visit(name: str) -> None:
        if name == "poll.answered" and not checks:
            checks.append(True)
            operator_actions.check_now(task_id=task.pk, seen_status="generating", actor=olga)
            world.poll()

    with failpoints.replaced(visit):
        world.poll()
    world.run()
    world.assert_charged(task)
    assert world.event_kinds(task).count("provider_done") == 1
    assert world.count_submissions() == 1


def _cancel_by_page(staff: Client, task: VideoTask, seen_status: str) -> str:
    form = {
        "action": "cancel_with_refund",
        "_selected_action": [str(task.pk)],
        "confirmed": "yes",
        f"seen_{task.pk}": seen_status,
    }
    return staff.post("/admin/videos/videotask/", form, follow=True).text

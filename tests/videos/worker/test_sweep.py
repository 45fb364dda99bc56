"""The sweep: a failing check or chore does not stop the others, idle checks are cheap, and waits for a budget do not expire."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from accounts.seams import clock
from billing.audit import runner as audit_runner
from billing.budgets import alerts as budget_alerts
from billing.budgets import usage as budget_usage
from billing.common import run_all
from billing.common.periods import site_zone
from billing.credits import expired_lots
from billing.guard import circuit_breaker
from billing.models import DailySummary
from billing.pricing import margins, provider_price_changes
from billing.provider import accounts as provider_accounts
from billing.provider import balance_history
from billing.reconciliation import reconcile, top_ups
from billing.reports import summary_schedule
from tests.videos.world import World
from videos import job_queue
from videos.actions import owner as owner_actions
from videos.audit import checks
from videos.lifecycle import status_changes as lifecycle
from videos.models import JobRequest, VideoTask
from videos.notifications import user_mails
from videos.storage import cleanup as storage_cleanup
from videos.storage import source_images
from videos.worker import health as worker_health
from videos.worker import sweep
from videos.worker import tasks as worker_tasks

Chore = Callable[..., object]

# The functions that `tidy` calls, in this order.
CHORES: list[Chore] = [
    provider_accounts.end_expired_pauses,
    budget_alerts.update_alerts,
    worker_health.check_recent_outcomes,
    worker_health.check_callbacks,
    audit_runner.is_late,
    storage_cleanup.sweep_files,
    owner_actions.delete_expired,
    source_images.delete_unused,
    owner_actions.erase_closed_accounts,
    circuit_breaker.delete_old_outcomes,
    balance_history.delete_old_readings,
    budget_usage.delete_old_windows,
]


def name_of(chore: Chore) -> str:
    return f"{chore.__module__}.{chore.__name__}"


def raise_error(*_: object, **__: object) -> None:
    raise ValueError("broken")


def record_call(called: list[str], name: str) -> Chore:
    return lambda *_, **__: called.append(name)


@pytest.mark.parametrize("broken", CHORES, ids=name_of)
def test_a_failing_chore_does_not_stop_the_others(world: World, monkeypatch: pytest.MonkeyPatch, broken: Chore) -> None:
    called: list[str] = []
    for chore in CHORES:
        monkeypatch.setattr(name_of(chore), record_call(called, name_of(chore)))
    monkeypatch.setattr(name_of(broken), raise_error)
    with pytest.raises(run_all.SomeCallsFailed):
        sweep.tidy()
    assert called == [name_of(chore) for chore in CHORES if chore != broken]


def test_a_video_that_cannot_be_cancelled_does_not_stop_the_others(
    world: World, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sandbox.set_faults("code-402")
    first, second = world.order(alice), world.order(alice)
    world.send()
    world.advance(hours=25)
    cancel = lifecycle.cancel

    def cancel_second_only(**arguments: object) -> bool:
        if arguments["task_id"] == first.pk:
            raise ValueError("broken")
        return cancel(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(lifecycle, "cancel", cancel_second_only)
    with pytest.raises(run_all.SomeCallsFailed):
        sweep.tidy()
    assert world.reload(first).status == "queued"
    world.assert_refunded(second)


def test_a_failing_check_does_not_stop_the_others(world: World, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    world.order(alice)
    # The order has enqueued a job; after 60 s it counts as lost.
    world.advance(seconds=61)
    monkeypatch.setattr(summary_schedule, "is_due", raise_error)
    monkeypatch.setattr(user_mails, "list_due", raise_error)
    names = sweep.enqueue_due()
    assert {"summary", "notify"}.isdisjoint(names)
    assert {"dispatch", "tidy", "balance", "books", "reconcile", "lots"} <= set(names)


def test_an_unavailable_database_stops_the_sweep(world: World, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bool:
        raise OperationalError("the connection is closed")

    enqueued: list[str] = []
    monkeypatch.setattr(summary_schedule, "is_due", fail)
    world.order(alice)
    monkeypatch.setattr(job_queue, "enqueue", lambda name: not enqueued.append(name))  # type: ignore[func-returns-value]
    with pytest.raises(OperationalError):
        sweep.enqueue_due()
    assert enqueued == ["dispatch"]


@pytest.mark.django_db
def test_an_idle_sweep_makes_four_queries(
    settings: Settings, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    settings.KIE_AI_API_KEY = "a-key"
    settings.COST_ALERT_EMAIL = ["olga@example.com"]
    # Depending on the hour, the summary of one of these two days may be due.
    today = clock.now().astimezone(site_zone()).date()
    for age in (1, 2):
        day = today - timedelta(days=age)
        DailySummary.objects.create(day=day, due_at=clock.now(), sent_at=clock.now(), waiting=[])
    assert "tidy" in sweep.enqueue_due()
    for name in job_queue.JOBS:
        job_queue.mark_started(name)
    # Long enough ago to query the account, but not long enough to read its balance again.
    JobRequest.objects.filter(name="balance").update(started_at=clock.database_now() - timedelta(minutes=1))
    # Only PostgreSQL is queried for the time.
    with django_assert_num_queries(4 if connection.vendor == "postgresql" else 3):
        assert sweep.enqueue_due() == []


def test_reconciliation_prices_and_margins_do_not_depend_on_each_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    provider_accounts.record_balance(account_id=provider_accounts.get_current_account().pk, balance=Decimal(9))
    monkeypatch.setattr(top_ups, "record_rises", raise_error)
    monkeypatch.setattr(reconcile, "update_unexplained", record_call(called, "watch"))
    monkeypatch.setattr(provider_price_changes, "propose_from_reported_costs", record_call(called, "prices"))
    monkeypatch.setattr(margins, "update_margin_alerts", record_call(called, "margins"))
    with pytest.raises(run_all.SomeCallsFailed):
        worker_tasks.reconcile()
    assert called == ["watch", "prices", "margins"]


def test_expiring_credits_are_announced_although_removal_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(expired_lots, "expire_due", raise_error)
    monkeypatch.setattr(expired_lots, "warn_due", record_call(called, "warned"))
    with pytest.raises(run_all.SomeCallsFailed):
        worker_tasks.lots()
    assert called == ["warned"]


@pytest.mark.parametrize("code", ["budget_day", "budget_limit", "budget_pace"])
def test_a_video_that_waited_for_a_budget_is_not_cancelled_when_the_wait_ends(
    world: World, alice: User, code: str
) -> None:
    task = world.order(alice)
    world.advance(hours=48)
    at = world.clock.now()
    VideoTask.objects.filter(pk=task.pk).update(wait_code=code, wait_until=at - timedelta(seconds=1))
    sweep.tidy()
    assert world.reload(task).status == "queued"
    assert list(checks.deadlines_kept(deep=False)) == []
    VideoTask.objects.filter(pk=task.pk).update(wait_until=at - timedelta(days=1, minutes=1))
    sweep.tidy()
    world.assert_refunded(task)

"""How often the balance is read and of which accounts, and that orders never wait for a reading."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from pytest_django import Settings

from accounts.models import User
from billing.alerts import runbook
from billing.guard import circuit_breaker
from billing.models import Alert, ProviderAccount
from billing.provider import accounts as provider_accounts
from billing.provider import keys as provider_keys
from tests.sandbox import SandboxProcess
from tests.videos.world import World
from videos.lifecycle import status_changes as lifecycle
from videos.models import VideoTask
from videos.pipeline import balances as provider_balances
from videos.worker import sweep
from videos.worker import tasks as worker_tasks


def current_account() -> ProviderAccount:
    return provider_accounts.get_current_account()


def test_the_balance_is_read_more_often_when_it_matters_more(world: World, alice: User) -> None:
    assert provider_balances.reading_interval() == timedelta(minutes=15), "no video is running"
    world.order(alice)
    world.send()
    assert provider_balances.reading_interval() == timedelta(minutes=1), "a video is running"
    world.sandbox.finish()
    world.run()
    assert provider_balances.reading_interval() == timedelta(minutes=15)
    provider_accounts.record_balance(account_id=current_account().pk, balance=Decimal(5000))
    world.order(alice, "the next one")
    provider_accounts.record_balance(account_id=current_account().pk, balance=Decimal(100))
    assert provider_balances.reading_interval() == timedelta(seconds=15), "a video waits for a top-up"
    world.run(rounds=1)
    for task in alice.video_tasks.filter(status="queued"):
        lifecycle.cancel(task_id=task.pk, code="user", actor=alice)
    assert provider_balances.reading_interval() == timedelta(minutes=1), "critical, and no video waits"
    ProviderAccount.objects.update(balance=5000, breaker="open")
    assert provider_balances.reading_interval() == timedelta(minutes=1), "the circuit breaker is open"


def test_the_sweep_enqueues_the_balance_job_when_it_is_due(world: World) -> None:
    assert "balance" in sweep.enqueue_due()
    worker_tasks.balance()
    assert current_account().snapshots.count() == 1
    world.advance(minutes=14)
    assert "balance" not in sweep.enqueue_due()
    world.advance(minutes=1)
    assert "balance" in sweep.enqueue_due()


def test_without_a_key_operators_are_alerted_and_nothing_fails(world: World, settings: Settings) -> None:
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    assert provider_balances.reading_interval() == timedelta(minutes=15)
    provider_balances.read_all()
    assert [alert.cause for alert in world.list_alerts("access_denied")] == [runbook.NO_KEY]


def test_alerts_about_a_key_are_resolved_once_it_is_replaced_and_its_videos_have_ended(
    world: World, alice: User, settings: Settings
) -> None:
    task = world.order(alice)
    world.send()
    old_account = current_account()
    provider_accounts.block_account(
        account_id=old_account.pk, parked_as=ProviderAccount.Parked.ACCESS_DENIED, detail="401"
    )
    circuit_breaker.record_failure(old_account.pk, detail="maintenance", opens_immediately=True)
    settings.KIE_AI_API_KEY = "another-key-altogether"
    new_account = current_account()
    provider_accounts.block_account(
        account_id=new_account.pk, parked_as=ProviderAccount.Parked.ACCESS_DENIED, detail="401"
    )
    open_alerts = Alert.objects.filter(cause=old_account.cause, resolved_at=None)
    provider_balances.read_all()
    assert open_alerts.exists(), "one of its videos is running"
    lifecycle.give_up(task_id=task.pk, from_="generating", code="deadline")
    provider_balances.read_all()
    assert open_alerts.exists(), "a refunded video is still polled"
    VideoTask.objects.filter(pk=task.pk).update(provider_done_at=world.clock.now())
    provider_balances.read_all()
    assert not open_alerts.exists()
    assert Alert.objects.filter(cause=new_account.cause, kind="access_denied", resolved_at=None).exists()


def test_dispatch_reads_an_old_balance_again_and_an_order_never_waits_for_it(
    world: World, alice: User, settings: Settings
) -> None:
    world.order(alice)
    world.send()
    readings = current_account().snapshots.count()
    world.advance(seconds=40)
    world.order(alice, "the second")
    world.send()
    assert current_account().snapshots.count() == readings
    world.advance(seconds=21)
    world.order(alice, "the third")
    world.send()
    assert current_account().snapshots.count() == readings + 1
    balance_calls = world.sandbox.read_state()["requests"]["GET /api/v1/chat/credit"]
    world.advance(hours=1)
    assert world.order(alice, "the fourth").status == "queued"
    assert world.sandbox.read_state()["requests"]["GET /api/v1/chat/credit"] == balance_calls


def test_a_refused_balance_call_blocks_the_account(world: World, alice: User) -> None:
    world.sandbox.settings(api_key="another")
    provider_balances.read_all()
    assert current_account().parked_as == "access_denied"
    world.sandbox.settings(api_key="sandbox")
    world.advance(seconds=31)
    provider_balances.read_all()
    assert current_account().parked_as == ""


def test_f75_a_running_video_is_polled_with_the_key_that_created_it(
    world: World, alice: User, settings: Settings, new_sandbox: Callable[..., SandboxProcess]
) -> None:
    second = new_sandbox("--api-key", "the-second-key")
    key, settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = settings.KIE_AI_API_KEY, "", False
    first_account = provider_keys.add_key(api_key=key, label="First", base_url=world.sandbox.url)
    provider_keys.activate_key(account_id=first_account.pk)
    first_task = world.order(alice, "with the first key")
    world.send()
    second_account = provider_keys.add_key(api_key="the-second-key", label="Second", base_url=second.url)
    provider_keys.activate_key(account_id=second_account.pk)
    second_task = world.order(alice, "with the second key")
    world.send()
    assert [len(world.sandbox.list_accepted()), len(second.list_accepted())] == [1, 1]
    assert (world.reload(first_task).account, world.reload(second_task).account) == (first_account, current_account())

    reading_count = first_account.snapshots.count()
    provider_balances.read_all()
    assert first_account.snapshots.count() == reading_count + 1, "as long as one of its videos is unsettled"
    for sandbox in (world.sandbox, second):
        sandbox.finish()
    world.advance(minutes=2)
    world.run()
    for task, sandbox in ((first_task, world.sandbox), (second_task, second)):
        world.assert_charged(task)
        assert sandbox.read_state()["requests"]["GET /api/v1/veo/record-info"] >= 1
        assert [row["body"]["prompt"] for row in sandbox.list_accepted()] == [task.prompt]
    provider_balances.read_all()
    assert first_account.snapshots.count() == reading_count + 1, "and no longer"

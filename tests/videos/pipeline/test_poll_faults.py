"""Faults while the provider is polled (faults.md C), and changes of the key or the price during a video (F74, F75)."""

import pytest
from pytest_django import Settings

from accounts.models import User
from accounts.seams import clock
from billing.models import Price, ProviderAccount
from tests.people import give_credits
from tests.sandbox import SandboxProcess
from tests.videos.world import AdjustableClock, World
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
from videos.pipeline import balances as provider_balances
from videos.worker import sweep


def test_f40_a_task_that_never_ends_is_delayed_then_refunded(world: World, alice: User) -> None:
    world.sandbox.set_faults("stuck-generating")
    task = world.order(alice)
    world.send()
    world.advance(minutes=16)
    world.poll()
    assert world.reload(task).status == "generating"
    assert world.reload(task).delayed_at is not None
    assert world.list_alerts("delayed")
    polls = world.reload(task).poll_attempts
    for _ in range(12):
        world.advance(minutes=5)
        world.poll()
    assert world.reload(task).poll_attempts - polls <= 12
    assert world.reload(task).status == "generating"
    world.advance(hours=6)
    world.poll()
    world.assert_refunded(task)
    assert world.reload(task).failure_code == "deadline"
    assert world.list_alerts("possible_spend")


def test_f40_a_result_after_the_deadline_is_delivered_free(world: World, alice: User) -> None:
    world.sandbox.set_faults("stuck-generating")
    task = world.order(alice)
    world.send()
    world.advance(hours=7)
    world.poll()
    world.assert_refunded(task)
    world.sandbox.set_faults()
    world.sandbox.finish()
    world.advance(hours=2)
    world.poll()
    world.download()
    assert world.reload(task).is_delivered
    world.assert_refunded(task)
    assert world.spend_state(task) == ("settled", "price_list")


@pytest.mark.parametrize("fault", ["record-404", "record-null", "data-null", "record-422"])
def test_f41_an_unknown_record_is_alerted_after_ten_minutes_and_not_refunded(
    world: World, alice: User, fault: str
) -> None:
    task = world.order(alice)
    world.send()
    world.sandbox.set_faults(fault)
    world.advance(minutes=2)
    world.poll()
    assert world.reload(task).status == "generating"
    assert not world.list_alerts("not_visible")
    for _ in range(12):
        world.advance(minutes=1)
        world.poll()
    assert world.list_alerts("not_visible")
    assert world.reload(task).status == "generating"
    world.sandbox.set_faults()
    world.advance(minutes=6)
    world.run()
    world.assert_charged(task)


@pytest.mark.parametrize(
    "fault", ["record-html", "record-truncated", "record-drop", "record-http:500", "record-gzip-bomb"]
)
def test_f42_f43_a_poll_without_a_usable_response_keeps_the_task_generating(
    world: World, alice: User, fault: str
) -> None:
    task = world.order(alice)
    world.send()
    world.sandbox.set_faults(fault)
    for _ in range(3):
        world.advance(minutes=1)
        world.poll()
    assert world.reload(task).status == "generating"
    world.sandbox.set_faults()
    world.advance(minutes=20)
    world.run()
    world.assert_charged(task)


@pytest.mark.django_db(transaction=True)
def test_f42_one_slow_record_does_not_delay_the_others(
    at_sandbox: SandboxProcess, adjustable_clock: AdjustableClock, alice: User, settings: Settings
) -> None:
    world = World(at_sandbox, adjustable_clock)
    settings.JOB_THREADS = 4
    settings.MAX_CONCURRENT_PER_USER = 10
    tasks = [world.order(alice, f"prompt {number}") for number in range(4)]
    world.send()
    world.sandbox.finish()
    world.sandbox.set_faults("record-slow=1:4")
    world.advance(minutes=1)
    started = clock.now()
    world.poll()
    assert (clock.now() - started).total_seconds() < 8
    assert sorted(world.reload(task).status for task in tasks).count("downloading") >= 3


@pytest.mark.parametrize(
    "fault",
    [
        "string-flag",
        "status-words",
        "state-words",
        "urls-json-string",
        "urls-bare-string",
        "urls-unquoted",
        "urls-at-root",
        "urls-result-json",
        "urls-video-url",
        "times-as-text",
        "times-absent",
        "param-object",
    ],
)
def test_every_variant_of_a_record_ends_ready(world: World, alice: User, fault: str) -> None:
    world.sandbox.set_faults(fault)
    task = world.order(alice)
    world.run()
    world.assert_charged(task)


@pytest.mark.parametrize("fault", ["fail-flag-2", "fail-flag-3"])
def test_a_verdict_of_failure_is_refunded_at_the_next_poll(world: World, alice: User, fault: str) -> None:
    world.sandbox.set_faults(fault)
    task = world.order(alice)
    world.run()
    world.assert_refunded(task)
    assert world.reload(task).failure_code
    assert world.spend_state(task) == ("settled", "assumed")


def test_f74_a_price_change_during_generation_changes_neither_charge_nor_refund(world: World, alice: User) -> None:
    task = world.order(alice, "this will [fail]")
    world.send()
    Price.objects.create(model="veo3_fast", resolution="720p", provider_credits=900, user_credits=900)
    world.sandbox.finish()
    world.advance(minutes=1)
    world.poll()
    world.assert_refunded(task)
    assert world.ledger_entries(task) == [("charge", -60), ("refund", 60)]


def test_f75_a_task_is_polled_with_the_key_that_created_it(world: World, alice: User, settings: Settings) -> None:
    task = world.order(alice)
    world.send()
    settings.KIE_AI_API_KEY = "another-key"
    world.sandbox.finish()
    world.advance(minutes=1)
    world.poll()
    world.download()
    world.assert_charged(task)
    assert ProviderAccount.objects.count() == 1


@pytest.mark.parametrize("problem", ["unusable", "undecryptable"])
def test_f75_an_unusable_key_raises_an_alert_and_its_tasks_wait(
    world: World, alice: User, settings: Settings, problem: str
) -> None:
    task = world.order(alice)
    world.send()
    waiting = world.order(alice, "the next one")
    key = settings.KIE_AI_API_KEY
    if problem == "unusable":
        settings.KIE_AI_API_KEY = "a key with spaces"
    else:
        settings.KIE_AI_API_KEY = ""
        ProviderAccount.objects.update(source=ProviderAccount.Source.ADMIN, sealed_key="v1:gone:AAAA")
    world.sandbox.finish()
    world.advance(minutes=1)
    world.send()
    world.poll()
    provider_balances.read_all()
    assert "cannot be used" in world.list_alerts("access_denied")[0].detail
    assert "a key with spaces" not in world.list_alerts("access_denied")[0].detail
    assert (world.reload(waiting).status, world.count_submissions()) == ("queued", 1)
    settings.KIE_AI_API_KEY = key
    world.run()
    world.assert_charged(task)
    world.assert_charged(waiting)


def test_a_task_that_waits_for_a_day_is_refunded(world: World, alice: User) -> None:
    world.sandbox.set_faults("code-402")
    task = world.order(alice)
    world.send()
    world.advance(hours=25)
    sweep.tidy()
    world.assert_refunded(task)
    assert world.reload(task).failure_code == "waited_too_long"


def test_dropped_callbacks_are_replaced_by_polls(world: World, alice: User) -> None:
    world.sandbox.set_faults("no-callback")
    tasks = [world.order(alice, f"prompt {number}") for number in range(4)]
    world.run()
    for task in tasks:
        world.assert_charged(task)
        assert world.reload(task).settled_by == "poll"


def test_the_least_recently_served_goes_first(world: World, alice: User, bob: User, settings: Settings) -> None:
    settings.MAX_CONCURRENT_VIDEOS = 1
    alices_tasks = [world.order(alice, f"hers {number}") for number in range(3)]
    bobs_task = world.order(bob, "his")
    world.run(rounds=100)
    sent = sorted([*alices_tasks, bobs_task], key=lambda task: str(world.reload(task).submitted_at))
    assert [task.prompt for task in sent] == ["hers 0", "his", "hers 1", "hers 2"]


def test_an_order_with_the_same_key_is_the_same_task_even_without_credits(world: World, alice: User) -> None:
    give_credits(alice, 60)
    order = VideoOrder(prompt="a kite")
    first = orders.create(user=alice, order=order, idempotency_key="k")
    repeated = orders.create(user=alice, order=order, idempotency_key="k")
    assert first.pk == repeated.pk
    assert world.ledger_entries(first) == [("charge", -60)]
    with pytest.raises(orders.KeyReused):
        orders.create(user=alice, order=VideoOrder(prompt="another"), idempotency_key="k")
    assert world.ledger_entries(first) == [("charge", -60)]

"""If callbacks are missing, operators get one alert with the likely reason, until callbacks arrive again."""

import pytest
from pytest_django import Settings

from accounts.models import User
from billing.models import Alert, ProviderAccount
from billing.provider import accounts as provider_accounts
from tests.videos.world import PRICE, World
from videos.models import CallbackReceipt, VideoTask
from videos.worker import health as worker_health
from videos.worker import sweep


def make_verdicts(world: World, user: User, account: ProviderAccount, **counts: int) -> None:
    """Make ready tasks with these sources of their verdicts, one after the other: `callback=20, poll=20`."""
    task_number = VideoTask.objects.count()
    for source, times in counts.items():
        for _ in range(times):
            task_number += 1
            world.advance(seconds=1)
            VideoTask.objects.create(
                user=user,
                status="ready",
                settled_by=source,
                duration_s=8,
                user_credits=PRICE,
                account=account,
                created_at=world.clock.now(),
                provider_task_id=f"p-{task_number}",
                finished_at=world.clock.now(),
                idempotency_key=f"{task_number}",
            )


@pytest.fixture
def account(world: World, settings: Settings) -> ProviderAccount:
    """The account with the environment's key."""
    settings.CALLBACK_BASE_URL = "https://studio.example.com"
    return provider_accounts.get_current_account()


def check_callbacks() -> Alert | None:
    worker_health.check_callbacks()
    return Alert.objects.filter(kind="callbacks_dry", resolved_at=None).first()


def test_when_callbacks_are_missing_operators_are_alerted_once(
    world: World, account: ProviderAccount, alice: User
) -> None:
    make_verdicts(world, alice, account, callback=8, poll=32)
    assert check_callbacks() is None, "four of five is not enough"
    task = VideoTask.objects.first()
    called_at = world.clock.now()
    CallbackReceipt.objects.create(task=task, body="{}", body_sha256="x", verdict="used", last_at=called_at)
    make_verdicts(world, alice, account, poll=1)
    alert = check_callbacks()
    assert alert is not None
    assert alert.severity == "warning"
    assert alert.facts == {
        "say": ["callbacks_dry", "callbacks_ended"],
        "polled": 33,
        "verdicts": 40,
        "address": "https://studio.example.com",
        "called_at": called_at.isoformat(),
    }
    assert alert.detail.startswith(
        "33 of the last 40 results came from polling, not from a callback. The last callback arrived"
    )
    world.advance(days=3)
    make_verdicts(world, alice, account, poll=40)
    check_callbacks()
    assert Alert.objects.get(kind="callbacks_dry").count == 1, "the alert is not raised again each day"


def test_the_alert_is_resolved_when_callbacks_arrive_again(world: World, account: ProviderAccount, alice: User) -> None:
    make_verdicts(world, alice, account, poll=40)
    assert check_callbacks() is not None
    make_verdicts(world, alice, account, callback=19)
    assert check_callbacks() is not None
    make_verdicts(world, alice, account, callback=1)
    assert check_callbacks() is None
    make_verdicts(world, alice, account, poll=40)
    assert check_callbacks() is not None


def test_few_verdicts_and_repairs_raise_no_alert(world: World, account: ProviderAccount, alice: User) -> None:
    make_verdicts(world, alice, account, poll=19, repair=30)
    assert check_callbacks() is None
    make_verdicts(world, alice, account, poll=1)
    assert check_callbacks() is not None


def test_verdicts_of_another_account_raise_no_alert(world: World, account: ProviderAccount, alice: User) -> None:
    other = ProviderAccount.objects.create(source="admin", label="old", key_fingerprint="x")
    make_verdicts(world, alice, other, poll=40)
    assert check_callbacks() is None


@pytest.mark.parametrize(
    ("address", "reason"),
    [("http://127.0.0.1:8000", "callbacks_private"), ("https://studio.example.com", "callbacks_never")],
)
def test_the_alert_names_the_setting_when_callbacks_never_arrived(
    world: World, account: ProviderAccount, alice: User, settings: Settings, address: str, reason: str
) -> None:
    settings.CALLBACK_BASE_URL = address
    make_verdicts(world, alice, account, poll=40)
    alert = check_callbacks()
    assert alert is not None
    assert alert.facts["say"] == ["callbacks_dry", reason]
    assert address in alert.detail
    assert "mark this alert as seen" in alert.detail


@pytest.mark.parametrize(
    ("address", "is_private"),
    [
        ("http://localhost:8000", True),
        ("http://192.168.1.5", True),
        ("http://[::1]:8000", True),
        ("https://studio.lan", True),
        ("https://studio", True),
        ("https://8.8.8.8", False),
        ("https://studio.example.com/veo", False),
    ],
)
def test_private_addresses_are_recognised(address: str, is_private: bool) -> None:
    assert worker_health.is_private(address) is is_private


def test_the_sandbox_and_a_site_without_a_key_are_not_checked(
    world: World, account: ProviderAccount, alice: User, settings: Settings
) -> None:
    make_verdicts(world, alice, account, poll=40)
    ProviderAccount.objects.update(source=ProviderAccount.Source.SANDBOX)
    assert check_callbacks() is None
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    assert check_callbacks() is None


def test_the_sweep_checks_callbacks(world: World, account: ProviderAccount, alice: User) -> None:
    make_verdicts(world, alice, account, poll=40)
    world.advance(minutes=2)
    sweep.tidy()
    assert Alert.objects.filter(kind="callbacks_dry").exists()

"""Which provider account is used, with which key, and how its balance raises alerts and blocks it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.costs import spend
from billing.models import Alert, BalanceSnapshot, ProviderAccount, Spend
from billing.provider import (
    accounts as provider_accounts,
)
from billing.provider import (
    balance_alerts,
    encryption,
)
from billing.provider import (
    keys as provider_keys,
)
from tests.billing.conftest import NewSpend
from tests.clocks import ManualClock

pytestmark = pytest.mark.django_db
ENV_KEY = "env-key-canary-1111"
ADMIN_KEY = "admin-key-canary-2222"


def get_key(account: ProviderAccount) -> str:
    return provider_accounts.get_credentials(account).api_key


def list_open_alerts(account: ProviderAccount) -> set[str]:
    return set(Alert.objects.filter(cause=account.cause, resolved_at=None).values_list("kind", flat=True))


def test_the_environment_s_key_precedes_the_admin_s_and_the_sandbox(settings: Settings) -> None:
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", True
    sandbox = provider_accounts.get_current_account()
    assert (sandbox.source, get_key(sandbox), sandbox.base_url) == ("sandbox", "sandbox", settings.SANDBOX_URL)
    added = provider_keys.add_key(api_key=ADMIN_KEY, label="Ours")
    assert provider_accounts.get_current_account() == sandbox, "it was not activated"
    provider_keys.activate_key(account_id=added.pk)
    assert provider_accounts.get_current_account() == added
    assert get_key(added) == ADMIN_KEY
    settings.KIE_AI_API_KEY = ENV_KEY
    environment = provider_accounts.get_current_account()
    assert (environment.source, get_key(environment)) == ("environment", ENV_KEY)
    assert provider_accounts.get_current_account() == environment


def test_without_any_key_the_error_says_what_to_do(settings: Settings) -> None:
    settings.KIE_AI_API_KEY, settings.SANDBOX_ALLOWED = "", False
    with pytest.raises(provider_accounts.NoProviderKey, match=r"KIE_AI_API_KEY.*admin"):
        provider_accounts.get_current_account()


def test_f75_after_a_key_change_the_old_account_keeps_its_credentials(settings: Settings) -> None:
    settings.KIE_AI_API_KEY = ENV_KEY
    old = provider_accounts.get_current_account()
    settings.KIE_AI_API_KEY = "another-key"
    new = provider_accounts.get_current_account()
    assert new != old
    assert (get_key(old), get_key(new)) == (ENV_KEY, "another-key")
    settings.KIE_AI_API_KEY = ""
    assert get_key(old) == ENV_KEY


def test_f75_a_key_first_used_without_encryption_is_sealed_once_it_is_configured(settings: Settings) -> None:
    keys, settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS, []
    settings.KIE_AI_API_KEY = ENV_KEY
    old = provider_accounts.get_current_account()
    assert (old.sealed_key, get_key(old)) == ("", ENV_KEY)
    settings.KIE_AI_API_KEY = "another-key"
    with pytest.raises(provider_accounts.NoProviderKey, match="never stored"):
        provider_accounts.get_credentials(old)
    settings.KIE_AI_API_KEY, settings.FIELD_ENCRYPTION_KEYS = ENV_KEY, keys
    provider_accounts.get_current_account()
    settings.KIE_AI_API_KEY = ""
    old.refresh_from_db()
    assert get_key(old) == ENV_KEY


def test_f79_a_lost_encryption_key_is_an_error_that_names_it_and_no_secret(settings: Settings) -> None:
    account = provider_keys.add_key(api_key=ADMIN_KEY, label="Ours")
    settings.FIELD_ENCRYPTION_KEYS = []
    with pytest.raises(encryption.EncryptionError, match="FIELD_ENCRYPTION_KEYS") as error:
        provider_accounts.get_credentials(account)
    assert ADMIN_KEY not in str(error.value)
    with pytest.raises(encryption.EncryptionError, match="FIELD_ENCRYPTION_KEYS is empty"):
        provider_keys.add_key(api_key="third-key", label="Third")


def test_keys_are_nowhere_in_plain_text() -> None:
    account = provider_keys.add_key(api_key=ADMIN_KEY, label="Ours", base_url="https://veo.example/")
    row = ProviderAccount.objects.filter(pk=account.pk).values().get()
    assert ADMIN_KEY not in repr(row)
    assert ADMIN_KEY not in repr(provider_accounts.get_credentials(account))
    assert (account.base_url, str(account)) == ("https://veo.example", "Ours")
    assert provider_accounts.get_credentials(account).base_url == "https://veo.example"


def test_only_the_last_activated_key_of_the_admin_is_used(settings: Settings) -> None:
    settings.KIE_AI_API_KEY = ""
    first = provider_keys.add_key(api_key=ADMIN_KEY, label="First")
    with pytest.raises(provider_accounts.NoProviderKey):
        provider_accounts.get_current_account()
    assert provider_keys.activate_if_funded(account_id=first.pk)
    second = provider_keys.add_key(api_key="second-key", label="Second")
    assert provider_accounts.get_current_account() == first
    assert provider_keys.activate_if_funded(account_id=second.pk)
    assert provider_accounts.get_current_account() == second
    provider_keys.activate_key(account_id=first.pk)
    assert provider_accounts.get_current_account() == first
    assert ProviderAccount.objects.filter(is_active=True).count() == 1
    assert provider_keys.add_key(api_key="second-key", label="Second, again") == second
    assert provider_accounts.get_current_account() == first
    assert provider_keys.activate_if_funded(account_id=second.pk)
    assert provider_keys.add_key(api_key="second-key", label="Second, once more") == second
    assert provider_accounts.get_current_account().label == "Second, once more", "a key in use stays in use"
    provider_keys.deactivate_key(account_id=second.pk)
    with pytest.raises(provider_accounts.NoProviderKey):
        provider_accounts.get_current_account()


def test_an_environment_key_added_in_the_admin_keeps_its_account(settings: Settings) -> None:
    settings.KIE_AI_API_KEY = ENV_KEY
    environment = provider_accounts.get_current_account()
    assert provider_keys.add_key(api_key=ENV_KEY, label="Ours now") == environment
    assert provider_accounts.get_current_account() == environment
    settings.KIE_AI_API_KEY = ""
    with pytest.raises(provider_accounts.NoProviderKey):
        provider_accounts.get_current_account()
    assert provider_keys.activate_if_funded(account_id=environment.pk)
    assert provider_accounts.get_current_account() == environment


def test_a_key_with_a_critical_balance_is_activated_only_without_another(settings: Settings) -> None:
    settings.KIE_AI_API_KEY = ""
    first, second = (provider_keys.add_key(api_key=f"key-number-{n}", label=f"Key {n}") for n in range(2))
    for account in (first, second):
        provider_accounts.record_balance(account_id=account.pk, balance=settings.CRITICAL_BALANCE_THRESHOLD)
    assert provider_keys.activate_if_funded(account_id=first.pk)
    assert provider_keys.activate_if_funded(account_id=first.pk)
    assert not provider_keys.activate_if_funded(account_id=second.pk)
    assert provider_accounts.get_current_account() == first


def test_activating_an_accepted_key_unblocks_its_account(settings: Settings) -> None:
    settings.KIE_AI_API_KEY = ""
    added = provider_keys.add_key(api_key=ADMIN_KEY, label="Ours")
    denied = ProviderAccount.Parked.ACCESS_DENIED
    provider_accounts.block_account(account_id=added.pk, parked_as=denied, detail="401", is_used=False)
    assert list_open_alerts(added) == set(), "an account that is not in use raises no alert"
    provider_accounts.record_balance(account_id=added.pk, balance=Decimal(5000))
    assert ProviderAccount.objects.get(pk=added.pk).parked_as == denied, "a reading alone does not unblock it so soon"
    provider_keys.activate_key(account_id=added.pk)
    assert provider_accounts.get_current_account().parked_as == ""


@pytest.mark.parametrize(
    ("base_url", "upload_base_url", "expected"),
    [
        ("", "", "https://upload.kie.example"),
        ("https://kie.example/", "", "https://upload.kie.example"),
        ("http://127.0.0.1:8412", "", "http://127.0.0.1:8412"),
        ("http://127.0.0.1:8412", "http://127.0.0.1:8413/", "http://127.0.0.1:8413"),
    ],
)
def test_the_upload_address_defaults_to_the_base_address(
    base_url: str, upload_base_url: str, expected: str, settings: Settings
) -> None:
    settings.KIE_AI_BASE_URL, settings.KIE_AI_UPLOAD_BASE_URL = "https://kie.example", "https://upload.kie.example"
    added = provider_keys.add_key(api_key=ADMIN_KEY, label="Ours", base_url=base_url, upload_base_url=upload_base_url)
    assert added.upload_base_url == expected


def test_a_changed_upload_address_is_stored(settings: Settings) -> None:
    account = provider_accounts.get_current_account()
    settings.KIE_AI_UPLOAD_BASE_URL = "https://upload.example"
    assert provider_accounts.get_current_account() == account
    assert (
        provider_accounts.get_credentials(provider_accounts.get_current_account()).upload_base_url
        == "https://upload.example"
    )


# Balance


def test_a_snapshot_stores_the_promised_credits(account: ProviderAccount, alice: User, new_spend: object) -> None:
    job: Spend = new_spend()  # type: ignore[operator]
    spend.promise(spend=job, account=account)
    snapshot = provider_accounts.record_balance(account_id=account.pk, balance=Decimal("4940.25"))
    account.refresh_from_db()
    assert (account.balance, account.balance_at) == (Decimal("4940.25"), snapshot.taken_at)
    assert (snapshot.balance, snapshot.promised) == (Decimal("4940.25"), Decimal(60))
    assert str(snapshot).startswith("4940.25")
    assert BalanceSnapshot.objects.filter(account=account).count() == 2


def test_costs_settled_since_the_reading_count_until_the_next(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: object
) -> None:
    job: Spend = new_spend()  # type: ignore[operator]
    spend.promise(spend=job, account=account)
    assert provider_accounts.sum_committed(account) == 60
    manual_clock.sleep(10)
    spend.settle(job_id=job.job_id, actual=Decimal(60), basis=Spend.Basis.REPORTED)
    assert provider_accounts.sum_promised(account.pk) == 0
    assert provider_accounts.sum_committed(account) == 60
    manual_clock.sleep(10)
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(4940))
    account.refresh_from_db()
    assert provider_accounts.sum_committed(account) == 0


def test_a_falling_balance_raises_two_alerts_and_a_sufficient_one_resolves_them(account: ProviderAccount) -> None:
    for balance, kinds in [
        ("1000.0001", set()),
        ("1000", {"low_balance"}),
        ("500", {"low_balance", "critical_balance"}),
        ("0", {"low_balance", "critical_balance"}),
        ("501", {"low_balance"}),
        ("1001", set()),
    ]:
        provider_accounts.record_balance(account_id=account.pk, balance=Decimal(balance))
        assert list_open_alerts(account) == kinds, balance


def test_a_blocked_account_is_unblocked_by_a_sufficient_balance_after_a_minimum_time(
    manual_clock: ManualClock, account: ProviderAccount
) -> None:
    provider_accounts.block_account(
        account_id=account.pk, parked_as=ProviderAccount.Parked.OUT_OF_CREDITS, detail="402"
    )
    assert list_open_alerts(account) == {"out_of_credits"}
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    account.refresh_from_db()
    assert account.parked_as == "out_of_credits"
    manual_clock.sleep(provider_accounts.MIN_BLOCKED_TIME.total_seconds())
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(500))
    account.refresh_from_db()
    assert account.parked_as == "out_of_credits"
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    account.refresh_from_db()
    assert (account.parked_as, account.parked_at) == ("", None)
    assert list_open_alerts(account) == set()


def test_one_account_s_balance_does_not_end_another_s_alerts(account: ProviderAccount) -> None:
    other = provider_keys.add_key(api_key=ADMIN_KEY, label=account.label)
    provider_accounts.block_account(account_id=other.pk, parked_as=ProviderAccount.Parked.ACCESS_DENIED, detail="401")
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    assert list_open_alerts(other) == {"access_denied"}


def test_the_available_balance_excludes_committed_credits(
    manual_clock: ManualClock, account: ProviderAccount, new_spend: NewSpend
) -> None:
    assert provider_accounts.get_available_balance(account) == 5000
    first, second = new_spend(), new_spend()
    for job in (first, second):
        spend.promise(spend=job, account=account)
    assert provider_accounts.get_available_balance(account) == 4880
    manual_clock.sleep(1)
    spend.settle(job_id=first.job_id, actual=Decimal(60), basis=Spend.Basis.REPORTED)
    assert provider_accounts.get_available_balance(account) == 4880
    account.balance = None
    assert provider_accounts.get_available_balance(account) is None


def test_a_balance_is_fresh_for_two_minutes() -> None:
    assert timedelta(minutes=2) == provider_accounts.BALANCE_FRESH_FOR


def test_alerts_of_an_unused_account_are_resolved(account: ProviderAccount) -> None:
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(1))
    provider_accounts.block_account(
        account_id=account.pk, parked_as=ProviderAccount.Parked.OUT_OF_CREDITS, detail="402"
    )
    assert Alert.objects.filter(cause=account.cause, resolved_at=None).count() == 2
    balance_alerts.resolve_unused([account])
    assert not Alert.objects.filter(cause=account.cause, resolved_at=None).exists()

"""Provider keys in the admin: adding, testing and choosing one."""

import re
import socket
from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from billing.models import (
    Alert,
    ProviderAccount,
)
from billing.provider import accounts as provider_accounts
from billing.provider import keys as provider_keys
from tests.accounts import steps
from tests.billing.admin.pages import (
    ACCOUNTS,
    account_page_url,
    list_cells,
    list_log_messages,
    reload_account,
    run_action,
)
from tests.sandbox import SandboxProcess

pytestmark = pytest.mark.django_db


FORMER_KEY = "former-key-1"


def test_a_key_is_added_behind_a_password_and_never_shown_again(
    client: Client, olga: User, settings: Settings, new_sandbox: Callable[..., SandboxProcess]
) -> None:
    settings.STAFF_MFA_REQUIRED, settings.KIE_AI_API_KEY = False, ""
    client.force_login(olga)
    add_url = f"{ACCOUNTS}add/"
    assert "/reauthenticate/" in client.get(add_url)["Location"]
    assert "/reauthenticate/" in client.post(add_url, {"label": "Ours", "api_key": "canary-key-1"})["Location"]
    assert not ProviderAccount.objects.exists()
    assert "canary-key-1" not in str(dict(client.session))
    steps.reauthenticate(client, add_url)
    assert 'type="password"' in client.get(add_url).text
    invalid_response = client.post(add_url, {"label": "", "api_key": "canary-key-1"})
    assert "errorlist" in invalid_response.text
    sandbox = new_sandbox("--api-key", "canary-key-1")
    response = client.post(add_url, {"label": "Ours", "api_key": "canary-key-1", "base_url": sandbox.url}, follow=True)
    account = ProviderAccount.objects.get()
    assert "The key is stored encrypted." in response.text
    assert "the balance is 5,000. All new videos use this key from now on." in response.text
    assert "Working" in response.text
    assert provider_accounts.get_credentials(account).api_key == "canary-key-1"
    assert provider_accounts.get_current_account() == account
    assert (account.base_url, account.upload_base_url) == (sandbox.url, sandbox.url)
    assert sandbox.list_accepted() == []
    for text in (
        invalid_response.text,
        response.text,
        client.get(ACCOUNTS).text,
        *list_log_messages(),
        account.sealed_key,
    ):
        assert "canary-key-1" not in text


@pytest.fixture
def add_key(client: Client, olga: User, settings: Settings, sandbox: SandboxProcess) -> Callable[..., str]:
    """Adds a key in the admin and returns the text of the next page. The sandbox accepts FORMER_KEY."""
    sandbox.settings(api_key=FORMER_KEY)
    settings.STAFF_MFA_REQUIRED, settings.KIE_AI_API_KEY = False, ""
    client.force_login(olga)
    steps.reauthenticate(client, f"{ACCOUNTS}add/")

    def add(key: str, base_url: str) -> str:
        form = {"label": key.title(), "api_key": key, "base_url": base_url}
        return client.post(f"{ACCOUNTS}add/", form, follow=True).text

    return add


def test_a_key_that_is_refused_is_kept_and_the_former_one_stays(
    client: Client, add_key: Callable[..., str], sandbox: SandboxProcess
) -> None:
    assert "If that succeeds, all new videos use this key" in client.get(f"{ACCOUNTS}add/").text
    add_key(FORMER_KEY, sandbox.url)
    former = provider_accounts.get_current_account()
    text = add_key("wrong-key-123", sandbox.url)
    assert "it rejects our key or address" in text
    assert "No new videos are sent to it." in text
    assert "Key or address refused since" in text
    assert "The breaker is not stopping new videos; the reasons are shown above." in text
    for claim in ("Working", "Used for new videos", "The provider answers", "orders are sent"):
        assert claim not in text
    assert 'value="test_connection"' in text
    assert 'value="activate"' in text
    assert provider_accounts.get_current_account() == former
    assert not Alert.objects.exists(), "nothing was sent with it, so there is no alert"
    refused = ProviderAccount.objects.exclude(pk=former.pk).get()
    assert "it rejects our key or address" in run_action(client, ACCOUNTS, "activate", refused, confirmed="yes")
    assert provider_accounts.get_current_account() == former


def test_a_key_with_an_unreachable_address_is_kept_and_the_former_one_stays(
    client: Client, add_key: Callable[..., str], sandbox: SandboxProcess
) -> None:
    add_key(FORMER_KEY, sandbox.url)
    former = provider_accounts.get_current_account()
    with socket.socket() as closed_port:
        closed_port.bind(("127.0.0.1", 0))
        text = add_key("far-away-key", f"http://127.0.0.1:{closed_port.getsockname()[1]}")
    assert "it gives no usable answer" in text
    assert "Not reachable" in text
    assert "The last attempt to read the balance failed." in text
    assert "Working" not in text
    assert provider_accounts.get_current_account() == former


def test_a_key_with_a_critical_balance_leaves_the_former_in_use(
    client: Client, add_key: Callable[..., str], sandbox: SandboxProcess, new_sandbox: Callable[..., SandboxProcess]
) -> None:
    add_key(FORMER_KEY, sandbox.url)
    former = provider_accounts.get_current_account()
    nearly_empty = new_sandbox("--api-key", "poor-key-1", "--balance", "80")
    assert "so new videos do not use this key yet" in add_key("poor-key-1", nearly_empty.url)
    assert provider_accounts.get_current_account() == former
    account = ProviderAccount.objects.get(base_url=nearly_empty.url)
    assert "All new videos use this key from now on." in run_action(
        client, ACCOUNTS, "activate", account, confirmed="yes"
    )
    assert provider_accounts.get_current_account() == account


def test_the_page_of_a_tested_key_not_in_use_shows_both_facts(
    client: Client, add_key: Callable[..., str], sandbox: SandboxProcess, new_sandbox: Callable[..., SandboxProcess]
) -> None:
    add_key(FORMER_KEY, sandbox.url)
    former = provider_accounts.get_current_account()
    other = new_sandbox("--api-key", "other-key-1")
    add_key("other-key-1", other.url)
    assert "The provider answers. This account is not used for new videos." in client.get(account_page_url(former)).text


def test_a_key_is_not_used_while_the_environment_sets_one(
    add_key: Callable[..., str], sandbox: SandboxProcess, settings: Settings
) -> None:
    settings.KIE_AI_API_KEY = "the-environments-key"
    assert "New videos use the key from the environment" in add_key(FORMER_KEY, sandbox.url)
    assert provider_accounts.get_current_account().source == ProviderAccount.Source.ENVIRONMENT


def test_without_encryption_keys_a_key_is_refused_with_a_message(
    client: Client, olga: User, settings: Settings
) -> None:
    settings.STAFF_MFA_REQUIRED, settings.FIELD_ENCRYPTION_KEYS = False, []
    client.force_login(olga)
    steps.reauthenticate(client, f"{ACCOUNTS}add/")
    text = client.post(f"{ACCOUNTS}add/", {"label": "Ours", "api_key": "canary-key-1"}).text
    assert "FIELD_ENCRYPTION_KEYS is empty" in text
    assert "The environment sets a key" in text
    assert "canary-key-1" not in text
    assert not ProviderAccount.objects.exists()


def test_an_operator_chooses_the_key_in_use(
    staff: Client, own_key: ProviderAccount, account: ProviderAccount, sandbox: SandboxProcess
) -> None:
    second = provider_keys.add_key(api_key="second-key", label="Second")
    provider_keys.activate_key(account_id=second.pk)
    sandbox.settings(api_key="admin-key-canary")
    ProviderAccount.objects.filter(pk=own_key.pk).update(base_url=sandbox.url)
    assert 'value="activate"' in staff.get(account_page_url(own_key)).text
    assert "unless the environment sets one" in run_action(staff, ACCOUNTS, "activate", own_key)
    assert provider_accounts.get_current_account() == second
    run_action(staff, ACCOUNTS, "activate", own_key, confirmed="yes")
    assert provider_accounts.get_current_account() == own_key
    assert 'value="deactivate"' in staff.get(account_page_url(own_key)).text
    run_action(staff, ACCOUNTS, "deactivate", own_key)
    assert provider_accounts.get_current_account() == own_key
    run_action(staff, ACCOUNTS, "deactivate", own_key, second, confirmed="yes")
    assert list_cells(staff.get(ACCOUNTS).text, "role") == ["–"] * ProviderAccount.objects.count()
    assert "Choose one key" in run_action(staff, ACCOUNTS, "activate", own_key, second, confirmed="yes")


def test_the_environment_s_key_cannot_be_chosen(staff: Client, account: ProviderAccount) -> None:
    assert 'value="activate"' not in staff.get(account_page_url(account)).text
    assert "Choose one key that was added here" in run_action(staff, ACCOUNTS, "activate", account, confirmed="yes")
    assert "Choose keys that were added here" in run_action(staff, ACCOUNTS, "deactivate", account, confirmed="yes")
    assert reload_account(account).is_active


def test_the_connection_is_tested_by_reading_the_balance(
    staff: Client, sandbox: SandboxProcess, settings: Settings
) -> None:
    settings.KIE_AI_API_KEY, settings.KIE_AI_BASE_URL = sandbox.api_key, sandbox.url
    account = provider_accounts.get_current_account()
    assert re.search(
        r"it answers in \d+\.\d\d s, the balance is 5,000\.", run_action(staff, ACCOUNTS, "test_connection", account)
    )
    assert reload_account(account).balance == 5000
    settings.KIE_AI_API_KEY = "a-wrong-key"
    refused = provider_accounts.get_current_account()
    text = run_action(staff, ACCOUNTS, "test_connection", account, refused)
    assert "it rejects our key or address" in text
    assert "a-wrong-key" not in text
    settings.FIELD_ENCRYPTION_KEYS = []
    settings.KIE_AI_API_KEY = ""
    assert "FIELD_ENCRYPTION_KEYS" in run_action(staff, ACCOUNTS, "test_connection", refused)
    assert sandbox.list_accepted() == []


def test_a_provider_that_does_not_respond_is_reported(staff: Client, account: ProviderAccount) -> None:
    assert "it gives no usable answer (after" in run_action(staff, ACCOUNTS, "test_connection", account)

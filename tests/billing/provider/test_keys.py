"""Stored keys are resealed by one command, and the start is refused if they cannot be unsealed."""

import base64
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError
from pytest_django.fixtures import Settings

from billing.models import ProviderAccount
from billing.provider import (
    accounts as provider_accounts,
)
from billing.provider import (
    encryption,
)
from billing.provider import (
    keys as provider_keys,
)

pytestmark = pytest.mark.django_db

OLD = "a:" + base64.b64encode(b"o" * 32).decode()
NEW = "b:" + base64.b64encode(b"n" * 32).decode()
WRONG = "a:" + base64.b64encode(b"w" * 32).decode()
SECRETS = {"First": "sk-canary-0123456789", "Second": "sk-canary-9876543210"}


@pytest.fixture(autouse=True)
def _two_keys(settings: Settings) -> None:
    settings.KIE_AI_API_KEY, settings.FIELD_ENCRYPTION_KEYS = "", [OLD]
    for label, key in SECRETS.items():
        provider_keys.add_key(api_key=key, label=label)


def list_key_ids() -> list[str]:
    return [encryption.read_key_id(account.sealed_key) for account in ProviderAccount.objects.order_by("pk")]


def read_keys() -> dict[str, str]:
    return {
        account.label: provider_accounts.get_credentials(account).api_key for account in ProviderAccount.objects.all()
    }


def rotate(**options: bool) -> str:
    out = StringIO()
    call_command("rotate_keys", stdout=out, **options)
    assert "sk-canary" not in out.getvalue()
    return out.getvalue()


def test_f79_after_a_rotation_the_old_encryption_key_may_be_removed(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    output = rotate()
    assert "2 encrypted again, 0 already up to date." in output
    assert "Nothing is encrypted with a any more." in output
    assert list_key_ids() == ["b", "b"]
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    provider_keys.require_readable_keys()
    assert read_keys() == SECRETS


def test_a_second_rotation_changes_nothing(settings: Settings) -> None:
    assert rotate() == "0 encrypted again, 2 already up to date.\n"
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    rotate()
    before = list(ProviderAccount.objects.values_list("sealed_key", flat=True))
    assert "0 encrypted again, 2 already up to date." in rotate()
    assert list(ProviderAccount.objects.values_list("sealed_key", flat=True)) == before


def test_accounts_without_a_stored_key_are_skipped(settings: Settings) -> None:
    ProviderAccount.objects.filter(label="First").update(sealed_key="")
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert "1 encrypted again" in rotate()
    provider_keys.require_readable_keys()


@pytest.mark.parametrize("keys", [[NEW], [WRONG], [NEW, WRONG], []])
def test_f79_a_missing_or_wrong_key_refuses_the_start_with_instructions(settings: Settings, keys: list[str]) -> None:
    settings.FIELD_ENCRYPTION_KEYS = keys
    with pytest.raises(encryption.EncryptionError) as error:
        provider_keys.require_readable_keys()
    message = str(error.value)
    assert "First" in message
    assert "Second" in message
    assert "'a'" in message
    assert "Add the missing key after the newest one" in message
    assert "sk-canary" not in message


def test_f79_a_rotation_reseals_readable_keys_and_reports_the_others(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    unreadable = encryption.seal("sk-canary-lost", purpose="another purpose")
    ProviderAccount.objects.filter(label="First").update(sealed_key=unreadable.replace("v1:b", "v1:a"))
    with pytest.raises(CommandError, match=r"keep all old encryption keys:\nFirst: ") as error:
        rotate()
    assert "sk-canary" not in str(error.value)
    assert list_key_ids() == ["a", "b"]
    with pytest.raises(encryption.EncryptionError, match="First"):
        provider_keys.require_readable_keys()


def test_f79_a_lost_key_can_be_removed_and_entered_again(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    output = rotate(forget=True)
    assert "First: removed." in output
    assert "Second: removed." in output
    provider_keys.require_readable_keys()
    with pytest.raises(provider_accounts.NoProviderKey, match="never stored"):
        provider_accounts.get_credentials(ProviderAccount.objects.get(label="First"))
    provider_keys.add_key(api_key=SECRETS["First"], label="First")
    ProviderAccount.objects.filter(label="Second").delete()
    assert read_keys() == {"First": SECRETS["First"]}
    assert "1 already up to date" in rotate(forget=True)


def test_sealing_needs_a_key(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = []
    with pytest.raises(CommandError, match="FIELD_ENCRYPTION_KEYS is empty"):
        rotate()


def test_a_key_stored_meanwhile_is_not_overwritten(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    unseal = encryption.unseal

    def unseal_while_a_new_key_is_stored(sealed: str, *, purpose: str) -> str:
        ProviderAccount.objects.filter(sealed_key=sealed).update(sealed_key="v1:b:newer")
        return unseal(sealed, purpose=purpose)

    monkeypatch.setattr(encryption, "unseal", unseal_while_a_new_key_is_stored)
    assert provider_keys.reseal_keys().resealed == 0
    assert set(ProviderAccount.objects.values_list("sealed_key", flat=True)) == {"v1:b:newer"}
    ProviderAccount.objects.update(sealed_key="v1:b:broken")

    def fail_while_a_new_key_is_stored(sealed: str, *, purpose: str) -> str:
        ProviderAccount.objects.filter(sealed_key=sealed).update(sealed_key="v1:b:newest")
        raise encryption.EncryptionError("broken")

    monkeypatch.setattr(encryption, "unseal", fail_while_a_new_key_is_stored)
    assert provider_keys.remove_unreadable_keys() == []
    assert set(ProviderAccount.objects.values_list("sealed_key", flat=True)) == {"v1:b:newest"}


def test_the_start_is_not_refused_before_the_tables_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_missing_table() -> list[str]:
        raise DatabaseError("no such table")

    monkeypatch.setattr(provider_keys, "list_unreadable_keys", raise_missing_table)
    provider_keys.require_readable_keys()

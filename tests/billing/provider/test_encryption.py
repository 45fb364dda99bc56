"""Encrypted secrets: readable only with the key that sealed them, and never shown by an error."""

import base64

import pytest
from pytest_django.fixtures import Settings

from billing.provider import encryption

OLD = "a:" + base64.b64encode(b"o" * 32).decode()
NEW = "b:" + base64.b64encode(b"n" * 32).decode()
SECRET = "sk-canary-0123456789"


def test_a_sealed_text_can_be_unsealed_and_names_its_key(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    sealed = encryption.seal(SECRET, purpose="test")
    assert sealed.startswith("v1:a:")
    assert SECRET not in sealed
    assert encryption.unseal(sealed, purpose="test") == SECRET


def test_sealing_the_same_secret_twice_gives_different_texts(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    assert encryption.seal(SECRET, purpose="test") != encryption.seal(SECRET, purpose="test")


def test_f79_after_a_rotation_the_old_key_unseals_and_the_new_one_seals(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    sealed = encryption.seal(SECRET, purpose="test")
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert encryption.unseal(sealed, purpose="test") == SECRET
    assert encryption.seal(SECRET, purpose="test").startswith("v1:b:")


@pytest.mark.parametrize("keys", [[], [NEW], ["a:" + base64.b64encode(b"w" * 32).decode()]])
def test_f79_a_missing_or_wrong_key_is_named_by_its_id(settings: Settings, keys: list[str]) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    sealed = encryption.seal(SECRET, purpose="test")
    settings.FIELD_ENCRYPTION_KEYS = keys
    with pytest.raises(encryption.EncryptionError, match="'a'") as error:
        encryption.unseal(sealed, purpose="test")
    assert SECRET not in str(error.value)


def test_a_text_for_another_purpose_cannot_be_unsealed(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    with pytest.raises(encryption.EncryptionError):
        encryption.unseal(encryption.seal(SECRET, purpose="test"), purpose="other")


@pytest.mark.parametrize("damage", ["v1:a:", "v1:a:AAAA", "v1:a:%%%", "v2:a:AAAA", "", "v1"])
def test_damaged_texts_raise_a_clear_error(settings: Settings, damage: str) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    with pytest.raises(encryption.EncryptionError):
        encryption.unseal(damage, purpose="test")


def test_without_a_key_sealing_fails(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = []
    assert not encryption.is_configured()
    with pytest.raises(encryption.EncryptionError, match="empty"):
        encryption.seal(SECRET, purpose="test")


@pytest.mark.parametrize("keys", [["a"], ["a:short"], [":" + OLD[2:]], ["a:" + base64.b64encode(b"o" * 16).decode()]])
def test_f79_an_invalid_key_raises_a_clear_error(settings: Settings, keys: list[str]) -> None:
    settings.FIELD_ENCRYPTION_KEYS = keys
    assert encryption.is_configured()
    with pytest.raises(encryption.EncryptionError, match="32 random bytes"):
        encryption.load_keys()


def test_two_keys_need_two_ids(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD, "a:" + NEW[2:]]
    with pytest.raises(encryption.EncryptionError, match="'a' twice"):
        encryption.load_keys()

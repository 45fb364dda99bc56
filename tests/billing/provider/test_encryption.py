"""Secrets at rest: readable with the key that sealed them, by nobody else, and never shown by an error."""

import base64

import pytest
from pytest_django.fixtures import Settings

from billing.provider import encryption

OLD = "a:" + base64.b64encode(b"o" * 32).decode()
NEW = "b:" + base64.b64encode(b"n" * 32).decode()
SECRET = "sk-canary-0123456789"


def test_what_is_sealed_opens_again_and_says_which_key_it_needs(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    sealed = encryption.seal(SECRET, purpose="test")
    assert sealed.startswith("v1:a:")
    assert SECRET not in sealed
    assert encryption.unseal(sealed, purpose="test") == SECRET


def test_the_same_secret_is_never_sealed_alike(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    assert encryption.seal(SECRET, purpose="test") != encryption.seal(SECRET, purpose="test")


def test_f79_after_a_rotation_the_old_is_read_and_the_new_seals(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    sealed = encryption.seal(SECRET, purpose="test")
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert encryption.unseal(sealed, purpose="test") == SECRET
    assert encryption.seal(SECRET, purpose="test").startswith("v1:b:")


@pytest.mark.parametrize("keys", [[], [NEW], ["a:" + base64.b64encode(b"w" * 32).decode()]])
def test_f79_a_missing_or_wrong_key_is_said_by_its_id(settings: Settings, keys: list[str]) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    sealed = encryption.seal(SECRET, purpose="test")
    settings.FIELD_ENCRYPTION_KEYS = keys
    with pytest.raises(encryption.EncryptionError, match="'a'") as problem:
        encryption.unseal(sealed, purpose="test")
    assert SECRET not in str(problem.value)


def test_another_purpose_does_not_open(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    with pytest.raises(encryption.EncryptionError):
        encryption.unseal(encryption.seal(SECRET, purpose="test"), purpose="other")


@pytest.mark.parametrize("damage", ["v1:a:", "v1:a:AAAA", "v1:a:%%%", "v2:a:AAAA", "", "v1"])
def test_damaged_texts_are_refused_in_words(settings: Settings, damage: str) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    with pytest.raises(encryption.EncryptionError):
        encryption.unseal(damage, purpose="test")


def test_without_a_key_nothing_is_sealed(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = []
    assert not encryption.is_configured()
    with pytest.raises(encryption.EncryptionError, match="empty"):
        encryption.seal(SECRET, purpose="test")


@pytest.mark.parametrize("keys", [["a"], ["a:short"], [":" + OLD[2:]], ["a:" + base64.b64encode(b"o" * 16).decode()]])
def test_f79_a_key_that_is_none_is_said(settings: Settings, keys: list[str]) -> None:
    settings.FIELD_ENCRYPTION_KEYS = keys
    assert encryption.is_configured()
    with pytest.raises(encryption.EncryptionError, match="32 random bytes"):
        encryption.load_keys()


def test_two_keys_need_two_ids(settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD, "a:" + NEW[2:]]
    with pytest.raises(encryption.EncryptionError, match="'a' twice"):
        encryption.load_keys()

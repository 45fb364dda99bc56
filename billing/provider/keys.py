"""Provider keys that operators enter in the admin: stored sealed, and used once the provider has accepted them."""

from dataclasses import dataclass, field

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import F

from billing.models import ProviderAccount
from billing.provider import accounts as provider_accounts
from billing.provider import encryption
from billing.provider.accounts import KEY_PURPOSE, fingerprint

Source = ProviderAccount.Source


def add_key(*, api_key: str, label: str, base_url: str = "", upload_base_url: str = "") -> ProviderAccount:
    """Store a key, sealed and inactive (see `activate_if_funded` and `activate_key`). Raises EncryptionError.

    The upload address defaults to the given base address, and both default to the settings.
    """
    sealed = encryption.seal(api_key, purpose=KEY_PURPOSE)
    base_url = base_url.rstrip("/") or settings.KIE_AI_BASE_URL
    default_upload_url = settings.KIE_AI_UPLOAD_BASE_URL if base_url == settings.KIE_AI_BASE_URL else base_url
    values = {
        "source": Source.ADMIN,
        "label": label,
        "upload_base_url": upload_base_url.rstrip("/") or default_upload_url,
        "sealed_key": sealed,
    }
    identity = {"provider": "kie", "base_url": base_url, "key_fingerprint": fingerprint(api_key)}
    with transaction.atomic():
        # Adding a key that is also in the environment does not activate it here.
        ProviderAccount.objects.filter(**identity).exclude(source=Source.ADMIN).update(is_active=False)
        # A key that is already known keeps its account, with its tasks and its balance history.
        account, _ = ProviderAccount.objects.update_or_create(
            **identity, defaults=values, create_defaults={**values, "is_active": False}
        )
    return account


def activate_if_funded(*, account_id: int) -> bool:
    """Activate a key that the provider has just accepted, unless its balance is critical and another key is available."""
    account = ProviderAccount.objects.get(pk=account_id)
    if provider_accounts.is_critical(account) and _is_another_key_used(account):
        return False
    activate_key(account_id=account_id)
    return True


def activate_key(*, account_id: int) -> None:
    """Use only this key, which the caller has tested, for new work. Tasks already sent keep their key."""
    with transaction.atomic():
        accounts = ProviderAccount.objects.filter(source=Source.ADMIN)
        # Always in the same order, so that two processes cannot deadlock.
        list(accounts.select_for_update().order_by("pk"))
        accounts.exclude(pk=account_id).update(is_active=False)
        accounts.filter(pk=account_id).update(is_active=True)
        # The provider has accepted the key since the account was blocked.
        accounts.filter(pk=account_id, parked_at__lt=F("balance_at")).update(parked_as="", parked_at=None)


def deactivate_key(*, account_id: int) -> None:
    """Stop using this key for new work. Tasks already sent with it continue to use it until they finish."""
    ProviderAccount.objects.filter(pk=account_id, source=Source.ADMIN).update(is_active=False)


def _is_another_key_used(account: ProviderAccount) -> bool:
    try:
        return provider_accounts.get_current_account() != account
    except provider_accounts.NoProviderKey:
        return False


@dataclass(frozen=True)
class Rotation:
    """The result of `reseal_keys`: how many keys were resealed or already current, and the error of each other key."""

    resealed: int = 0
    current: int = 0
    problems: list[str] = field(default_factory=list)


def reseal_keys() -> Rotation:
    """Seal every stored key with the newest encryption key. Idempotent. Raises EncryptionError if there is none."""
    newest = encryption.newest_key_id()
    resealed, current, problems = 0, 0, []
    for account in _accounts_with_keys():
        if encryption.read_key_id(account.sealed_key) == newest:
            current += 1
            continue
        try:
            sealed = encryption.seal(encryption.unseal(account.sealed_key, purpose=KEY_PURPOSE), purpose=KEY_PURPOSE)
        except encryption.EncryptionError as error:
            problems.append(f"{account.label}: {error}")
            continue
        # The condition prevents overwriting a key that was stored meanwhile.
        resealed += ProviderAccount.objects.filter(pk=account.pk, sealed_key=account.sealed_key).update(
            sealed_key=sealed
        )
    return Rotation(resealed, current, problems)


def list_unreadable_keys() -> list[str]:
    """Return the account and the reason for each stored key that cannot be unsealed. The reason never contains the key."""
    problems = []
    for account in _accounts_with_keys():
        try:
            encryption.unseal(account.sealed_key, purpose=KEY_PURPOSE)
        except encryption.EncryptionError as error:
            problems.append(f"{account.label}: {error}")
    return problems


def require_readable_keys() -> None:
    """Raise EncryptionError with instructions if a stored key cannot be unsealed; called at start.

    Does nothing if there is no database or its tables do not exist yet.
    """
    try:
        problems = list_unreadable_keys()
    except DatabaseError:
        return
    if problems:
        raise encryption.EncryptionError(
            f"FIELD_ENCRYPTION_KEYS does not open the stored provider keys ({'; '.join(problems)}). Add the missing key "
            "after the newest one. If it is lost, `manage.py rotate_keys --forget` removes the keys that cannot be opened; "
            "then enter those provider keys again in the admin."
        )


def remove_unreadable_keys() -> list[str]:
    """Remove the stored keys that cannot be unsealed; returns their accounts' labels. Their tasks wait for a key."""
    removed_labels = []
    for account in _accounts_with_keys():
        try:
            encryption.unseal(account.sealed_key, purpose=KEY_PURPOSE)
        except encryption.EncryptionError:
            if ProviderAccount.objects.filter(pk=account.pk, sealed_key=account.sealed_key).update(sealed_key=""):
                removed_labels.append(account.label)
    return removed_labels


def _accounts_with_keys() -> list[ProviderAccount]:
    return list(ProviderAccount.objects.exclude(sealed_key="").order_by("pk"))

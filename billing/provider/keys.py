"""The keys that operators give in the admin: kept sealed, and used for new videos once the provider has answered with them."""

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
    """Keep a key, sealed. New work goes to it only by `take_over` or `activate`. Raises VaultError without an encryption key.

    Without an upload address images go where the given address is; where neither is given, the settings say both.
    """
    sealed = encryption.seal(api_key, purpose=KEY_PURPOSE)
    base_url = base_url.rstrip("/") or settings.KIE_AI_BASE_URL
    usual = settings.KIE_AI_UPLOAD_BASE_URL if base_url == settings.KIE_AI_BASE_URL else base_url
    given = {
        "source": Source.ADMIN,
        "label": label,
        "upload_base_url": upload_base_url.rstrip("/") or usual,
        "sealed_key": sealed,
    }
    one = {"provider": "kie", "base_url": base_url, "key_fingerprint": fingerprint(api_key)}
    with transaction.atomic():
        # A key of the environment that is also given here is not chosen here by that.
        ProviderAccount.objects.filter(**one).exclude(source=Source.ADMIN).update(is_active=False)
        # A key known from the environment, or given before, keeps its account: its tasks and its books go on.
        account, _ = ProviderAccount.objects.update_or_create(
            **one, defaults=given, create_defaults={**given, "is_active": False}
        )
    return account


def activate_if_funded(*, account_id: int) -> bool:
    """Send new work to a key that the provider has just answered with; False when its balance would stop all work.

    Where no other key is at hand, a small balance is no reason to leave it.
    """
    account = ProviderAccount.objects.get(pk=account_id)
    if provider_accounts.is_critical(account) and _has_another(account):
        return False
    activate_key(account_id=account_id)
    return True


def activate_key(*, account_id: int) -> None:
    """Send new work to this key, which was tried, and to no other of them. Tasks under way keep the key that sent them."""
    with transaction.atomic():
        given = ProviderAccount.objects.filter(source=Source.ADMIN)
        # One order for all who do this, or two of them would wait for each other for ever.
        list(given.select_for_update().order_by("pk"))
        given.exclude(pk=account_id).update(is_active=False)
        given.filter(pk=account_id).update(is_active=True)
        # What stopped it before it answered is over.
        given.filter(pk=account_id, parked_at__lt=F("balance_at")).update(parked_as="", parked_at=None)


def deactivate_key(*, account_id: int) -> None:
    """Send no new work to this key; what it has under way is finished with it."""
    ProviderAccount.objects.filter(pk=account_id, source=Source.ADMIN).update(is_active=False)


def _has_another(account: ProviderAccount) -> bool:
    try:
        return provider_accounts.get_current_account() != account
    except provider_accounts.NoProviderKey:
        return False


@dataclass(frozen=True)
class Rotation:
    """What a rotation did: how many keys it sealed anew, how many were so already, and which it could not open."""

    resealed: int = 0
    current: int = 0
    problems: list[str] = field(default_factory=list)


def reseal_keys() -> Rotation:
    """Seal every stored key with the newest encryption key. Again does nothing more. Raises VaultError without a key."""
    newest = encryption.newest_key_id()
    resealed, current, problems = 0, 0, []
    for account in _sealed():
        if encryption.read_key_id(account.sealed_key) == newest:
            current += 1
            continue
        try:
            sealed = encryption.seal(encryption.unseal(account.sealed_key, purpose=KEY_PURPOSE), purpose=KEY_PURPOSE)
        except encryption.EncryptionError as error:
            problems.append(f"{account.label}: {error}")
            continue
        # Not over what was sealed meanwhile: that is newer.
        resealed += ProviderAccount.objects.filter(pk=account.pk, sealed_key=account.sealed_key).update(
            sealed_key=sealed
        )
    return Rotation(resealed, current, problems)


def list_unreadable_keys() -> list[str]:
    """The stored keys that cannot be opened, each with the reason; it names the key id, never the key."""
    found = []
    for account in _sealed():
        try:
            encryption.unseal(account.sealed_key, purpose=KEY_PURPOSE)
        except encryption.EncryptionError as error:
            found.append(f"{account.label}: {error}")
    return found


def require_readable_keys() -> None:
    """Refuse to start with encryption keys that do not open what is stored: VaultError, with what to do.

    Without a database, or before its tables are made, there is nothing to refuse.
    """
    try:
        found = list_unreadable_keys()
    except DatabaseError:
        return
    if found:
        raise encryption.EncryptionError(
            f"FIELD_ENCRYPTION_KEYS does not open the stored provider keys ({'; '.join(found)}). Put the missing key "
            "back behind the newest. If it is lost, `manage.py rotate_keys --forget` removes what nobody can open; "
            "then enter those provider keys anew in the admin."
        )


def remove_unreadable_keys() -> list[str]:
    """Remove the sealed keys that cannot be opened; whose they were. Their tasks wait until the key is given again."""
    found = []
    for account in _sealed():
        try:
            encryption.unseal(account.sealed_key, purpose=KEY_PURPOSE)
        except encryption.EncryptionError:
            if ProviderAccount.objects.filter(pk=account.pk, sealed_key=account.sealed_key).update(sealed_key=""):
                found.append(account.label)
    return found


def _sealed() -> list[ProviderAccount]:
    return list(ProviderAccount.objects.exclude(sealed_key="").order_by("pk"))

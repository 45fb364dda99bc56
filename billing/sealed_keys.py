"""The stored provider keys as a whole: whether FIELD_ENCRYPTION_KEYS opens them all, and sealing them anew with its first."""

from dataclasses import dataclass, field

from django.db import DatabaseError

from billing import vault
from billing.models import ProviderAccount
from billing.provider_accounts import PURPOSE


@dataclass(frozen=True)
class Rotation:
    """What a rotation did: how many keys it sealed anew, how many were so already, and which it could not open."""

    resealed: int = 0
    current: int = 0
    problems: list[str] = field(default_factory=list)


def rotate() -> Rotation:
    """Seal every stored key with the newest encryption key. Again does nothing more. Raises VaultError without a key."""
    newest = vault.newest_id()
    resealed, current, problems = 0, 0, []
    for account in _sealed():
        if vault.key_id(account.sealed_key) == newest:
            current += 1
            continue
        try:
            sealed = vault.seal(vault.unseal(account.sealed_key, purpose=PURPOSE), purpose=PURPOSE)
        except vault.VaultError as error:
            problems.append(f"{account.label}: {error}")
            continue
        # Not over what was sealed meanwhile: that is newer.
        resealed += ProviderAccount.objects.filter(pk=account.pk, sealed_key=account.sealed_key).update(
            sealed_key=sealed
        )
    return Rotation(resealed, current, problems)


def problems() -> list[str]:
    """The stored keys that cannot be opened, each with the reason; it names the key id, never the key."""
    found = []
    for account in _sealed():
        try:
            vault.unseal(account.sealed_key, purpose=PURPOSE)
        except vault.VaultError as error:
            found.append(f"{account.label}: {error}")
    return found


def require() -> None:
    """Refuse to start with encryption keys that do not open what is stored: VaultError, with what to do.

    Without a database, or before its tables are made, there is nothing to refuse.
    """
    try:
        found = problems()
    except DatabaseError:
        return
    if found:
        raise vault.VaultError(
            f"FIELD_ENCRYPTION_KEYS does not open the stored provider keys ({'; '.join(found)}). Put the missing key "
            "back behind the newest. If it is lost, `manage.py rotate_keys --forget` removes what nobody can open; "
            "then enter those provider keys anew in the admin."
        )


def forget() -> list[str]:
    """Remove the sealed keys that cannot be opened; whose they were. Their tasks wait until the key is given again."""
    found = []
    for account in _sealed():
        try:
            vault.unseal(account.sealed_key, purpose=PURPOSE)
        except vault.VaultError:
            if ProviderAccount.objects.filter(pk=account.pk, sealed_key=account.sealed_key).update(sealed_key=""):
                found.append(account.label)
    return found


def _sealed() -> list[ProviderAccount]:
    return list(ProviderAccount.objects.exclude(sealed_key="").order_by("pk"))

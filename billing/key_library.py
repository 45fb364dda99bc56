"""The keys that operators give in the admin: kept sealed, and used for new videos once the provider has answered with them."""

from django.conf import settings
from django.db import transaction
from django.db.models import F

from billing import provider_accounts, vault
from billing.models import ProviderAccount
from billing.provider_accounts import PURPOSE, fingerprint

Source = ProviderAccount.Source


def add_key(*, api_key: str, label: str, base_url: str = "", upload_base_url: str = "") -> ProviderAccount:
    """Keep a key, sealed. New work goes to it only by `take_over` or `activate`. Raises VaultError without an encryption key.

    Without an upload address images go where the given address is; where neither is given, the settings say both.
    """
    sealed = vault.seal(api_key, purpose=PURPOSE)
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


def take_over(*, account_id: int) -> bool:
    """Send new work to a key that the provider has just answered with; False when its balance would stop all work.

    Where no other key is at hand, a small balance is no reason to leave it.
    """
    account = ProviderAccount.objects.get(pk=account_id)
    if provider_accounts.is_critical(account) and _has_another(account):
        return False
    activate(account_id=account_id)
    return True


def activate(*, account_id: int) -> None:
    """Send new work to this key, which was tried, and to no other of them. Tasks under way keep the key that sent them."""
    with transaction.atomic():
        given = ProviderAccount.objects.filter(source=Source.ADMIN)
        # One order for all who do this, or two of them would wait for each other for ever.
        list(given.select_for_update().order_by("pk"))
        given.exclude(pk=account_id).update(is_active=False)
        given.filter(pk=account_id).update(is_active=True)
        # What stopped it before it answered is over.
        given.filter(pk=account_id, parked_at__lt=F("balance_at")).update(parked_as="", parked_at=None)


def deactivate(*, account_id: int) -> None:
    """Send no new work to this key; what it has under way is finished with it."""
    ProviderAccount.objects.filter(pk=account_id, source=Source.ADMIN).update(is_active=False)


def _has_another(account: ProviderAccount) -> bool:
    try:
        return provider_accounts.current() != account
    except provider_accounts.NoProviderKey:
        return False

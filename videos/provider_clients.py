"""The client that speaks for a provider account: always the key that created the task, whatever key is current now."""

from billing import provider_accounts
from billing.models import ProviderAccount
from videos.providers.base import Provider
from videos.providers.kie import Kie


def client_for(account: ProviderAccount) -> Provider:
    """A client for this account. Raises NoProviderKey, VaultError."""
    found = provider_accounts.credentials(account)
    return Kie(found.api_key, found.base_url, found.upload_base_url)

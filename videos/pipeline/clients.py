"""Builds the API client for a provider account.

For a task that was already sent, callers pass the account that sent it, because the current account may be another one.
"""

from billing.models import ProviderAccount
from billing.provider import accounts as provider_accounts
from billing.provider.encryption import EncryptionError
from videos.providers.base import Provider
from videos.providers.http.exchange import Limits
from videos.providers.kie.client import Kie

# Free calls can be repeated, so their timeouts are shorter than those of paid requests.
FREE_CALL_LIMITS = Limits(read_s=15.0, total_s=20.0)


def client_for(account: ProviderAccount) -> Provider:
    """A client that may send paid requests for this account. Raises NoProviderKey."""
    return _client(account, Limits())


def free_call_client_for(account: ProviderAccount) -> Provider:
    """A client for free calls, which take at most 20 s. Raises NoProviderKey."""
    return _client(account, FREE_CALL_LIMITS)


def _client(account: ProviderAccount, limits: Limits) -> Provider:
    try:
        credentials = provider_accounts.get_credentials(account)
        return Kie(credentials.api_key, credentials.base_url, credentials.upload_base_url, limits=limits)
    except (EncryptionError, ValueError) as problem:
        # A key that cannot be decrypted or contains characters not allowed in a header is reported like a missing one.
        raise provider_accounts.NoProviderKey(
            f"The key of {account.label} cannot be used: {problem}.",
            say="key_unusable",
            account=account.label,
            words=str(problem),
        ) from problem

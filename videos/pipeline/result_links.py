"""Finds another URL for a result whose URL no longer works.

It makes free network calls, so call it outside transactions.
"""

import logging

from billing.provider.accounts import NoProviderKey
from videos.models import VideoFile
from videos.pipeline.clients import client_for
from videos.providers.base import Provider
from videos.providers.errors import ProviderError

log = logging.getLogger(__name__)


def request_fresh_url(file: VideoFile) -> str:
    """A link that works for 20 minutes, even if the result's URL does not; "" if the provider returns none."""
    try:
        client = _client(file)
        return client.fresh_url(file.source_url) if client else ""
    except (ProviderError, NoProviderKey) as error:
        log.warning("no fresh link for %s: %s", file, error)
        return ""


def find_new_url(file: VideoFile) -> str:
    """The URL that the provider reports for the result now, or "" if it is the URL that we have stored."""
    try:
        client = _client(file)
        urls = client.report(file.task.provider_task_id or "").result_urls if client else ()
    except (ProviderError, NoProviderKey) as error:
        log.warning("no other URL for %s: %s", file, error)
        return ""
    url = urls[file.index] if file.index < len(urls) else ""
    return url if url != file.source_url else ""


def _client(file: VideoFile) -> Provider | None:
    account = file.task.account
    return client_for(account) if account is not None else None

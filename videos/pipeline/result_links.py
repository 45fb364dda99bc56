"""Other addresses for a result whose own does not open: all of them free, and asked for outside any transaction."""

import logging

from billing.provider.accounts import NoProviderKey
from videos.models import VideoFile
from videos.pipeline.clients import client_for
from videos.providers.base import Provider
from videos.providers.errors import ProviderError

log = logging.getLogger(__name__)


def fresh(file: VideoFile) -> str:
    """A short-lived link, good for 20 minutes even when the plain address has died; "" when the provider gives none."""
    try:
        client = _client(file)
        return client.fresh_url(file.source_url) if client else ""
    except (ProviderError, NoProviderKey) as trouble:
        log.warning("no fresh link for %s: %s", file, trouble)
        return ""


def moved_to(file: VideoFile) -> str:
    """Where record-info says the result is by now, if that is another address than the one we know; else ""."""
    try:
        client = _client(file)
        urls = client.report(file.task.provider_task_id or "").result_urls if client else ()
    except (ProviderError, NoProviderKey) as trouble:
        log.warning("no other address for %s: %s", file, trouble)
        return ""
    url = urls[file.index] if file.index < len(urls) else ""
    return url if url != file.source_url else ""


def _client(file: VideoFile) -> Provider | None:
    account = file.task.account
    return client_for(account) if account is not None else None

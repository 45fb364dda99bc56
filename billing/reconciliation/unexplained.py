"""Decides when to search an account for missing credits: a short history every time, a long one only if needed.

A long history is searched once an hour, and immediately when new entries or the readings of the last days may change the
result. Each search starts from scratch: jobs are settled and corrected long after the readings that they explain, and while
videos are running no reading is certain enough to continue from.
"""

from datetime import datetime, timedelta

from accounts.seams import clock
from billing.models import ProviderAccount, ProviderEntry
from billing.reconciliation import reconcile
from billing.reconciliation.reconcile import GRACE

FULL_SEARCH_INTERVAL = timedelta(hours=1)
QUICK_SEARCH_PERIOD = timedelta(days=2)


def update_if_changed(account: ProviderAccount) -> None:
    """Search the watched period again if the result may have changed."""
    searched_at = ProviderAccount.objects.values_list("unexplained_at", flat=True).get(pk=account.pk)
    if _may_have_changed(account, searched_at):
        reconcile.update_unexplained(account)


def _may_have_changed(account: ProviderAccount, searched_at: datetime | None) -> bool:
    at = clock.database_now()
    if searched_at is None or at - searched_at >= FULL_SEARCH_INTERVAL or reconcile.has_short_history(account):
        return True
    # The last search may have missed what was committed while it ran.
    since = searched_at - GRACE
    if ProviderEntry.objects.filter(account=account, created_at__gt=since).exists():
        return True
    recent = reconcile.reconcile(account=account, since=at - QUICK_SEARCH_PERIOD, until=at)
    return recent is not None and any(jump.after.at > since for jump in recent.jumps)

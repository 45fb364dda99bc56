"""When to look for credits that are gone: a long history is gone through once an hour, and whenever the last days stir.

What shows in the readings of the last days is told of within minutes, all else within the hour; a short history is gone
through every time. Nothing is carried from look to look: jobs are settled, corrected and answered long after the readings
that they explain, and where videos are always on the way no reading is ever quiet enough to go on from.
"""

from datetime import datetime, timedelta

from accounts.seams import clock
from billing.models import ProviderAccount, ProviderEntry
from billing.reconciliation import reconcile
from billing.reconciliation.reconcile import GRACE

WHOLE_EVERY = timedelta(hours=1)
GLANCED_AT = timedelta(days=2)


def update_if_changed(account: ProviderAccount) -> None:
    """Go through all that is watched, when there may be news in it."""
    looked_at = ProviderAccount.objects.values_list("unexplained_at", flat=True).get(pk=account.pk)
    if _may_have_news(account, looked_at):
        reconcile.update_unexplained(account)


def _may_have_news(account: ProviderAccount, looked_at: datetime | None) -> bool:
    at = clock.database_now()
    if looked_at is None or at - looked_at >= WHOLE_EVERY or reconcile.has_short_history(account):
        return True
    # What was committed while the last look read may not be in it.
    since = looked_at - GRACE
    if ProviderEntry.objects.filter(account=account, created_at__gt=since).exists():
        return True
    lately = reconcile.reconcile(account=account, since=at - GLANCED_AT, until=at)
    return lately is not None and any(jump.after.at > since for jump in lately.jumps)

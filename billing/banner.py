"""The line that operators read on every page: what is critical, open and seen by nobody."""

from dataclasses import dataclass

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse

from accounts.doors import clock
from billing import alerts
from billing.models import Alert

# So many are named and marked by one click; the rest come with the next page.
MOST = 20


@dataclass(frozen=True)
class Item:
    """One alert: what it is called, where it is answered, and where all are."""

    id: int
    title: str
    url: str
    inbox: str


def items(request: HttpRequest) -> list[Item]:
    """What this person is to be told, the newest first; nothing for others than operators. One query for an operator.

    Rights are looked at only when there is something to tell.
    """
    user = request.user
    if not user.is_staff:
        return []
    open_ones = Alert.objects.filter(alerts.is_waiting(clock.now()), severity=Alert.Severity.CRITICAL)
    found = list(open_ones.order_by("-last_at").only("kind")[:MOST])
    if not found or not user.has_perm("billing.change_alert") or not admin.site.has_permission(request):
        return []
    inbox = f"{reverse('admin:billing_alert_changelist')}?state=open&severity__exact=critical"
    return [
        Item(one.pk, one.get_kind_display(), reverse("admin:billing_alert_change", args=[one.pk]), inbox)
        for one in found
    ]

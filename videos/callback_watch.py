"""Whether the provider calls us back. When it does not, operators are told once; videos come all the same, by asking."""

from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from billing import alerts, provider_accounts
from billing.models import Alert, ProviderAccount
from videos.models import CallbackReceipt, VideoTask

KIND = Alert.Kind.CALLBACKS_DRY

# The newest verdicts; fewer than ENOUGH say nothing yet.
LOOKED_AT, ENOUGH = 40, 20
# A poll comes before the call now and then; before four of five only where hardly any call comes. By half: they come.
DRY_SHARE, HEALTHY_SHARE = 0.8, 0.5
# Names that only a house of one's own knows.
PRIVATE_ENDS = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".test")


def check_callbacks() -> None:
    """Raise the alert unless it stands; end it when calls come again. The sandbox's calls are nobody's concern."""
    try:
        account = provider_accounts.current()
    except provider_accounts.NoProviderKey:
        return
    if account.source == ProviderAccount.Source.SANDBOX:
        return
    ways = _ways(account.pk)
    polled = ways.count("poll")
    if len(ways) < ENOUGH:
        return
    if polled <= HEALTHY_SHARE * len(ways):
        alerts.resolve(KIND)
    elif polled > DRY_SHARE * len(ways) and not Alert.objects.filter(kind=KIND, resolved_at=None).exists():
        alerts.raise_alert(KIND, facts={"polled": polled, "verdicts": len(ways), **_why()})


def is_private(address: str) -> bool:
    """Whether an address of the web is of a house, not of the internet, as far as its name tells."""
    host = urlsplit(address).hostname or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(PRIVATE_ENDS)


def _ways(account_id: int) -> list[str]:
    """How the newest verdicts came, as far as they are this account's; those that mended something are left out."""
    known = VideoTask.objects.filter(settled_by__in=["callback", "poll"]).order_by("-created_at")
    newest = known.values_list("account_id", "settled_by")[:LOOKED_AT]
    return [way for mine, way in newest if mine == account_id]


def _why() -> dict[str, Any]:
    """What may be the reason, as facts of the alert."""
    address: str = settings.CALLBACK_BASE_URL
    if is_private(address):
        return {"say": ["callbacks_dry", "callbacks_private"], "address": address}
    calls = CallbackReceipt.objects.filter(task__isnull=False).order_by("-last_at")
    called_at = calls.values_list("last_at", flat=True).first()
    if called_at is None:
        return {"say": ["callbacks_dry", "callbacks_never"], "address": address}
    return {"say": ["callbacks_dry", "callbacks_ended"], "address": address, "called_at": called_at.isoformat()}

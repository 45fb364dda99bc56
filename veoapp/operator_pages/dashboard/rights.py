"""Who may see which table of the first page, on it or as a file. The sentence, figures and limits are every operator's."""

from django.contrib.auth.models import AnonymousUser

from accounts.models import User

SPEND = "billing.view_spend"
# What each table tells of: money, people by their addresses, alerts with their details.
NEEDED = {
    "timeline": SPEND,
    "models": SPEND,
    "users": "accounts.view_user",
    "balance": SPEND,
    "limits": "",
    "failures": "",
    "callbacks": "",
    "queue": "",
    "alerts": "billing.view_alert",
}
ALL = frozenset(NEEDED)
MONEY = frozenset(table for table, right in NEEDED.items() if right == SPEND)


def tables_of(user: User | AnonymousUser) -> frozenset[str]:
    """The tables that this person may see."""
    return frozenset(table for table, right in NEEDED.items() if not right or user.has_perm(right))

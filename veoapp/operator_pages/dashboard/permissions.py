"""Who may see which table, on the dashboard or as a file. Every operator may see the headline, figures and budgets."""

from django.contrib.auth.models import AnonymousUser

from accounts.models import User

SPEND = "billing.view_spend"
# The permission that each table requires; "" for none.
REQUIRED_PERMISSIONS = {
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
ALL_TABLES = frozenset(REQUIRED_PERMISSIONS)
COST_TABLES = frozenset(table for table, permission in REQUIRED_PERMISSIONS.items() if permission == SPEND)


def visible_tables(user: User | AnonymousUser) -> frozenset[str]:
    """Return the tables that this user may see."""
    return frozenset(
        table for table, permission in REQUIRED_PERMISSIONS.items() if not permission or user.has_perm(permission)
    )

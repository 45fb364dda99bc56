"""Says who may see which table of the dashboard. The headline and the budgets are for every operator."""

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

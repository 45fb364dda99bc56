"""Helpers of the admin tests: the URLs of the pages, actions on rows, and what a page shows."""

import re
from typing import Any

from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from accounts.models import User
from billing.models import (
    ProviderAccount,
)

USERS = "/admin/accounts/user/"
ACCOUNTS = "/admin/billing/provideraccount/"
PRICES = "/admin/billing/price/"
LEDGER = "/admin/billing/ledgerentry/"
ALERTS = "/admin/billing/alert/"
SPEND = "/admin/billing/spend/"
CALLS = "/admin/billing/paidcall/"
FORM_KEY = "2f0f6f0e-58a5-4c0f-b0f8-6a2f0d5a7c11"


def run_action(staff: Client, url: str, action: str, *rows: Any, **fields: Any) -> str:
    """Run an action on rows of a list; returns the text of the next page."""
    form = {"action": action, "_selected_action": [row.pk for row in rows], **fields}
    return staff.post(url, form, follow=True).text


def change_credits(staff: Client, *users: User, amount: Any = 100, reason: str = "A gift", key: str = FORM_KEY) -> str:
    return run_action(staff, USERS, "move_credits", *users, confirmed="yes", amount=amount, reason=reason, key=key)


def list_log_messages() -> list[str]:
    """The messages of the admin's log, oldest first."""
    return list(LogEntry.objects.order_by("id").values_list("change_message", flat=True))


def list_cells(text: str, name: str) -> list[str]:
    """The texts of the cells of a list's column, without tags."""
    cells = re.findall(rf'class="field-{name}[^"]*">(.*?)</t[dh]>', text, re.DOTALL)
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in cells]


def new_price(staff: Client, **fields: Any) -> str:
    """Add a price in the admin; returns the text of the next page."""
    form = {
        "kind": "generate", "model": "veo3_fast", "resolution": "720p", "provider_credits": "37.5", "user_credits": "50",
        "valid_from_0": f"{timezone.localtime():%Y-%m-%d}", "valid_from_1": f"{timezone.localtime():%H:%M:%S}", **fields,
    }  # fmt: skip
    return staff.post(f"{PRICES}add/", form, follow=True).text


def account_page_url(account: ProviderAccount) -> str:
    return f"{ACCOUNTS}{account.pk}/change/"


def reload_account(account: ProviderAccount) -> ProviderAccount:
    return ProviderAccount.objects.get(pk=account.pk)

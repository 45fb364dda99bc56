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

PEOPLE = "/admin/accounts/user/"
ACCOUNTS = "/admin/billing/provideraccount/"
PRICES = "/admin/billing/price/"
LEDGER = "/admin/billing/ledgerentry/"
ALERTS = "/admin/billing/alert/"
SPEND = "/admin/billing/spend/"
CALLS = "/admin/billing/paidcall/"
KEY = "2f0f6f0e-58a5-4c0f-b0f8-6a2f0d5a7c11"


def act(desk: Client, url: str, action: str, *rows: Any, **more: Any) -> str:
    """Choose rows of a list and an action; what the page says then."""
    form = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return desk.post(url, form, follow=True).text


def move(desk: Client, *people_: User, amount: Any = 100, reason: str = "A gift", key: str = KEY) -> str:
    return act(desk, PEOPLE, "move_credits", *people_, confirmed="yes", amount=amount, reason=reason, key=key)


def journal() -> list[str]:
    return list(LogEntry.objects.order_by("id").values_list("change_message", flat=True))


def columns(text: str, name: str) -> list[str]:
    """The cells of a list's column, tags taken out."""
    cells = re.findall(rf'class="field-{name}[^"]*">(.*?)</t[dh]>', text, re.DOTALL)
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in cells]


def new_price(desk: Client, **fields: Any) -> str:
    form = {
        "kind": "generate", "model": "veo3_fast", "resolution": "720p", "provider_credits": "37.5", "user_credits": "50",
        "valid_from_0": f"{timezone.localtime():%Y-%m-%d}", "valid_from_1": f"{timezone.localtime():%H:%M:%S}", **fields,
    }  # fmt: skip
    return desk.post(f"{PRICES}add/", form, follow=True).text


def page(account: ProviderAccount) -> str:
    return f"{ACCOUNTS}{account.pk}/change/"


def now(account: ProviderAccount) -> ProviderAccount:
    return ProviderAccount.objects.get(pk=account.pk)

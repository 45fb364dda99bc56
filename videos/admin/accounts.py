"""Provider accounts with the one act that needs the network: asking for the balance, which proves key and address."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.admin.provider import Button
from billing.admin.provider import ProviderAccountAdmin as AccountAdmin
from billing.amounts import localised
from billing.models import ProviderAccount
from billing.provider_accounts import NoProviderKey
from videos import dispatch
from videos.provider_clients import client_for


class ProviderAccountAdmin(AccountAdmin):
    """The same, and a test of the connection. It costs nothing."""

    actions = ("test_connection", *AccountAdmin.actions)

    def buttons(self, account: ProviderAccount) -> Sequence[Button]:
        return [Button("test_connection", _("Test connection")), *super().buttons(account)]

    @admin.action(description=gettext_lazy("Test connection"), permissions=["operate"])
    def test_connection(self, request: HttpRequest, chosen: QuerySet[ProviderAccount]) -> HttpResponse | None:
        accounts = list(chosen[:10])
        for account in accounts:
            works, words = _try(account)
            self.message_user(request, f"{account.label}: {words}", messages.SUCCESS if works else messages.ERROR)
        if len(accounts) == 1:
            page = reverse("admin:billing_provideraccount_change", args=[accounts[0].pk])
            return HttpResponseRedirect(page)
        return None


def _try(account: ProviderAccount) -> tuple[bool, Any]:
    """Whether the account answered, and what to say of it."""
    try:
        works = dispatch.read_balance(account, client_for(account))
    except NoProviderKey as problem:
        return False, problem
    account.refresh_from_db()
    if works:
        return True, _("it answers, the balance is %(balance)s.") % {"balance": localised(account.balance)}
    if account.parked_as:
        return False, _("it refuses our key or address. New videos wait until it answers.")
    return False, _("it does not answer as it should. The alerts say more.")


admin.site.unregister(ProviderAccount)
admin.site.register(ProviderAccount, ProviderAccountAdmin)

"""Provider accounts with the one act that needs the network: asking for the balance, which proves key and address."""

from collections.abc import Sequence

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.admin.provider import Button
from billing.admin.provider import ProviderAccountAdmin as AccountAdmin
from billing.amounts import localised
from billing.models import ProviderAccount
from billing.provider_accounts import NoProviderKey
from videos import balances
from videos.provider_clients import asking_client_for
from videos.providers import errors


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


def _try(account: ProviderAccount) -> tuple[bool, str]:
    """Whether the account answered, and what to say of it."""
    try:
        reading = balances.read(account, asking_client_for(account))
    except NoProviderKey as problem:
        return False, str(problem)
    took = _("%(seconds)s s") % {"seconds": formats.number_format(reading.took_s, decimal_pos=2)}
    if reading.balance is not None:
        words = {"took": took, "balance": localised(reading.balance)}
        return True, _("it answers in %(took)s, the balance is %(balance)s.") % words
    words = {"took": took, "detail": reading.trouble.detail if reading.trouble else ""}
    if isinstance(reading.trouble, errors.AccessDenied):
        return False, _(
            "it refuses our key or address (after %(took)s: %(detail)s). New videos wait until it answers; "
            "compare the key with the provider's page of API keys."
        ) % words
    if isinstance(reading.trouble, errors.OutOfCredits):
        return False, _(
            "it says that our account cannot pay (after %(took)s: %(detail)s). New videos wait until you top it up."
        ) % words
    return False, _(
        "it gives no usable answer (after %(took)s: %(detail)s). Compare the address, and whether this machine "
        "reaches it; we go on trying."
    ) % words


admin.site.unregister(ProviderAccount)
admin.site.register(ProviderAccount, ProviderAccountAdmin)

"""Provider accounts with a connection test. It reads the balance, which checks key and URL and costs nothing."""

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
from billing.admin.provider_keys import ConnectionTest, current_account_id
from billing.common.formatting import format_amount, join_sentences
from billing.models import ProviderAccount, Spend
from billing.provider.accounts import NoProviderKey
from videos.pipeline import balances as provider_balances
from videos.pipeline.clients import free_call_client_for
from videos.providers import errors


class ProviderAccountAdmin(AccountAdmin):
    """The billing app's admin of provider accounts, extended by a connection test."""

    actions = ("test_connection", *AccountAdmin.actions)

    def test_balance(self, account: ProviderAccount) -> ConnectionTest:
        return _test_connection(account)

    def buttons(self, account: ProviderAccount) -> Sequence[Button]:
        return [Button("test_connection", _("Test connection")), *super().buttons(account)]

    @admin.action(description=gettext_lazy("Test connection"), permissions=["operate"])
    def test_connection(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> HttpResponse | None:
        accounts = list(queryset[:10])
        for account in accounts:
            test = self.test_balance(account)
            level = messages.SUCCESS if test.succeeded else messages.ERROR
            self.message_user(request, f"{account.label}: {test.text}", level)
        if len(accounts) == 1:
            page = reverse("admin:billing_provideraccount_change", args=[accounts[0].pk])
            return HttpResponseRedirect(page)
        return None


def _test_connection(account: ProviderAccount) -> ConnectionTest:
    """Ask the provider for the balance and describe the result for the operator.

    An account is used if new videos are sent to it, or if a video that was sent to it is not finished yet.
    """
    is_used = account.pk == current_account_id() or account.spends.filter(state=Spend.State.PROMISED).exists()
    try:
        reading = provider_balances.read(account, free_call_client_for(account), is_used=is_used)
    except NoProviderKey as problem:
        return ConnectionTest(False, str(problem))
    duration = _("%(seconds)s s") % {"seconds": formats.number_format(reading.took_s, decimal_pos=2)}
    if reading.balance is not None:
        values = {"took": duration, "balance": format_amount(reading.balance)}
        return ConnectionTest(True, _("it answers in %(took)s, the balance is %(balance)s.") % values)
    values = {"took": duration, "detail": reading.error.detail if reading.error else ""}
    return ConnectionTest(
        False,
        join_sentences(
            (
                _describe_error(reading.error) % values,
                _describe_effect(reading.error) if is_used else _describe_unused(),
            )
        ),
    )


def _describe_error(error: errors.ProviderError | None) -> str:
    if isinstance(error, errors.AccessDenied):
        return _(
            "it rejects our key or address (after %(took)s: %(detail)s). Compare them with the provider's API key page."
        )
    if isinstance(error, errors.OutOfCredits):
        return _("it reports that our account cannot pay (after %(took)s: %(detail)s).")
    return _(
        "it gives no usable answer (after %(took)s: %(detail)s). Check the address, and whether this machine can reach it."
    )


def _describe_effect(error: errors.ProviderError | None) -> str:
    if isinstance(error, errors.AccessDenied):
        return _("New videos wait until it answers.")
    if isinstance(error, errors.OutOfCredits):
        return _("New videos wait until you top it up.")
    return _("We keep trying.")


def _describe_unused() -> str:
    return _("No new videos are sent to it.")


admin.site.unregister(ProviderAccount)
admin.site.register(ProviderAccount, ProviderAccountAdmin)

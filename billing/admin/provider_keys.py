"""Provider keys: adding, activating and deactivating one. A key is tested before it is used."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters

from billing.admin.base import ReadOnlyAdmin, ask_confirmation
from billing.admin.provider_forms import KeyForm
from billing.common.formatting import format_amount, join_sentences
from billing.models import ProviderAccount
from billing.provider import accounts as provider_accounts
from billing.provider import encryption
from billing.provider import keys as provider_keys


@dataclass(frozen=True)
class ConnectionTest:
    """The result of reading an account's balance, with a text for the operator."""

    succeeded: bool
    text: str


class ProviderKeyAdmin(ReadOnlyAdmin):
    """The pages and actions of provider keys. Each key is one `ProviderAccount` row."""

    # Reads an account's balance. Set by videos.admin.accounts, because billing makes no network calls.
    test_balance: Callable[[ProviderAccount], ConnectionTest]

    @method_decorator(sensitive_post_parameters("api_key"))
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Add a key, after the operator has confirmed their identity again."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        try:
            return self._add_key(request)
        except ReauthenticationRequired:
            # Allauth would keep the posted form, including the key, in the session.
            return HttpResponseRedirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': request.path})}")

    @method_decorator(reauthentication_required)
    def _add_key(self, request: HttpRequest) -> HttpResponse:
        form = KeyForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                account = provider_keys.add_key(**form.cleaned_data)
            except encryption.EncryptionError as error:
                form.add_error(None, _("The key cannot be encrypted: %(problem)s") % {"problem": error})
            else:
                self.log_addition(request, account, "key added")
                self._test_new_key(request, account)
                return HttpResponseRedirect(account_url(account))
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": _("Add a key"), "form": form}
        context["is_overridden"] = bool(settings.KIE_AI_API_KEY)
        return TemplateResponse(request, "admin/billing/key.html", context)

    def _test_new_key(self, request: HttpRequest, account: ProviderAccount) -> None:
        """Test a key that was just stored, activate it if the test succeeds, and show the result."""
        test = self.test_balance(account)
        result = join_sentences((_("The key is stored encrypted."), f"{account.label}: {test.text}"))
        if not test.succeeded:
            self.message_user(request, result, messages.ERROR)
        elif not provider_keys.activate_if_funded(account_id=account.pk):
            threshold = {"threshold": format_amount(settings.CRITICAL_BALANCE_THRESHOLD)}
            message = _(
                "This is at or below the critical threshold of %(threshold)s, so new videos do not use this key "
                "yet. Top up the account, then choose “Use this key…”."
            )
            self.message_user(request, join_sentences((result, message % threshold)), messages.WARNING)
        else:
            self.log_change(request, account, "activated")
            self.message_user(request, join_sentences((result, _activation_text())))

    @admin.action(description=gettext_lazy("Use this key for new videos…"), permissions=["operate"])
    def activate(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> HttpResponse | None:
        accounts = list(queryset)
        if len(accounts) != 1 or accounts[0].source != ProviderAccount.Source.ADMIN:
            self.message_user(request, _("Choose one key that was added here."), messages.ERROR)
            return None
        if "confirmed" not in request.POST:
            return ask_confirmation(
                self,
                request,
                action="activate",
                title=_("Use this key"),
                text=_(
                    "The balance is read from the provider first, which is free. If that succeeds, all new videos "
                    "use this key, unless the environment sets one. Videos already sent keep using their key."
                ),
                button=_("Use this key"),
                rows=accounts,
            )
        account = accounts[0]
        test = self.test_balance(account)
        result = f"{account.label}: {test.text}"
        if test.succeeded:
            provider_keys.activate_key(account_id=account.pk)
            self.log_change(request, account, "activated")
            self.message_user(request, join_sentences((result, _activation_text())))
        else:
            self.message_user(request, result, messages.ERROR)
        return HttpResponseRedirect(account_url(account))

    @admin.action(description=gettext_lazy("Stop using this key…"), permissions=["operate"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[ProviderAccount]) -> HttpResponse | None:
        accounts = [account for account in queryset if account.source == ProviderAccount.Source.ADMIN]
        if not accounts:
            self.message_user(request, _("Choose keys that were added here."), messages.ERROR)
            return None
        if "confirmed" not in request.POST:
            return ask_confirmation(
                self,
                request,
                action="deactivate",
                title=_("Stop using this key"),
                text=_("No new video uses it. Running videos continue to use it until they finish."),
                button=_("Stop using it"),
                rows=accounts,
                is_destructive=True,
            )
        for account in accounts:
            provider_keys.deactivate_key(account_id=account.pk)
            self.log_change(request, account, "deactivated")
            self.message_user(request, _("%(label)s is no longer used for new videos.") % {"label": account.label})
        return HttpResponseRedirect(account_url(accounts[0])) if len(accounts) == 1 else None


def current_account_id() -> int | None:
    """The id of the account that new videos use; None if there is no key."""
    try:
        return provider_accounts.get_current_account().pk
    except provider_accounts.NoProviderKey:
        return None


def account_url(account: ProviderAccount) -> str:
    """The URL of an account's page."""
    return reverse("admin:billing_provideraccount_change", args=[account.pk])


def _activation_text() -> str:
    if settings.KIE_AI_API_KEY:
        return _("New videos use the key from the environment; once that is removed, they use this one.")
    return _("All new videos use this key from now on.")

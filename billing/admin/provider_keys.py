"""The library of provider keys: giving one, using one, and using it no longer. A key is tried before it takes over."""

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
    """What came of asking for an account's balance: whether the provider told it, and a sentence to say of it."""

    answers: bool
    words: str


class KeyLibraryAdmin(ReadOnlyAdmin):
    """The pages and acts of keys."""

    # Asks for an account's balance. What needs the network joins in the app that has it.
    prove: Callable[[ProviderAccount], ConnectionTest]

    @method_decorator(sensitive_post_parameters("api_key"))
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """A new key, asked for behind a fresh proof of who is asking."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        try:
            return self._add_key(request)
        except ReauthenticationRequired:
            # Allauth itself would keep what was posted, the key, in the session.
            return HttpResponseRedirect(f"{reverse('account_reauthenticate')}?{urlencode({'next': request.path})}")

    @method_decorator(reauthentication_required)
    def _add_key(self, request: HttpRequest) -> HttpResponse:
        form = KeyForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                account = provider_keys.add_key(**form.cleaned_data)
            except encryption.EncryptionError as problem:
                form.add_error(None, _("The key cannot be encrypted: %(problem)s") % {"problem": problem})
            else:
                self.log_addition(request, account, "key added")
                self._try_new(request, account)
                return HttpResponseRedirect(account_url(account))
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": _("Add a key"), "form": form}
        context["overruled"] = bool(settings.KIE_AI_API_KEY)
        return TemplateResponse(request, "admin/billing/key.html", context)

    def _try_new(self, request: HttpRequest, account: ProviderAccount) -> None:
        """Ask with a key that was just stored, and let it take over if all is well. Says what came of it."""
        proof = self.prove(account)
        told = join_sentences((_("The key is stored encrypted."), f"{account.label}: {proof.words}"))
        if not proof.answers:
            self.message_user(request, told, messages.ERROR)
        elif not provider_keys.activate_if_funded(account_id=account.pk):
            threshold = {"threshold": format_amount(settings.CRITICAL_BALANCE_THRESHOLD)}
            why = _(
                "This is at or below the critical threshold of %(threshold)s, so new videos do not use this key "
                "yet. Top up the account, then choose “Use this key…”."
            )
            self.message_user(request, join_sentences((told, why % threshold)), messages.WARNING)
        else:
            self.log_change(request, account, "activated")
            self.message_user(request, join_sentences((told, _activation_text())))

    @admin.action(description=gettext_lazy("Use this key for new videos…"), permissions=["operate"])
    def activate(self, request: HttpRequest, chosen: QuerySet[ProviderAccount]) -> HttpResponse | None:
        accounts = list(chosen)
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
                    "use this key, unless the environment sets one. Running videos keep the key that sent them."
                ),
                button=_("Use this key"),
                chosen=accounts,
            )
        account = accounts[0]
        proof = self.prove(account)
        told = f"{account.label}: {proof.words}"
        if proof.answers:
            provider_keys.activate_key(account_id=account.pk)
            self.log_change(request, account, "activated")
            self.message_user(request, join_sentences((told, _activation_text())))
        else:
            self.message_user(request, told, messages.ERROR)
        return HttpResponseRedirect(account_url(account))

    @admin.action(description=gettext_lazy("Stop using this key…"), permissions=["operate"])
    def deactivate(self, request: HttpRequest, chosen: QuerySet[ProviderAccount]) -> HttpResponse | None:
        accounts = [account for account in chosen if account.source == ProviderAccount.Source.ADMIN]
        if not accounts:
            self.message_user(request, _("Choose keys that were added here."), messages.ERROR)
            return None
        if "confirmed" not in request.POST:
            return ask_confirmation(
                self,
                request,
                action="deactivate",
                title=_("Stop using this key"),
                text=_("No new video uses it. Running videos are finished with it."),
                button=_("Stop using it"),
                chosen=accounts,
                warns=True,
            )
        for account in accounts:
            provider_keys.deactivate_key(account_id=account.pk)
            self.log_change(request, account, "deactivated")
            self.message_user(request, _("%(label)s is no longer used for new videos.") % {"label": account.label})
        return HttpResponseRedirect(account_url(accounts[0])) if len(accounts) == 1 else None


def current_account_id() -> int | None:
    """The account that new videos go to, if there is one."""
    try:
        return provider_accounts.get_current_account().pk
    except provider_accounts.NoProviderKey:
        return None


def account_url(account: ProviderAccount) -> str:
    """The address of an account's page."""
    return reverse("admin:billing_provideraccount_change", args=[account.pk])


def _activation_text() -> str:
    if settings.KIE_AI_API_KEY:
        return _("New videos use the key from the environment; once that is removed, they use this one.")
    return _("All new videos use this key from now on.")

"""Our accounts at providers: balance and its history, why one is at rest, and the acts that stop, start and replace keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_post_parameters

from accounts.doors import clock
from billing import guard, provider_accounts, vault
from billing.admin import provider_page
from billing.admin.provider_forms import KeyForm, PauseForm
from billing.admin.reading import ReadOnlyAdmin, ask, chip, from_first_page, moment, number, operator_of
from billing.amounts import localised
from billing.models import BalanceSnapshot, ProviderAccount

SNAPSHOTS_SHOWN = 50
CURVE_WIDTH, CURVE_HEIGHT = 600, 100


@dataclass(frozen=True)
class Button:
    """An act that the page of one account offers; it is an action of the list."""

    name: str
    label: str | Promise
    warns: bool = False


@admin.register(ProviderAccount)
class ProviderAccountAdmin(ReadOnlyAdmin):
    """Accounts at providers. What needs the network joins in the app that has it."""

    list_display = ("label", "role", "source", "state", "credits", "read", "promise", "free", "created_at")
    list_filter = ("source",)
    actions: Any = ("pause", "resume", "activate", "deactivate")

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("billing.add_provideraccount")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Who may act: the right to change accounts, although nothing is edited by hand."""
        return request.user.has_perm("billing.change_provideraccount")

    # Columns

    @admin.display(description=gettext_lazy("new videos go to"))
    def role(self, account: ProviderAccount) -> SafeString | str:
        return chip(_("This one"), "good") if account.pk == _current_id() else "–"

    @admin.display(description=gettext_lazy("state"))
    def state(self, account: ProviderAccount) -> SafeString:
        return _state(account)

    @admin.display(description=gettext_lazy("balance"), ordering="balance")
    def credits(self, account: ProviderAccount) -> SafeString:
        return number(localised(account.balance))

    @admin.display(description=gettext_lazy("read at"), ordering="balance_at")
    def read(self, account: ProviderAccount) -> SafeString | str:
        return moment(account.balance_at)

    @admin.display(description=gettext_lazy("promised"))
    def promise(self, account: ProviderAccount) -> SafeString:
        return number(localised(provider_accounts.promised(account.pk)))

    @admin.display(description=gettext_lazy("available"))
    def free(self, account: ProviderAccount) -> SafeString:
        return number(localised(provider_accounts.available(account)))

    # Pages

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
                account = provider_accounts.add_key(**form.cleaned_data)
            except vault.VaultError as problem:
                form.add_error(None, _("The key cannot be sealed: %(problem)s") % {"problem": problem})
            else:
                self.log_addition(request, account, "key added")
                self.message_user(request, _("The key is stored, sealed. Test the connection now."))
                return HttpResponseRedirect(_page_of(account))
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": _("Add a key"), "form": form}
        context["overruled"] = bool(settings.KIE_AI_API_KEY)
        return TemplateResponse(request, "admin/billing/key.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One account: what is in it, how that came, and what may be done."""
        account = self.get_object(request, object_id)
        if account is None:
            raise Http404
        if not self.has_view_permission(request, account):
            raise PermissionDenied
        snapshots = list(account.snapshots.order_by("-taken_at", "-pk")[:SNAPSHOTS_SHOWN])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": account,
            "title": account.label,
            "account": account,
            "is_current": account.pk == _current_id(),
            "state": _state(account),
            "balance": localised(account.balance),
            "promised": localised(provider_accounts.promised(account.pk)),
            "available": localised(provider_accounts.available(account)),
            "low": localised(settings.LOW_BALANCE_THRESHOLD),
            "critical": localised(settings.CRITICAL_BALANCE_THRESHOLD),
            "snapshots": [(row.taken_at, localised(row.balance), localised(row.promised)) for row in snapshots],
            "curve": _curve(snapshots),
            "curve_width": CURVE_WIDTH,
            "curve_height": CURVE_HEIGHT,
            "buttons": self.buttons(account) if self.has_operate_permission(request) else (),
            **provider_page.explained(account),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/billing/account.html", context)

    def buttons(self, account: ProviderAccount) -> Sequence[Button]:
        """What may be done with this account as it stands."""
        paused = account.is_paused_at(clock.database_now())
        found = [Button("resume", _("Resume…")) if paused else Button("pause", _("Pause…"), warns=True)]
        if account.source == ProviderAccount.Source.ADMIN:
            found.append(
                Button("deactivate", _("Use no longer…"))
                if account.is_active
                else Button("activate", _("Use this key…"))
            )
        return found

    # Acts

    @admin.action(description=gettext_lazy("Pause new videos…"), permissions=["operate"])
    def pause(self, request: HttpRequest, chosen: QuerySet[ProviderAccount]) -> HttpResponse | None:
        form = PauseForm(request.POST if "confirmed" in request.POST else None)
        accounts = list(chosen)
        if not form.is_valid():
            return ask(
                self,
                request,
                action="pause",
                title=_("Pause new videos"),
                text=_(
                    "No new video is sent from here on, and orders are refused with your reason. What runs goes on."
                ),
                button=_("Pause"),
                chosen=accounts,
                form=form,
                warns=True,
            )
        for account in accounts:
            provider_accounts.pause(account_id=account.pk, actor=operator_of(request), **form.act)
            account.refresh_from_db()
            sentence = provider_accounts.pause_sentence(account, settings.LANGUAGE_CODE)
            self.log_change(request, account, f"paused: {sentence}")
            self.message_user(request, _("%(label)s: new videos are paused.") % {"label": account.label})
        return _back_to(accounts, request)

    @admin.action(description=gettext_lazy("Resume…"), permissions=["operate"])
    def resume(self, request: HttpRequest, chosen: QuerySet[ProviderAccount]) -> HttpResponse | None:
        accounts = list(chosen)
        if "confirmed" not in request.POST:
            return ask(
                self,
                request,
                action="resume",
                title=_("Resume new videos"),
                text=_("Orders are taken again, and what waits is sent."),
                button=_("Resume"),
                chosen=accounts,
            )
        for account in accounts:
            provider_accounts.resume(account_id=account.pk)
            self.log_change(request, account, "resumed")
            self.message_user(request, _("%(label)s: new videos are made again.") % {"label": account.label})
        return _back_to(accounts, request)

    @admin.action(description=gettext_lazy("Use this key for new videos…"), permissions=["operate"])
    def activate(self, request: HttpRequest, chosen: QuerySet[ProviderAccount]) -> HttpResponse | None:
        accounts = list(chosen)
        if len(accounts) != 1 or accounts[0].source != ProviderAccount.Source.ADMIN:
            self.message_user(request, _("Choose one key that was added here."), messages.ERROR)
            return None
        if "confirmed" not in request.POST:
            return ask(
                self,
                request,
                action="activate",
                title=_("Use this key"),
                text=_(
                    "New videos go to this key, unless the environment names one. What runs keeps the key that sent it."
                ),
                button=_("Use this key"),
                chosen=accounts,
            )
        provider_accounts.activate(account_id=accounts[0].pk)
        self.log_change(request, accounts[0], "activated")
        self.message_user(request, _("%(label)s is used for new videos.") % {"label": accounts[0].label})
        return _back_to(accounts)

    @admin.action(description=gettext_lazy("Use this key no longer…"), permissions=["operate"])
    def deactivate(self, request: HttpRequest, chosen: QuerySet[ProviderAccount]) -> HttpResponse | None:
        accounts = [account for account in chosen if account.source == ProviderAccount.Source.ADMIN]
        if not accounts:
            self.message_user(request, _("Choose keys that were added here."), messages.ERROR)
            return None
        if "confirmed" not in request.POST:
            return ask(
                self,
                request,
                action="deactivate",
                title=_("Use this key no longer"),
                text=_("No new video goes to it. What it has under way is finished with it."),
                button=_("Use it no longer"),
                chosen=accounts,
                warns=True,
            )
        for account in accounts:
            provider_accounts.deactivate(account_id=account.pk)
            self.log_change(request, account, "deactivated")
            self.message_user(request, _("%(label)s gets no new videos.") % {"label": account.label})
        return _back_to(accounts)


def _current_id() -> int | None:
    try:
        return provider_accounts.current().pk
    except provider_accounts.NoProviderKey:
        return None


def _page_of(account: ProviderAccount) -> str:
    return reverse("admin:billing_provideraccount_change", args=[account.pk])


def _back_to(accounts: list[ProviderAccount], request: HttpRequest | None = None) -> HttpResponse | None:
    """To the first page for an act that began there; to the page of the one account, else to the list."""
    if request is not None and from_first_page(request):
        return HttpResponseRedirect(reverse("admin:index"))
    return HttpResponseRedirect(_page_of(accounts[0])) if len(accounts) == 1 else None


def _state(account: ProviderAccount) -> SafeString:
    if account.is_paused_at(clock.database_now()):
        return chip(_("Paused"), "warn")
    if account.parked_as:
        return chip(account.get_parked_as_display(), "bad")
    if guard.is_critical(account):
        return chip(_("Critical balance"), "bad")
    if account.breaker != ProviderAccount.Breaker.CLOSED:
        return chip(_("Breaker: %(state)s") % {"state": account.get_breaker_display()}, "warn")
    return chip(_("Works"), "good")


def _curve(snapshots: Sequence[BalanceSnapshot]) -> str:
    """The points of an SVG polyline, oldest first; nothing for fewer than two."""
    rows = list(reversed(snapshots))
    if len(rows) < 2:
        return ""
    begin, span_s = rows[0].taken_at, (rows[-1].taken_at - rows[0].taken_at).total_seconds() or 1.0
    top = float(max(row.balance for row in rows)) or 1.0
    return " ".join(
        f"{(row.taken_at - begin).total_seconds() / span_s * CURVE_WIDTH:.1f},"
        f"{CURVE_HEIGHT - max(float(row.balance), 0.0) / top * CURVE_HEIGHT:.1f}"
        for row in rows
    )

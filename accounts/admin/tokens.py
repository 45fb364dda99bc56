"""API tokens, as operators see them: a list to look at, one's own to make (shown once), any to revoke."""

from datetime import timedelta
from typing import Any, ClassVar

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.lists import AnsweringAdmin
from accounts.models import ApiToken, User
from accounts.seams import clock
from accounts.tokens import services as tokens

FOR_EVER = 0


class TokenForm(forms.Form):
    """What a new token is for, what it may do, and how long."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=tokens.NAME_LENGTH, help_text=gettext_lazy("Which program will use it.")
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("It may"),
        choices=list(tokens.SCOPES.items()),
        initial=[tokens.COST_READ],
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.TypedChoiceField(
        label=gettext_lazy("It works for"),
        coerce=int,
        initial=90,
        choices=[
            (30, gettext_lazy("30 days")),
            (90, gettext_lazy("90 days")),
            (365, gettext_lazy("a year")),
            (FOR_EVER, gettext_lazy("until it is revoked")),
        ],
    )

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner

    def clean_name(self) -> str:
        """One live token of a name: who sends the form twice is told, and finds no second token in the list."""
        name: str = self.cleaned_data["name"].strip()
        if any(tokens.is_alive(token, clock.now()) for token in ApiToken.objects.filter(user=self.owner, name=name)):
            raise forms.ValidationError(_("You have a token of this name. Revoke it first, or choose another name."))
        return name


@admin.register(ApiToken)
class ApiTokenAdmin(AnsweringAdmin):
    """Tokens by their beginnings; nobody can read a secret again, and nobody makes one that speaks for somebody else."""

    list_display: Any = ("beginning", "name", "user", "may", "state", "created_at", "expires_at", "last_used_at")
    list_display_links: Any = None
    list_select_related: ClassVar[Any] = ("user",)
    search_fields: ClassVar[Any] = ("name", "prefix", "user__email")
    actions: Any = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        """One's own; everybody's for who may change them."""
        found: QuerySet[ApiToken] = super().get_queryset(request)
        return found if request.user.has_perm("accounts.change_apitoken") else found.filter(user=_operator(request))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A token is never edited: it is revoked, and another is made."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Everybody who sees a token here may end it."""
        return self.has_view_permission(request)

    @admin.display(description=gettext_lazy("begins with"))
    def beginning(self, token: ApiToken) -> SafeString:
        return format_html('<code class="nowrap">{}…</code>', token.prefix)

    @admin.display(description=gettext_lazy("may"))
    def may(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    @admin.display(description=gettext_lazy("state"))
    def state(self, token: ApiToken) -> SafeString:
        if token.revoked_at is not None:
            word, tone = _("Revoked"), ""
        elif token.expires_at is not None and token.expires_at <= clock.now():
            word, tone = _("Expired"), ""
        elif not token.user.is_active:
            word, tone = _("Owner disabled"), " chip-warn"
        else:
            word, tone = _("Works"), " chip-good"
        return format_html('<span class="chip{}">{}</span>', tone, word)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """A new token of the operator's own, behind a fresh proof of who is asking."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        answer: HttpResponse = self._make(request)
        return answer

    @method_decorator(reauthentication_required)
    def _make(self, request: HttpRequest) -> HttpResponse:
        """The form; then the secret, on this one answer (no page of the operators' site is kept by a cache)."""
        owner = _operator(request)
        form = TokenForm(request.POST or None, owner=owner)
        made = None
        if request.method == "POST" and form.is_valid():
            days: int = form.cleaned_data["days"]
            made = tokens.make(
                user=owner,
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                expires_at=clock.now() + timedelta(days=days) if days != FOR_EVER else None,
            )
            self.log_addition(request, made.token, f"made: {', '.join(made.token.scopes)}")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Your new token") if made else _("Make a token"),
            "form": form,
            "made": made,
            "list_url": reverse("admin:accounts_apitoken_changelist"),
            "cost_url": request.build_absolute_uri("/api/admin/cost-monitoring"),
        }
        return TemplateResponse(request, "accounts/admin_token.html", context)

    @admin.action(description=gettext_lazy("Revoke…"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiToken]) -> HttpResponse | None:
        """Asks once; from the next request on the token lets nobody in."""
        live = list(chosen.filter(revoked_at=None).order_by("pk"))
        if not live:
            self.message_user(request, _("These are revoked already."), messages.WARNING)
            return None
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": _("Revoke tokens"),
                "text": _(
                    "Programs that use them are refused from now on. This cannot be undone; make new ones instead."
                ),
                "button": _("Revoke"),
                "action": "revoke",
                "chosen": live,
                "warns": True,
                "checkbox_name": ACTION_CHECKBOX_NAME,
                "back": reverse("admin:accounts_apitoken_changelist"),
            }
            return TemplateResponse(request, "admin/billing/ask.html", context)
        for token in live:
            tokens.revoke(token_id=token.pk, actor=_operator(request))
            self.log_change(request, token, "revoked")
            self.message_user(request, _("Revoked: %(token)s") % {"token": token})
        return None


def _operator(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise TypeError("the operators' site lets nobody in without an account")
    return request.user

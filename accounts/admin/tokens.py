"""API tokens in the admin. Operators list and revoke tokens and create their own; a new secret is shown once."""

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

from accounts.admin.lists import TolerantModelAdmin, get_operator
from accounts.models import ApiToken, User
from accounts.seams import clock
from accounts.tokens import services as tokens

NO_EXPIRY = 0  # the value of the form field `days` for a token that does not expire


class TokenForm(forms.Form):
    """Name, scopes and lifetime of a new token."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=tokens.NAME_LENGTH,
        help_text=gettext_lazy("The program that will use it."),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Permissions"),
        choices=list(tokens.SCOPES.items()),
        initial=[tokens.COST_READ],
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.TypedChoiceField(
        label=gettext_lazy("Valid for"),
        coerce=int,
        initial=90,
        choices=[
            (30, gettext_lazy("30 days")),
            (90, gettext_lazy("90 days")),
            (365, gettext_lazy("a year")),
            (NO_EXPIRY, gettext_lazy("until revoked")),
        ],
    )

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner

    def clean_name(self) -> str:
        """Refuse the name of another usable token of the owner, so that a form sent twice creates only one token."""
        name: str = self.cleaned_data["name"].strip()
        if any(tokens.is_usable(token, clock.now()) for token in ApiToken.objects.filter(user=self.owner, name=name)):
            raise forms.ValidationError(
                _("You already have a token with this name. Revoke it first, or choose another name.")
            )
        return name


@admin.register(ApiToken)
class ApiTokenAdmin(TolerantModelAdmin):
    """Lists tokens by their first characters, without the secrets. Operators create tokens for themselves only."""

    list_display: Any = (
        "shown_prefix",
        "name",
        "user",
        "scope_list",
        "state",
        "created_at",
        "expires_at",
        "last_used_at",
    )
    list_display_links: Any = None
    list_select_related: ClassVar[Any] = ("user",)
    search_fields: ClassVar[Any] = ("name", "prefix", "user__email")
    actions: Any = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        """The tokens of the operator, or those of all users if the operator has the permission to change tokens."""
        tokens: QuerySet[ApiToken] = super().get_queryset(request)
        return (
            tokens if request.user.has_perm("accounts.change_apitoken") else tokens.filter(user=get_operator(request))
        )

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Tokens are not edited, only revoked and replaced."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Everyone who sees a token here may revoke it."""
        return self.has_view_permission(request)

    @admin.display(description=gettext_lazy("starts with"))
    def shown_prefix(self, token: ApiToken) -> SafeString:
        return format_html('<code class="nowrap">{}…</code>', token.prefix)

    @admin.display(description=gettext_lazy("permissions"))
    def scope_list(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    @admin.display(description=gettext_lazy("state"))
    def state(self, token: ApiToken) -> SafeString:
        if token.revoked_at is not None:
            label, css_class = _("Revoked"), ""
        elif token.expires_at is not None and token.expires_at <= clock.now():
            label, css_class = _("Expired"), ""
        elif not token.user.is_active:
            label, css_class = _("Owner disabled"), " chip-warn"
        else:
            label, css_class = _("Active"), " chip-good"
        return format_html('<span class="chip{}">{}</span>', css_class, label)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Show the form for a new token, after the operator has entered the password or second factor again."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        response: HttpResponse = self._create(request)
        return response

    @method_decorator(reauthentication_required)
    def _create(self, request: HttpRequest) -> HttpResponse:
        """Show the form, and after a valid POST the secret, only once. Browsers do not cache pages of the admin."""
        owner = get_operator(request)
        form = TokenForm(request.POST or None, owner=owner)
        new_token = None
        if request.method == "POST" and form.is_valid():
            days: int = form.cleaned_data["days"]
            new_token = tokens.create_token(
                user=owner,
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                expires_at=clock.now() + timedelta(days=days) if days != NO_EXPIRY else None,
            )
            self.log_addition(request, new_token.token, f"created: {', '.join(new_token.token.scopes)}")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Your new token") if new_token else _("Create a token"),
            "form": form,
            "new_token": new_token,
            "list_url": reverse("admin:accounts_apitoken_changelist"),
            "cost_url": request.build_absolute_uri("/api/admin/cost-monitoring"),
        }
        return TemplateResponse(request, "accounts/admin_token.html", context)

    @admin.action(description=gettext_lazy("Revoke…"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> HttpResponse | None:
        """Ask for confirmation, then revoke the tokens; they are refused from the next request on."""
        unrevoked = list(queryset.filter(revoked_at=None).order_by("pk"))
        if not unrevoked:
            self.message_user(request, _("These tokens are already revoked."), messages.WARNING)
            return None
        if "confirmed" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": _("Revoke tokens"),
                "text": _(
                    "Programs that use them are refused from now on. This cannot be undone; create new tokens instead."
                ),
                "button": _("Revoke"),
                "action": "revoke",
                "rows": unrevoked,
                "is_destructive": True,
                "checkbox_name": ACTION_CHECKBOX_NAME,
                "back_url": reverse("admin:accounts_apitoken_changelist"),
            }
            return TemplateResponse(request, "admin/billing/ask.html", context)
        for token in unrevoked:
            tokens.revoke_token(token_id=token.pk, actor=get_operator(request))
            self.log_change(request, token, "revoked")
            self.message_user(request, _("Revoked: %(token)s") % {"token": token})
        return None

"""Users in the admin. Only rights are edited here; all other changes are made by `accounts.user_actions`."""

from typing import Any, ClassVar

from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts import browser_names, user_actions
from accounts.admin.lists import TolerantModelAdmin, get_operator
from accounts.admin.tokens import ApiTokenAdmin
from accounts.models import User

__all__ = ["ApiTokenAdmin", "UserAdmin"]

# allauth's own admin pages would let operators edit its rows and would show the secrets of second factors.
for model in (EmailAddress, EmailConfirmation, Authenticator, UserSession):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


class ReadOnlyInline(admin.TabularInline):  # type: ignore[type-arg]
    """Rows of another table that belong to a user, shown read-only on the page of the user."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True


class AddressInline(ReadOnlyInline):
    model = EmailAddress
    verbose_name_plural = _("addresses")
    fields = ("email", "verified", "primary")
    readonly_fields = fields


class SecondFactorInline(ReadOnlyInline):
    model = Authenticator
    verbose_name_plural = _("second factors")
    fields = ("type", "created_at", "last_used_at")
    readonly_fields = fields


class SessionInline(ReadOnlyInline):
    model = UserSession
    verbose_name_plural = _("sessions")
    fields = ("browser", "ip", "created_at", "last_seen_at")
    readonly_fields = fields

    @admin.display(description=_("browser"))
    def browser(self, session: UserSession) -> str:
        return browser_names.name_browser(session.user_agent)


class UserAdmin(TolerantModelAdmin):
    """The list and page of users. Another app adds columns and actions in a subclass, which it registers instead."""

    list_display: Any = ("email", "display_name", "is_active", "is_staff", "date_joined", "last_login")
    list_filter: ClassVar[Any] = ("is_active", "is_staff", "date_joined")
    search_fields: ClassVar[Any] = ("email", "display_name")
    ordering: ClassVar[Any] = ("-date_joined",)
    date_hierarchy = "date_joined"
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("email", "display_name", "is_active")}),
        (_("Preferences"), {"fields": ("language", "time_zone", "theme", "notify_ready", "notify_failed")}),
        (_("Rights"), {"fields": ("is_staff", "is_superuser", "groups", "user_permissions"), "classes": ("collapse",)}),
        (_("Dates"), {"fields": ("date_joined", "last_login", "anonymised_at")}),
    )
    # Operators only read these: users set them, or actions change them.
    readonly_fields: ClassVar[Any] = (
        "email",
        "display_name",
        "is_active",
        "language",
        "time_zone",
        "theme",
        "notify_ready",
        "notify_failed",
        "date_joined",
        "last_login",
        "anonymised_at",
    )
    filter_horizontal: ClassVar[Any] = ("groups", "user_permissions")
    inlines: ClassVar[Any] = (AddressInline, SecondFactorInline, SessionInline)
    actions: Any = ("disable", "enable", "end_sessions", "remove_second_factor", "close_account")
    RIGHTS: ClassVar = ("is_staff", "is_superuser", "groups", "user_permissions")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Users sign up themselves, which confirms that the address is theirs."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """An account is closed, never deleted, because entries of the credit ledger refer to the user."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Make rights read-only except for superusers, because other operators could promote themselves."""
        readonly = tuple(super().get_readonly_fields(request, obj))
        return readonly if request.user.is_superuser else (*readonly, *self.RIGHTS)

    @admin.action(description=_("Disable (sign out and block)"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in self._exclude_operator(request, queryset):
            user_actions.disable(user=user, actor=get_operator(request))
            self.log_change(request, user, "disabled")
            self._show_message(request, _("Disabled: %(email)s") % {"email": user.email})

    @admin.action(description=_("Enable again"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in self._exclude_operator(request, queryset):
            if user_actions.enable(user=user, actor=get_operator(request)).is_active:
                self.log_change(request, user, "enabled")
                self._show_message(request, _("Enabled: %(email)s") % {"email": user.email})
            else:
                self._show_message(
                    request, _("Closed accounts cannot be enabled: %(email)s") % {"email": user.email}, messages.WARNING
                )

    @admin.action(description=_("End all sessions"), permissions=["change"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            count = user_actions.end_sessions(user)
            self.log_change(request, user, f"ended {count} sessions")
            text = ngettext("%(n)d session ended: %(email)s", "%(n)d sessions ended: %(email)s", count)
            self._show_message(request, str(text % {"email": user.email, "n": count}))

    @admin.action(description=_("Remove second factor (device lost)"), permissions=["change"])
    def remove_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in self._exclude_operator(request, queryset):
            user_actions.remove_second_factor(user=user, actor=get_operator(request))
            self.log_change(request, user, "second factor removed")
            self._show_message(request, _("Second factor removed: %(email)s") % {"email": user.email})

    @admin.action(description=_("Close account permanently…"), permissions=["change"])
    def close_account(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        """Ask for confirmation on a page that explains the consequences, then close the accounts."""
        users = self._exclude_operator(request, queryset)
        if "confirmed" not in request.POST:
            return TemplateResponse(
                request,
                "accounts/admin_close_account.html",
                {**self.admin_site.each_context(request), "title": _("Close accounts"), "users": users},
            )
        for user in users:
            closed = user_actions.close_account(user=user, actor=get_operator(request))
            self.log_change(request, closed, "account closed")
            self._show_message(request, _("Account closed: %(email)s") % {"email": closed.email})
        return None

    def _exclude_operator(self, request: HttpRequest, queryset: QuerySet[User]) -> list[User]:
        """The selected users without the operator, who could lock themselves out. A message says if that happened."""
        others = [user for user in queryset if user.pk != request.user.pk]
        if len(others) < len(queryset):
            self._show_message(request, str(_("Your own account was not changed.")), messages.WARNING)
        return others

    def _show_message(self, request: HttpRequest, text: str, level: int = messages.SUCCESS) -> None:
        self.message_user(request, text, level)


admin.site.register(User, UserAdmin)

"""People, as operators see them. Rights apart, an operator changes a person only through acts of `accounts.user_actions`."""

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
from accounts.admin.lists import AnsweringAdmin
from accounts.admin.tokens import ApiTokenAdmin
from accounts.models import User

__all__ = ["ApiTokenAdmin", "UserAdmin"]

# Their own pages would let an operator edit what only allauth may write, and show secrets of second factors.
for model in (EmailAddress, EmailConfirmation, Authenticator, UserSession):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


class ReadOnlyInline(admin.TabularInline):  # type: ignore[type-arg]
    """Rows that belong to a person, to look at."""

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
        return browser_names.named(session.user_agent)


class UserAdmin(AnsweringAdmin):
    """A person. Apps above add columns, inlines and actions in a subclass and register that one instead."""

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
    # What a person chose for themselves is theirs; operators look at it.
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
        """People sign up by themselves, so that an address is always somebody's own."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """The books need their owner: an account is closed, never deleted."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Only a superuser hands out rights, or an operator could make one of themselves."""
        fixed = tuple(super().get_readonly_fields(request, obj))
        return fixed if request.user.is_superuser else (*fixed, *self.RIGHTS)

    @admin.action(description=_("Disable: sign out and lock out"), permissions=["change"])
    def disable(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        for user in self._others(request, chosen):
            user_actions.disable(user=user, actor=_operator(request))
            self.log_change(request, user, "disabled")
            self._say(request, _("Disabled: %(email)s") % {"email": user.email})

    @admin.action(description=_("Enable again"), permissions=["change"])
    def enable(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        for user in self._others(request, chosen):
            if user_actions.enable(user=user, actor=_operator(request)).is_active:
                self.log_change(request, user, "enabled")
                self._say(request, _("Enabled: %(email)s") % {"email": user.email})
            else:
                self._say(request, _("Closed, and stays closed: %(email)s") % {"email": user.email}, messages.WARNING)

    @admin.action(description=_("End all sessions"), permissions=["change"])
    def end_sessions(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        for user in chosen:
            ended = user_actions.end_sessions(user)
            self.log_change(request, user, f"ended {ended} sessions")
            text = ngettext("%(n)d session ended: %(email)s", "%(n)d sessions ended: %(email)s", ended)
            self._say(request, str(text % {"email": user.email, "n": ended}))

    @admin.action(description=_("Remove second factor (device lost)"), permissions=["change"])
    def remove_second_factor(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        for user in self._others(request, chosen):
            user_actions.remove_second_factor(user=user, actor=_operator(request))
            self.log_change(request, user, "second factor removed")
            self._say(request, _("Signs in without a second factor now: %(email)s") % {"email": user.email})

    @admin.action(description=_("Close account for good…"), permissions=["change"])
    def close_account(self, request: HttpRequest, chosen: QuerySet[User]) -> HttpResponse | None:
        """Asks once, on a page that says what happens."""
        others = self._others(request, chosen)
        if "confirmed" not in request.POST:
            return TemplateResponse(
                request,
                "accounts/admin_close_account.html",
                {**self.admin_site.each_context(request), "title": _("Close accounts"), "chosen": others},
            )
        for user in others:
            closed = user_actions.close_account(user=user, actor=_operator(request))
            self.log_change(request, closed, "account closed")
            self._say(request, _("Account closed: %(email)s") % {"email": closed.email})
        return None

    def _others(self, request: HttpRequest, chosen: QuerySet[User]) -> list[User]:
        """The chosen people but the operator, who would be locked out by their own hand; they are told."""
        others = [user for user in chosen if user.pk != request.user.pk]
        if len(others) < len(chosen):
            self._say(request, str(_("Your own account was left alone.")), messages.WARNING)
        return others

    def _say(self, request: HttpRequest, text: str, level: int = messages.SUCCESS) -> None:
        self.message_user(request, text, level)


admin.site.register(User, UserAdmin)


def _operator(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise TypeError("the operators' site lets nobody in without an account")
    return request.user

"""Holds on users' new videos: the list of holds, and the actions that hold and release users."""

from datetime import datetime
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.seams import clock
from billing.admin.base import ReadOnlyAdmin, acting_operator, ask_confirmation
from billing.admin.cells import chip, link_user, time_cell
from billing.guard import anomalies, user_holds
from billing.models import UserHold

MAX_USERS = 200


class HoldForm(forms.Form):
    """The reason, which the user can read, and the end of a hold."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=user_holds.REASON_LENGTH,
        help_text=gettext_lazy("Shown to them in brackets when they order: “An operator holds your new videos (…)”."),
    )
    until = forms.DateTimeField(
        label=gettext_lazy("Until"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text=gettext_lazy("The hold ends then. Empty: until an operator releases it."),
    )

    def clean_until(self) -> datetime | None:
        until: datetime | None = self.cleaned_data["until"]
        if until is not None and until <= clock.now():
            raise forms.ValidationError(_("This time is in the past."))
        return until


class HoldActions(admin.ModelAdmin):  # type: ignore[type-arg]
    """The hold actions of the user list."""

    HOLD_ACTIONS: ClassVar[tuple[str, ...]] = ("hold_orders", "release_orders")

    def has_hold_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_userhold")

    @admin.action(description=gettext_lazy("Hold new videos…"), permissions=["hold"])
    def hold_orders(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        """Hold users after asking for the reason. Running videos continue, and waiting ones keep their place in the queue."""
        users = list(queryset.filter(anonymised_at=None).order_by("pk")[: MAX_USERS + 1])
        if not users or len(users) > MAX_USERS:
            message = _("Choose 1 to %(n)d users with an open account.") % {"n": MAX_USERS}
            self.message_user(request, message, messages.ERROR)
            return None
        form = HoldForm(request.POST if "confirmed" in request.POST else None)
        if not form.is_valid():
            return ask_confirmation(
                self,
                request,
                action="hold_orders",
                title=_("Hold new videos"),
                text=_(
                    "Their orders are refused with your reason, and their waiting videos are not sent. Videos "
                    "that are being made continue. Other users are not affected."
                ),
                button=_("Hold"),
                rows=users,
                form=form,
                is_destructive=True,
            )
        with transaction.atomic():
            for user in users:
                user_holds.hold(
                    user=user, code=user_holds.Code.OPERATOR, actor=acting_operator(request), **form.cleaned_data
                )
                self.log_change(request, user, f"new videos held: {form.cleaned_data['reason']}")
        for user in users:
            self.message_user(request, _("New videos are held: %(email)s") % {"email": user.email})
        return None

    @admin.action(description=gettext_lazy("Release the hold"), permissions=["hold"])
    def release_orders(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            if user_holds.release(user_id=user.pk):
                self.log_change(request, user, "hold released")
                self.message_user(request, _("Can order again: %(email)s") % {"email": user.email})
            else:
                message = _("There was no hold on %(email)s.") % {"email": user.email}
                self.message_user(request, message, messages.WARNING)
        # End the spending monitor's records of these holds, and their alerts, now rather than at the next check.
        anomalies.end_finished_trips()


@admin.register(UserHold)
class UserHoldAdmin(ReadOnlyAdmin):
    """The holds in force. Holds are placed in the user list."""

    list_display = ("user_link", "kind", "reason", "held_since", "operator", "ends")
    list_display_links = None
    list_select_related = ("user", "held_by")
    search_fields = ("user__email",)
    actions: Any = ("release",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[UserHold]:
        return user_holds.active_holds().order_by("-held_at")

    def has_hold_permission(self, request: HttpRequest) -> bool:
        """The permission to change holds also allows releasing them."""
        return request.user.has_perm("billing.change_userhold")

    @admin.display(description=gettext_lazy("user"))
    def user_link(self, hold: UserHold) -> SafeString:
        return link_user(hold.user)

    @admin.display(description=gettext_lazy("why"))
    def kind(self, hold: UserHold) -> SafeString:
        return chip(hold.get_code_display(), "warn")

    @admin.display(description=gettext_lazy("held at"), ordering="held_at")
    def held_since(self, hold: UserHold) -> SafeString | str:
        return time_cell(hold.held_at)

    @admin.display(description=gettext_lazy("by"))
    def operator(self, hold: UserHold) -> SafeString | str:
        return link_user(hold.held_by) if hold.held_by else _("the spending monitor")

    @admin.display(description=gettext_lazy("until"), ordering="until")
    def ends(self, hold: UserHold) -> SafeString | str:
        return time_cell(hold.until) if hold.until else _("until an operator releases it")

    @admin.action(description=gettext_lazy("Release the hold"), permissions=["hold"])
    def release(self, request: HttpRequest, queryset: QuerySet[UserHold]) -> None:
        for hold in queryset.select_related("user"):
            self.log_change(request, hold.user, "hold released")
            user_holds.release(user_id=hold.user_id)
            self.message_user(request, _("Can order again: %(email)s") % {"email": hold.user.email})
        anomalies.end_finished_trips()

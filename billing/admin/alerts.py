"""What operators must know, and the act of having seen it."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from billing import alerts
from billing.admin.reading import ReadOnlyAdmin, chip, moment, number, operator_of, reference_link
from billing.models import Alert

TONES = {Alert.Severity.INFO: "info", Alert.Severity.WARNING: "warn", Alert.Severity.CRITICAL: "bad"}
STATES = {
    "open": Q(resolved_at=None, acknowledged_at=None),
    "seen": Q(resolved_at=None, acknowledged_at__isnull=False),
    "over": Q(resolved_at__isnull=False),
}


class StateFilter(admin.SimpleListFilter):
    """What still waits for a person."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", _("Open")), ("seen", _("Seen, not over")), ("over", _("Over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        return queryset.filter(STATES.get(str(self.value()), Q()))


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """One row for each cause and window. They end by themselves, when their cause does."""

    list_display = ("last", "how_bad", "kind", "what", "about", "times", "state", "seen_by")
    list_display_links = ("last",)
    list_filter = (StateFilter, "severity", "kind", "last_at")
    list_select_related = ("acknowledged_by",)
    ordering = ("-last_at",)
    search_fields = ("cause", "detail", "reference")
    actions = ("acknowledge",)

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_alert")

    @admin.action(description=gettext_lazy("I have seen it"), permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, chosen: QuerySet[Alert]) -> None:
        seen = 0
        for alert in chosen:
            if alerts.acknowledge(alert_id=alert.pk, actor=operator_of(request)):
                self.log_change(request, alert, "acknowledged")
                seen += 1
        self.message_user(request, ngettext("%(n)d alert marked.", "%(n)d alerts marked.", seen) % {"n": seen})

    @admin.display(description=gettext_lazy("last at"), ordering="last_at")
    def last(self, alert: Alert) -> SafeString | str:
        return moment(alert.last_at)

    @admin.display(description=gettext_lazy("severity"), ordering="severity")
    def how_bad(self, alert: Alert) -> SafeString:
        return chip(alert.get_severity_display(), TONES[Alert.Severity(alert.severity)])

    @admin.display(description=gettext_lazy("detail"))
    def what(self, alert: Alert) -> str:
        return Truncator(alert.detail or alert.cause).chars(120)

    @admin.display(description=gettext_lazy("reference"), ordering="reference")
    def about(self, alert: Alert) -> SafeString | str:
        return reference_link(alert.reference) if alert.reference else "–"

    @admin.display(description=gettext_lazy("times"), ordering="count")
    def times(self, alert: Alert) -> SafeString:
        return number(alert.count)

    @admin.display(description=gettext_lazy("state"))
    def state(self, alert: Alert) -> SafeString:
        if alert.resolved_at is not None:
            return chip(_("Over"), "good")
        return chip(_("Seen")) if alert.acknowledged_at is not None else chip(_("Open"), "warn")

    @admin.display(description=gettext_lazy("seen by"))
    def seen_by(self, alert: Alert) -> object:
        return alert.acknowledged_by or "–"

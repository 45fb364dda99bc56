"""Shows alerts in the admin: what happened, what it means and what to do.

An operator marks alerts as seen, snoozes them (hides them until a later time) or resolves them.
"""

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from accounts.seams import clock
from billing.admin.base import ReadOnlyAdmin, acting_operator
from billing.admin.cells import chip, link_reference, number_cell
from billing.alerts import services as alerts
from billing.alerts.messages import format_message, format_message_as_text
from billing.alerts.runbook import RUNBOOK, action_path, alert_path, describe_subject, runbook_entry
from billing.common.form_fields import parse_row_number
from billing.common.periods import site_zone, window_at
from billing.models import Alert, AlertDelivery, Period

TONES = {Alert.Severity.INFO: "info", Alert.Severity.WARNING: "warn", Alert.Severity.CRITICAL: "bad"}
DELIVERY_TONES = {
    AlertDelivery.State.DUE: "info",
    AlertDelivery.State.SENT: "good",
    AlertDelivery.State.FAILED: "bad",
}
SNOOZE_ENDS_AT = time(8)  # local time of the site; see `eight_in_the_morning`

# The kinds that only an operator can resolve.
MANUAL_KINDS = [kind for kind, entry in RUNBOOK.items() if entry.resolved_by_hand]


def state_filters(at: datetime) -> dict[str, tuple[str | Promise, Q]]:
    """The states of alerts as {value of the filter: (label, condition of the query)}."""
    return {
        "open": (gettext_lazy("Open"), alerts.waiting_condition(at)),
        "snoozed": (gettext_lazy("Snoozed"), alerts.snoozed_condition(at)),
        "seen": (gettext_lazy("Seen, not resolved"), Q(resolved_at=None, acknowledged_at__isnull=False)),
        "resolved": (gettext_lazy("Resolved"), Q(resolved_at__isnull=False)),
    }


class StateFilter(admin.SimpleListFilter):
    """Filter by state."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, str(label)) for name, (label, _condition) in state_filters(clock.now()).items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        _label, condition = state_filters(clock.now()).get(str(self.value()), ("", Q()))
        return queryset.filter(condition)


class KindFilter(admin.SimpleListFilter):
    """Filter by kind; offers only kinds of which there are alerts."""

    title = gettext_lazy("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        used_kinds = Alert.objects.order_by().values_list("kind", flat=True).distinct()
        return sorted(((kind, str(Alert.Kind(kind).label)) for kind in used_kinds), key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """The list of alerts: one row for each cause and calendar period (see `billing.alerts.services`).

    Most alerts resolve automatically when their cause ends.
    """

    list_display = ("title", "severity_chip", "state", "details", "subject", "times", "last_raised")
    list_display_links = ("title",)
    list_filter = (StateFilter, "severity", KindFilter, "last_at")
    list_select_related = ("acknowledged_by",)
    ordering = ("-last_at",)
    search_fields = ("cause", "detail", "reference")
    actions = ("acknowledge", "snooze_hour", "snooze_tomorrow", "snooze_week", "resolve")

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("billing.change_alert")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        return super().get_queryset(request).prefetch_related("deliveries")

    def get_urls(self) -> list[URLPattern]:
        seen_path = path("seen/", self.admin_site.admin_view(require_POST(self.mark_seen)), name="billing_alert_seen")
        return [seen_path, *super().get_urls()]

    # Actions

    @admin.action(description=gettext_lazy("Mark as seen"), permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        actor = acting_operator(request)
        marked = self._apply(
            request, queryset, "acknowledged", lambda alert: alerts.acknowledge(alert_id=alert.pk, actor=actor)
        )
        self.message_user(request, ngettext("%(n)d alert marked.", "%(n)d alerts marked.", marked) % {"n": marked})

    @admin.action(description=gettext_lazy("Snooze for an hour"), permissions=["acknowledge"])
    def snooze_hour(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        self._snooze(request, queryset, clock.now() + timedelta(hours=1))

    @admin.action(description=gettext_lazy("Snooze until tomorrow morning"), permissions=["acknowledge"])
    def snooze_tomorrow(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        self._snooze(request, queryset, eight_in_the_morning(clock.now(), days=1))

    @admin.action(description=gettext_lazy("Snooze for a week"), permissions=["acknowledge"])
    def snooze_week(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        self._snooze(request, queryset, eight_in_the_morning(clock.now(), days=7))

    @admin.action(description=gettext_lazy("Mark as resolved"), permissions=["acknowledge"])
    def resolve(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        actor = acting_operator(request)
        manual = queryset.filter(kind__in=MANUAL_KINDS)
        resolved = self._apply(
            request,
            manual,
            "resolved by an operator",
            lambda alert: alerts.resolve_by_hand(alert_id=alert.pk, actor=actor),
        )
        message = ngettext("%(n)d alert resolved.", "%(n)d alerts resolved.", resolved) % {"n": resolved}
        if queryset.exclude(kind__in=MANUAL_KINDS).filter(resolved_at=None).exists():
            message += " " + _("Other alerts resolve automatically when their cause ends. Snooze them until then.")
        self.message_user(request, message)

    def mark_seen(self, request: HttpRequest) -> HttpResponse:
        """Mark the alerts that the banner showed as seen, and return to the page with the banner."""
        if not self.has_acknowledge_permission(request):
            raise PermissionDenied
        ids = [pk for text in request.POST.getlist("alert") if (pk := parse_row_number(text)) is not None]
        self.acknowledge(request, Alert.objects.filter(pk__in=ids))
        next_url = request.POST.get("next", "")
        is_local = url_has_allowed_host_and_scheme(next_url, {request.get_host()}, require_https=request.is_secure())
        return HttpResponseRedirect(next_url if is_local else reverse("admin:billing_alert_changelist"))

    def _snooze(self, request: HttpRequest, queryset: QuerySet[Alert], until: datetime) -> None:
        actor = acting_operator(request)
        snoozed = self._apply(
            request,
            queryset,
            f"snoozed until {until:%Y-%m-%d %H:%M} UTC",
            lambda alert: alerts.snooze(alert_id=alert.pk, actor=actor, until=until),
        )
        self.message_user(request, ngettext("%(n)d alert snoozed.", "%(n)d alerts snoozed.", snoozed) % {"n": snoozed})

    def _apply(
        self, request: HttpRequest, queryset: QuerySet[Alert], log_message: str, action: Callable[[Alert], bool]
    ) -> int:
        """Apply an action to each alert and log those that it changed; returns their number."""
        changed = 0
        for alert in queryset:
            if action(alert):
                self.log_change(request, alert, log_message)
                changed += 1
        return changed

    # The page of one alert

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one alert: what it means, what the site did, what to do, the notifications sent, and the buttons."""
        alert = self.get_object(request, unquote(object_id))
        if alert is None:
            raise Http404
        if not self.has_view_permission(request, alert):
            raise PermissionDenied
        action_url = action_path(alert)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": alert,
            "alert": alert,
            "title": alert.get_kind_display(),
            "entry": runbook_entry(alert),
            "subject": describe_subject(alert),
            "message": format_message(alert),
            "page": action_url if action_url != alert_path(alert) else "",
            "tone": TONES[Alert.Severity(alert.severity)],
            "state": self.state(alert),
            "deliveries": [(row, DELIVERY_TONES[AlertDelivery.State(row.state)]) for row in alert.deliveries.all()],
            "buttons": self.buttons(alert) if self.has_acknowledge_permission(request) else (),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/billing/alert.html", context)

    def buttons(self, alert: Alert) -> list[tuple[str, str]]:
        """The actions that apply to this alert, as pairs of name and label."""
        if alert.resolved_at is not None:
            return []
        names = ["snooze_hour", "snooze_tomorrow", "snooze_week"]
        if alert.acknowledged_at is None:
            names.insert(0, "acknowledge")
        if runbook_entry(alert).resolved_by_hand:
            names.append("resolve")
        return [(name, str(getattr(self, name).short_description)) for name in names]

    # Columns

    @admin.display(description=gettext_lazy("last at"), ordering="last_at")
    def last_raised(self, alert: Alert) -> SafeString:
        local = timezone.localtime(alert.last_at)
        return format_html(
            '<time class="num nowrap" datetime="{}">{}</time>', local.isoformat(), f"{local:%m-%d %H:%M}"
        )

    @admin.display(description=gettext_lazy("severity"), ordering="severity")
    def severity_chip(self, alert: Alert) -> SafeString:
        return chip(alert.get_severity_display(), TONES[Alert.Severity(alert.severity)])

    @admin.display(description=gettext_lazy("kind"), ordering="kind")
    def title(self, alert: Alert) -> SafeString:
        return format_html(
            '<span class="alert-title">{}</span><span class="xs muted alert-todo">{}</span>',
            alert.get_kind_display(),
            runbook_entry(alert).operator_action,
        )

    @admin.display(description=gettext_lazy("detail"))
    def details(self, alert: Alert) -> str:
        # The next column already links to the reference.
        text = format_message_as_text(alert) or (
            "" if alert.reference or action_path(alert) != alert_path(alert) else alert.cause
        )
        return Truncator(text).chars(100) or "–"

    @admin.display(description=gettext_lazy("reference"), ordering="reference")
    def subject(self, alert: Alert) -> SafeString | str:
        if alert.reference:
            return link_reference(alert.reference)
        url = action_path(alert)
        return "–" if url == alert_path(alert) else format_html('<a href="{}">{}</a>', url, _("Go to page"))

    @admin.display(description=gettext_lazy("times"), ordering="count")
    def times(self, alert: Alert) -> SafeString:
        return number_cell(alert.count)

    @admin.display(description=gettext_lazy("state"))
    def state(self, alert: Alert) -> SafeString:
        chips = [self._status_chip(alert)]
        if any(row.state == AlertDelivery.State.FAILED for row in alert.deliveries.all()):
            chips.append(chip(_("Not delivered"), "bad"))
        return format_html_join(" ", "{}", ((status,) for status in chips))

    def _status_chip(self, alert: Alert) -> SafeString:
        if alert.resolved_at is not None:
            return chip(_("Resolved"), "good")
        if alert.snoozed_until is not None and alert.snoozed_until > clock.now():
            return chip(_("Snoozed"))
        return chip(_("Seen")) if alert.acknowledged_at is not None else chip(_("Open"), "warn")


def eight_in_the_morning(at: datetime, *, days: int) -> datetime:
    """Eight in the morning, site time, of the day `days` later, so that a snooze does not end at midnight."""
    day = window_at(Period.DAY, at).local_start.date() + timedelta(days=days)
    return datetime.combine(day, SNOOZE_ENDS_AT, tzinfo=site_zone())

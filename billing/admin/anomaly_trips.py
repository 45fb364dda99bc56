"""Lists, read-only, what the spending monitor (`billing.guard.anomalies`) stopped because of unusual activity.

It stops a provider account or one user's new videos. Each stop is called a trip and is a row of WatchTrip.
"""

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.admin.base import ReadOnlyAdmin
from billing.admin.cells import chip, link_account, link_user, number_cell, time_cell
from billing.common.formatting import format_amount
from billing.models import WatchTrip


@admin.register(WatchTrip)
class WatchTripAdmin(ReadOnlyAdmin):
    """The stopped users and provider accounts, newest first: the measured and the usual value, and how the stop ended."""

    list_display = ("started", "kind", "subject", "measured_value", "usual_value", "outcome")
    list_display_links = None
    list_filter = ("kind",)
    list_select_related = ("account", "user")

    @admin.display(description=gettext_lazy("at"), ordering="at")
    def started(self, trip: WatchTrip) -> SafeString | str:
        return time_cell(trip.at)

    @admin.display(description=gettext_lazy("stopped"))
    def subject(self, trip: WatchTrip) -> SafeString | str:
        return link_user(trip.user) if trip.user else link_account(trip.account)

    @admin.display(description=gettext_lazy("seen"))
    def measured_value(self, trip: WatchTrip) -> SafeString:
        return number_cell(format_amount(trip.seen))

    @admin.display(description=gettext_lazy("usual"))
    def usual_value(self, trip: WatchTrip) -> SafeString:
        return number_cell(format_amount(trip.usual))

    @admin.display(description=gettext_lazy("ended"))
    def outcome(self, trip: WatchTrip) -> SafeString | str:
        if trip.ended_at is None:
            return chip(_("Still in force"), "warn")
        ended_by = _("by an operator") if trip.by_person else _("automatically")
        return format_html("{} {}", time_cell(trip.ended_at), ended_by)

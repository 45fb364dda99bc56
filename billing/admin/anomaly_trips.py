"""The stops that the spending monitor made, read-only."""

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.admin.base import ReadOnlyAdmin
from billing.admin.cells import account_link, chip, number_cell, person_link, time_cell
from billing.common.formatting import format_amount
from billing.models import WatchTrip


@admin.register(WatchTrip)
class WatchTripAdmin(ReadOnlyAdmin):
    """What the spending monitor stopped, newest first: the measured and the usual value, and how the stop ended."""

    list_display = ("began", "kind", "whom", "seen_here", "usual_here", "end")
    list_display_links = None
    list_filter = ("kind",)
    list_select_related = ("account", "user")

    @admin.display(description=gettext_lazy("at"), ordering="at")
    def began(self, trip: WatchTrip) -> SafeString | str:
        return time_cell(trip.at)

    @admin.display(description=gettext_lazy("stopped"))
    def whom(self, trip: WatchTrip) -> SafeString | str:
        return person_link(trip.user) if trip.user else account_link(trip.account)

    @admin.display(description=gettext_lazy("seen"))
    def seen_here(self, trip: WatchTrip) -> SafeString:
        return number_cell(format_amount(trip.seen))

    @admin.display(description=gettext_lazy("usual"))
    def usual_here(self, trip: WatchTrip) -> SafeString:
        return number_cell(format_amount(trip.usual))

    @admin.display(description=gettext_lazy("ended"))
    def end(self, trip: WatchTrip) -> SafeString | str:
        if trip.ended_at is None:
            return chip(_("Still in force"), "warn")
        how = _("by an operator") if trip.by_person else _("automatically")
        return format_html("{} {}", time_cell(trip.ended_at), how)

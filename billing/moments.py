"""Moments in sentences that people read, in their language and zone."""

from datetime import datetime

from django.utils import formats, timezone
from django.utils.translation import gettext as _

from accounts.doors import clock


def said(at: datetime) -> str:
    """The time alone when it is of today, else with its day."""
    local = timezone.localtime(at)
    time = formats.time_format(local, "TIME_FORMAT")
    if local.date() == timezone.localtime(clock.now()).date():
        return time
    return _("%(day)s, %(time)s") % {"day": formats.date_format(local, "MONTH_DAY_FORMAT"), "time": time}

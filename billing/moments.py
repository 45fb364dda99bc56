"""Moments in sentences that people read, in their language and zone."""

from datetime import datetime

from django.utils import formats, timezone

from accounts.doors import clock


def said(at: datetime) -> str:
    """The time alone when it is of today, else with its day."""
    local = timezone.localtime(at)
    time = formats.time_format(local, "TIME_FORMAT")
    if local.date() == timezone.localtime(clock.now()).date():
        return time
    return f"{formats.date_format(local, 'MONTH_DAY_FORMAT')}, {time}"

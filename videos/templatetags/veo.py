"""Template filters and tags about videos: durations, dates, prices, limits."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import template
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.seams import clock
from billing.common import formatting
from billing.models import LedgerEntry
from videos.models import VideoTask
from videos.ordering import catalogue, statement_lines, studio_options, user_limits
from videos.ordering.input_modes import RESOLUTION_LABELS

register = template.Library()


@register.filter
def duration(seconds: float | None) -> str:
    """A duration as text, such as `55 s`, `1 min 10 s` or `3 h 5 min`."""
    if seconds is None:
        return ""
    total_s = max(0, round(seconds))
    hours, minutes, remaining_s = total_s // 3600, total_s // 60 % 60, total_s % 60
    if hours:
        return _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": minutes}
    if minutes and remaining_s:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": remaining_s}
    return _("%(minutes)d min") % {"minutes": minutes} if minutes else _("%(seconds)d s") % {"seconds": remaining_s}


@register.filter
def approximate(seconds: float | None) -> str:
    """An estimated duration, rounded to 5 s below three minutes and to whole minutes above."""
    if seconds is None:
        return ""
    return duration(max(5, round(seconds / 5) * 5) if seconds < 180 else round(seconds / 60) * 60)


@register.filter
def player_time(seconds: float | None) -> str:
    """A duration as a video player shows it, such as `0:47` or `1:02:03`."""
    total_s = max(0, int(seconds or 0))
    hours, minutes, remaining_s = total_s // 3600, total_s // 60 % 60, total_s % 60
    return f"{hours}:{minutes:02}:{remaining_s:02}" if hours else f"{minutes}:{remaining_s:02}"


register.filter("signed", formatting.format_signed)


@register.filter
def short_date(at: datetime) -> str:
    """Day and time, without the year if it is the current one."""
    local = timezone.localtime(at)
    style = "MONTH_DAY_FORMAT" if local.year == timezone.localtime(clock.now()).year else "DATE_FORMAT"
    return f"{formats.date_format(local, style)} {local:%H:%M}"


@register.filter
def moment(at: datetime) -> str:
    """A future time, without the day if it is today."""
    return formatting.format_moment(at)


@register.filter
def model_title(name: str) -> str:
    """A model's brand name."""
    return catalogue.model_title(name)


@register.filter
def resolution_title(name: str) -> str:
    """A resolution as it is shown: `4K` for `4k`."""
    return RESOLUTION_LABELS.get(name, name)


@register.simple_tag
def user_limits_of(user: User) -> user_limits.UserLimits:
    """The user's limits, and how much of them is used."""
    return user_limits.get_limits(user)


@register.simple_tag
def price_table() -> dict[str, Any]:
    """What a video costs now: `resolutions`, and `rows` with a model's title and its price at each resolution."""
    return {"resolutions": list(RESOLUTION_LABELS.values()), "rows": studio_options.list_price_rows()}


@register.simple_tag
def videos_of_entries(entries: Iterable[LedgerEntry]) -> dict[str, VideoTask]:
    """The videos that these ledger entries refer to, by reference, read in one query. Deleted videos are left out."""
    return statement_lines.find_videos({entry.reference for entry in entries})


@register.filter
def get_item(mapping: dict[str, object], key: str) -> object:
    """`mapping[key]`, or None if the key is missing; templates have no syntax for a variable key."""
    return mapping.get(key)

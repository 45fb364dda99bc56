"""Template filters and tags for the operators' pages."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from urllib.parse import urlsplit

from django import template
from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst

from billing.admin.cells import link_reference
from billing.alerts.messages import format_message_as_text
from billing.common.formatting import format_amount
from billing.models import Alert
from videos.actions import operator as operator_actions
from videos.models import VideoTask

register = template.Library()

# The tone, which sets the colour, of each severity.
TONES: dict[str, str] = {
    Alert.Severity.INFO: "info",
    Alert.Severity.WARNING: "warn",
    Alert.Severity.CRITICAL: "bad",
}

_HISTORY_TIMES = (
    "created_at",
    "submitted_at",
    "generating_at",
    "provider_done_at",
    "delayed_at",
    "finished_at",
    "late_at",
    "deleted_at",
)
_SCHEDULE_TIMES = ("due_at", "lease_until", "wait_until", "trouble_since")


@register.filter
def provider_credits(value: Decimal | None) -> str:
    """An amount of provider credits as text, such as `60` or `37.5`; a dash if it is unknown."""
    return format_amount(value)


@register.filter
def severity_tone(alert: Alert) -> str:
    """The tone (colour) of the label that shows an alert's severity; empty for a resolved alert."""
    return "" if alert.resolved_at else TONES[alert.severity]


@register.filter
def alert_details(alert: Alert) -> str:
    """The details of an alert, in the reader's language."""
    return format_message_as_text(alert)


@register.filter
def reference_as_link(reference: str) -> str:
    """A reference, as a link if operators have a page for it."""
    return link_reference(reference)


@register.filter
def without_query(url: str) -> str:
    """A URL without its query, which may hold a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


@register.filter
def shorten(text: str, length: int) -> str:
    """The first `length` characters, and how many were left out."""
    return text if len(text) <= length else f"{text[:length]}… (+{len(text) - length})"


@register.filter
def list_times(task: VideoTask) -> Iterator[tuple[str, datetime]]:
    """The names and values of the task's times that are set; scheduling times only while it is unfinished."""
    for name in _HISTORY_TIMES if task.is_final else _HISTORY_TIMES + _SCHEDULE_TIMES:
        at = getattr(task, name)
        if at is not None:
            yield capfirst(str(VideoTask._meta.get_field(name).verbose_name)), at  # type: ignore[union-attr]


@register.filter
def may_retry_download(task: VideoTask) -> bool:
    """Whether the task has files that can be fetched again."""
    return operator_actions.can_retry_download(task)


@register.simple_tag
def admin_url(row: Model) -> str:
    """The URL of this row's admin page; empty if its table has none."""
    try:
        return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    except NoReverseMatch:
        return ""

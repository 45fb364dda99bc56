"""Small words for the operators' pages."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from urllib.parse import urlsplit

from django import template
from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst

from billing.admin.reading import reference_link
from billing.alerts.messages import format_detail
from billing.models import Alert
from videos.actions import operator as operator_actions
from videos.lifecycle.costs import amount
from videos.models import VideoTask

register = template.Library()

TONES: dict[str, str] = {
    Alert.Severity.INFO: "info",
    Alert.Severity.WARNING: "warn",
    Alert.Severity.CRITICAL: "bad",
}

_TIMES = (
    "created_at",
    "submitted_at",
    "generating_at",
    "provider_done_at",
    "delayed_at",
    "finished_at",
    "late_at",
    "deleted_at",
)
_NEXT = ("due_at", "lease_until", "wait_until", "trouble_since")


@register.filter
def provider_credits(value: Decimal | None) -> str:
    """`60`, `37.5`, or a dash for what is not known."""
    return amount(value)


@register.filter
def severity_tone(alert: Alert) -> str:
    """The tone of an alert's chip; an alert that is over speaks softly."""
    return "" if alert.resolved_at else TONES[alert.severity]


@register.filter
def told(alert: Alert) -> str:
    """What an alert says of its own case, in the reader's language."""
    return format_detail(alert)


@register.filter
def reference_page(reference: str) -> str:
    """What a reference names, as a link where operators have a page of it."""
    return reference_link(reference)


@register.filter
def bare_address(url: str) -> str:
    """An address without its query, which may hold a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


@register.filter
def bounded(text: str, length: int) -> str:
    """At most so many characters, and how many more there were."""
    return text if len(text) <= length else f"{text[:length]}… (+{len(text) - length})"


@register.filter
def times(task: VideoTask) -> Iterator[tuple[str, datetime]]:
    """The task's times that are known, by name; when to look next only while it is on its way."""
    for name in _TIMES if task.is_final else _TIMES + _NEXT:
        at = getattr(task, name)
        if at is not None:
            yield capfirst(str(VideoTask._meta.get_field(name).verbose_name)), at  # type: ignore[union-attr]


@register.filter
def may_retry_download(task: VideoTask) -> bool:
    """Whether fetching its files again may mend it."""
    return operator_actions.can_retry_download(task)


@register.simple_tag
def operators_link(row: Model) -> str:
    """Where operators read this row; nothing when its table has no page."""
    try:
        return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    except NoReverseMatch:
        return ""

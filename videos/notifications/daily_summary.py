"""The operators' daily mail with yesterday's figures.

Each day's mail is sent once to each address, by the worker that claims it (`billing.reports.summary_schedule`).
"""

import logging
from datetime import date
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.functional import SimpleLazyObject

from billing.common.periods import site_zone
from billing.reports import daily_summary, summary_schedule
from videos.notifications import alert_delivery, summary_text
from videos.notifications.daily_failures import find_failures

log = logging.getLogger(__name__)


def send_due() -> int:
    """Claim and send the summary that is due; returns how many addresses it reached."""
    row = summary_schedule.claim()
    if row is None:
        return 0
    reached, error = 0, ""
    for address in list(row.waiting):
        if error_text := send(row.day, address):
            error = error_text
        else:
            summary_schedule.record_delivery(row, address)
            reached += 1
    if row.waiting:
        summary_schedule.record_failure(row, error)
    return reached


def send(day: date, address: str) -> str:
    """Mail the summary of `day` to one address; returns "" if the server accepted it, otherwise the error."""
    try:
        alert_delivery.mail_operator(address, "daily_summary", template_values(day))
    except OSError as problem:
        error = alert_delivery.describe_smtp_error(problem)
        log.warning("daily summary of %s not sent: %s", day, error)
        return error
    return ""


def render_text(day: date) -> str:
    """The summary of `day` as plain text in the site's language, for a terminal."""
    with translation.override(settings.LANGUAGE_CODE), timezone.override(site_zone()):
        return render_to_string("mail/daily_summary.txt", {**template_values(day), "app_url": settings.APP_URL}).strip()


def template_values(day: date) -> dict[str, Any]:
    """The template variables; the figures are read and formatted during rendering, in the recipient's language."""
    sections = SimpleLazyObject(
        lambda: summary_text.build_sections(daily_summary.build_summary(day), find_failures(day))
    )
    return {
        "day": day,
        "sections": sections,
        "headline": SimpleLazyObject(lambda: summary_text.format_headline(list(sections))),
        "page": f"{settings.APP_URL}{reverse('admin:index')}",
    }

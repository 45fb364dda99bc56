"""The admin's list of callbacks as they were received, whether from the provider or from somebody else.

A callback is a request to our callback URL, saying that the provider has finished a task. Its verdict says what we did
with it (`CallbackReceipt.Verdict`).
"""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from billing.admin.base import ReadOnlyAdmin
from billing.admin.cells import chip
from videos.models import CallbackReceipt

Verdict = CallbackReceipt.Verdict

# The colour in which each verdict is shown.
TONES: dict[str, str] = {
    Verdict.USED: "good",
    Verdict.PENDING: "info",
    Verdict.MALFORMED: "warn",
    Verdict.ORPHAN: "warn",
    Verdict.REJECTED: "bad",
    Verdict.BAD_SIGNATURE: "bad",
}


@admin.register(CallbackReceipt)
class CallbackReceiptAdmin(ReadOnlyAdmin):
    """Every distinct callback, with how often it was received. Bodies are untrusted and shown as plain text."""

    list_display = ("received_at", "verdict_chip", "video", "provider_task_id", "signed", "times", "problem")
    list_filter = ("verdict", "signed", "received_at")
    search_fields = ("=provider_task_id", "=body_sha256", "problem")
    search_help_text = _("Provider task ID, sha256 of the body, or words of the problem")
    ordering = ("-received_at", "-id")
    fields = (
        "video",
        "verdict_chip",
        "problem",
        "provider_task_id",
        "signed",
        "times",
        "received_at",
        "last_at",
        "content_type",
        "body_sha256",
        "body_text",
    )
    readonly_fields = fields

    @admin.display(description=_("verdict"), ordering="verdict")
    def verdict_chip(self, receipt: CallbackReceipt) -> SafeString:
        return chip(receipt.get_verdict_display(), TONES.get(receipt.verdict, ""))

    @admin.display(description=_("video"))
    def video(self, receipt: CallbackReceipt) -> SafeString | str:
        if receipt.task_id is None:
            return "–"
        url = reverse("admin:videos_videotask_change", args=[receipt.task_id])
        return format_html('<a href="{}">{}</a>', url, str(receipt.task_id).partition("-")[0].upper())

    @admin.display(description=_("body"))
    def body_text(self, receipt: CallbackReceipt) -> SafeString:
        return format_html('<pre class="raw">{}</pre>', receipt.body)

"""What an operator may read and nobody may edit."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.models import User


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that only acts write: no adding, no editing, no deleting."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def chip(word: Any, tone: str = "") -> SafeString:
    """A state's word in its tone."""
    return format_html('<span class="chip{}">{}</span>', f" chip-{tone}" if tone else "", word)


def operator_of(request: HttpRequest) -> User:
    """Who is acting; the operators' site lets nobody in without an account."""
    if not isinstance(request.user, User):
        raise TypeError("an act needs its operator")
    return request.user

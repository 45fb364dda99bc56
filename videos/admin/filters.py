"""Filters and search of the admin's video list."""

import re
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from billing.common.form_fields import parse_row_number
from videos.models import VideoFile, VideoTask
from videos.ordering import catalogue
from videos.ordering.input_modes import RESOLUTION_LABELS
from videos.presentation.timeline import FAILURES

Status = VideoTask.Status

# Conditions that may need an operator's attention: the label and the filter, by the value used in the list's URL.
ATTENTION: dict[str, tuple[Promise, Q]] = {
    "unconfirmed": (_("Unconfirmed"), Q(status=Status.UNCONFIRMED)),
    "delayed": (_("Delayed"), Q(status__in=VideoTask.LIVE, delayed_at__isnull=False)),
    "odd": (_("Unexpected answers"), Q(status__in=VideoTask.LIVE, trouble_since__isnull=False)),
    "unsaved": (
        _("Generated, not saved yet"),
        Q(status=Status.DOWNLOADING)
        | Q(status=Status.FAILED, files__state__in=[VideoFile.State.PENDING, VideoFile.State.LOST]),
    ),
    "late": (_("Arrived after the refund"), Q(late_at__isnull=False)),
}


class AttentionFilter(admin.SimpleListFilter):
    """Videos that may need an operator."""

    title = _("attention")
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(code, str(label)) for code, (label, _condition) in ATTENTION.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        label_and_condition = ATTENTION.get(self.value() or "")
        return queryset.filter(label_and_condition[1]).distinct() if label_and_condition else queryset


class ModelFilter(admin.SimpleListFilter):
    """Videos of one model. The choices come from the catalogue, because listing those in use would read all rows."""

    title = _("model")
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(model.name, model.title) for model in catalogue.CATALOGUE]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        return queryset.filter(model=self.value()) if self.value() else queryset


class ResolutionFilter(admin.SimpleListFilter):
    """Videos of one resolution. The choices come from the catalogue, for the same reason as those of ModelFilter."""

    title = _("resolution")
    parameter_name = "resolution"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        return list(RESOLUTION_LABELS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        return queryset.filter(resolution=self.value()) if self.value() else queryset


class FailureFilter(admin.SimpleListFilter):
    """Videos that failed for one of the known reasons, which are listed with the texts that users read."""

    title = _("failure reason")
    parameter_name = "failure"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        return [(code, str(failure.reason)) for code, failure in FAILURES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        return queryset.filter(status=Status.FAILED, failure_code=self.value()) if self.value() else queryset


class UserFilter(admin.SimpleListFilter):
    """Videos of one user. The user comes from a link on another page, because a list of all users would be too long."""

    title = _("user")
    parameter_name = "person"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        value = self.value() or ""
        user_id = parse_row_number(value)
        user = User.objects.filter(pk=user_id).first() if user_id is not None else None
        return [(value, user.email)] if user else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        return queryset.filter(user_id=self.value()) if self.lookup_choices else queryset


def search_tasks(tasks: QuerySet[VideoTask], term: str) -> QuerySet[VideoTask]:
    """The tasks that match `term`.

    It may be our ID of the task or the ID's first eight characters, the provider's task ID, or a part of the prompt or
    of the owner's e-mail address.
    """
    term = term.strip()
    if not term:
        return tasks
    condition = Q(provider_task_id=term) | Q(user__email__icontains=term) | Q(prompt__icontains=term)
    try:
        condition |= Q(pk=UUID(term.removeprefix("video:")))
    except ValueError:
        if re.fullmatch("[0-9a-fA-F]{8}", term):
            condition |= Q(pk__gte=UUID(term + "0" * 24), pk__lte=UUID(term + "f" * 24))
    return tasks.filter(condition)

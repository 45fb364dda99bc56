"""Lists of the operators' site that answer whatever their address says."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import QuerySet
from django.http import HttpRequest


@contextmanager
def _as_asked() -> Iterator[None]:
    """Years that no calendar has, signs that no database keeps: a wrong address, as the admin itself says of others."""
    try:
        yield
    except (ValueError, OverflowError, ValidationError, DataError) as error:
        raise IncorrectLookupParameters(error) from error


class AnsweringList(ChangeList):
    """A list whose address may say anything: what makes no sense leads to the list with nothing left out."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        with _as_asked():
            return super().get_queryset(request, exclude_parameters)

    def get_results(self, request: HttpRequest) -> None:
        with _as_asked():
            super().get_results(request)


class AnsweringAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The base of every table of the operators' site."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return AnsweringList

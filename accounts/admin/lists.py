"""The base class of every table in the admin. Its list page tolerates malformed filters in the URL."""

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

from accounts.models import User


@contextmanager
def _reject_invalid_lookups() -> Iterator[None]:
    """Convert errors about invalid values in the URL into the error on which the admin drops all filters."""
    try:
        yield
    except (ValueError, OverflowError, ValidationError, DataError) as error:
        raise IncorrectLookupParameters(error) from error


class TolerantChangeList(ChangeList):
    """A list that shows all rows if a filter in its URL has an invalid value."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        with _reject_invalid_lookups():
            return super().get_queryset(request, exclude_parameters)

    def get_results(self, request: HttpRequest) -> None:
        with _reject_invalid_lookups():
            super().get_results(request)


class TolerantModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The base class of every table in the admin."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TolerantChangeList


def get_operator(request: HttpRequest) -> User:
    """The signed-in operator. Raises TypeError for anyone else, whom the admin site has already refused."""
    if not isinstance(request.user, User):
        raise TypeError("the admin site admits only users with an account")
    return request.user

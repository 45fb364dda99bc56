"""Failed jobs of django-q2, read-only. The admin pages of django-q2 would let staff run any function by its name."""

from django.contrib import admin
from django_q.models import Failure, OrmQ, Schedule, Success

from billing.admin.base import ReadOnlyAdmin

for model in (Schedule, Success, Failure, OrmQ):
    admin.site.unregister(model)


@admin.register(Failure)
class FailureAdmin(ReadOnlyAdmin):
    """A job that raised an error. Its work is not lost: the sweep finds all pending work in the tables."""

    list_display = ("func", "started", "stopped")
    search_fields = ("func",)
    fields = ("func", "started", "stopped", "result")

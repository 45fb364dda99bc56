"""Jobs of django-q2 as operators see them: what failed, to read. Its own pages would let staff run any function by name."""

from django.contrib import admin
from django_q.models import Failure, OrmQ, Schedule, Success

from billing.admin.reading import ReadOnlyAdmin

for model in (Schedule, Success, Failure, OrmQ):
    admin.site.unregister(model)


@admin.register(Failure)
class FailureAdmin(ReadOnlyAdmin):
    """A job that ended in an error. Nothing is lost by it: the sweep derives all work from the rows."""

    list_display = ("func", "started", "stopped")
    search_fields = ("func",)
    fields = ("func", "started", "stopped", "result")

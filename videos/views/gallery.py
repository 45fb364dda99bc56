"""The gallery: a user's videos, newest first, filtered by state and search words; unfinished ones update live."""

from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from django_htmx.http import HTMX_STOP_POLLING

from accounts.seams import clock
from videos.models import VideoTask
from videos.presentation.tiles import summarize_video
from videos.views.access import PageRequest, sign_in_required, signed_in_user

PAGE_SIZE = 24
Status = VideoTask.Status

FILTERS = {
    "": (_("All"), Q()),
    "live": (_("In progress"), Q(status__in=VideoTask.LIVE)),
    "ready": (_("Ready"), Q(status=Status.READY) | Q(late_at__isnull=False)),
    "failed": (_("Failed or cancelled"), Q(status__in=[Status.FAILED, Status.CANCELLED], late_at=None)),
}


@sign_in_required
@require_safe
def gallery(request: PageRequest) -> HttpResponse:
    state = request.GET.get("state", "")
    state = state if state in FILTERS else ""
    # Databases store no NUL character and refuse it in a query.
    query = request.GET.get("q", "").replace("\0", " ").strip()[:200]
    tasks = VideoTask.objects.filter(FILTERS[state][1], user=signed_in_user(request), deleted_at=None)
    for word in query.split():
        tasks = tasks.filter(prompt__icontains=word)
    if request.htmx:
        return _render_live(request, VideoTask.objects.filter(user=signed_in_user(request), deleted_at=None))
    page = list(_page_after(tasks, request.GET.get("before", "")).prefetch_related("files")[: PAGE_SIZE + 1])
    at = clock.now()
    videos = [summarize_video(task, at=at) for task in page[:PAGE_SIZE]]
    return render(
        request,
        "videos/gallery.html",
        {
            "videos": videos,
            "live_ids": [video.id for video in videos if video.is_live],
            "filters": [(key, label, key == state) for key, (label, _condition) in FILTERS.items()],
            "state": state,
            "q": query,
            "older_cursor": _cursor(page[PAGE_SIZE - 1]) if len(page) > PAGE_SIZE else "",
            "has_newer": bool(request.GET.get("before")),
            "has_any": bool(videos) or VideoTask.objects.filter(user=signed_in_user(request), deleted_at=None).exists(),
        },
    )


def _render_live(request: PageRequest, tasks: QuerySet[VideoTask]) -> HttpResponse:
    """The tiles that were unfinished at the last poll; the last response stops the polling."""
    ids = [task_id for value in request.GET.getlist("live")[:PAGE_SIZE] if (task_id := _parse_uuid(value))]
    at = clock.now()
    videos = [summarize_video(task, at=at) for task in tasks.filter(pk__in=ids).prefetch_related("files")]
    live_ids = [video.id for video in videos if video.is_live]
    return render(
        request,
        "videos/_gallery_live.html",
        {"videos": videos, "live_ids": live_ids},
        status=200 if live_ids else HTMX_STOP_POLLING,
    )


def _cursor(task: VideoTask) -> str:
    return f"{task.created_at.isoformat()}_{task.pk}"


def _page_after(tasks: QuerySet[VideoTask], cursor: str) -> QuerySet[VideoTask]:
    """The tasks older than the cursor, which names the last task of a page; all of them if the cursor is invalid."""
    tasks = tasks.order_by("-created_at", "-pk")
    timestamp, _separator, id_text = cursor.partition("_")
    task_id = _parse_uuid(id_text)
    try:
        at = datetime.fromisoformat(timestamp)
    except ValueError:
        return tasks
    if task_id is None or at.tzinfo is None:
        return tasks
    return tasks.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lt=task_id))


def _parse_uuid(value: str) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:
        return None

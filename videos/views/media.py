"""Users' private files: videos, posters and images, for their owner and for operators; everybody else gets a 404."""

import logging
import re
import unicodedata
from urllib.parse import quote
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from billing.alerts import services as alerts
from videos.models import SourceImage, VideoFile
from videos.storage.serving import StoredObject, serve

log = logging.getLogger(__name__)

# How long browsers may cache a video.
VIDEO_AGE_S = 3600
# Posters and images are cached longer, because the file at their URL never changes.
IMAGE_AGE_S = 7 * 24 * 3600
TITLE_LENGTH = 60


@require_safe
@login_required
def video_file(request: HttpRequest, task_id: UUID) -> HttpResponseBase:
    """The video file, also in parts (range requests). The response is 410 if the file was deleted.

    `?download=1` makes browsers save it; `?index=1` selects the second result if the provider made several.
    """
    file = _get_file(request, task_id)
    if file.state == VideoFile.State.DELETED:
        return _deleted_response()
    stored = StoredObject(
        name=file.name,
        mime_type="video/mp4",
        tag=file.sha256,
        last_modified=file.stored_at or file.created_at,
        disposition=content_disposition(_title(file), suffix=".mp4", attached=bool(request.GET.get("download"))),
        max_age_s=VIDEO_AGE_S,
    )
    return _serve(request, stored, reference=file.task.reference)


@require_safe
@login_required
def poster(request: HttpRequest, task_id: UUID) -> HttpResponseBase:
    """The video's poster (a still picture shown until it plays), with `?index=` as above; 410 if it was deleted."""
    file = _get_file(request, task_id)
    if file.state == VideoFile.State.DELETED:
        return _deleted_response()
    stored = StoredObject(
        name=file.poster_name,
        mime_type="image/webp",
        tag=f"{file.sha256}-poster",
        last_modified=file.stored_at or file.created_at,
        disposition=content_disposition(_title(file), suffix=".webp", attached=False),
        max_age_s=IMAGE_AGE_S,
    )
    return _serve(request, stored, reference=file.task.reference)


@require_safe
@login_required
def image(request: HttpRequest, image_id: UUID) -> HttpResponseBase:
    """An image that a user uploaded."""
    source_image = SourceImage.objects.filter(pk=image_id).first()
    if source_image is None or not _can_view(request, source_image.user_id):
        raise Http404
    stored = StoredObject(
        name=source_image.name,
        mime_type=source_image.mime_type,
        tag=source_image.sha256,
        last_modified=source_image.created_at,
        disposition="inline",
        max_age_s=IMAGE_AGE_S,
    )
    return _serve(request, stored, reference=f"image:{source_image.pk}")


def content_disposition(title: str, *, suffix: str, attached: bool) -> str:
    """Content-Disposition by RFC 6266: the title as a file name, in ASCII for old clients and in UTF-8 for others."""
    utf8_name = _file_name(title) + suffix
    ascii_name = _file_name(unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode("ascii")) + suffix
    kind = "attachment" if attached else "inline"
    return f"{kind}; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(utf8_name, safe='')}"


def _file_name(title: str) -> str:
    """Letters, digits and hyphens only, which are safe in headers, shells and file systems."""
    name = re.sub(r"[^\w]+|_+", "-", unicodedata.normalize("NFC", title))
    return name[:TITLE_LENGTH].strip("-") or "video"


def _title(file: VideoFile) -> str:
    return f"{file.task.prompt[:TITLE_LENGTH]} {file.index + 1}" if file.index else file.task.prompt


def _get_file(request: HttpRequest, task_id: UUID) -> VideoFile:
    """The requested file, stored or deleted. Raises Http404 if it is not stored yet or this user may not see it."""
    index = request.GET.get("index", "0")
    if not re.fullmatch(r"[0-9]{1,3}", index):
        raise Http404
    file = VideoFile.objects.select_related("task").filter(task=task_id, index=int(index)).first()
    if file is None or not _can_view(request, file.task.user_id):
        raise Http404
    if file.state not in (VideoFile.State.STORED, VideoFile.State.DELETED):
        raise Http404
    return file


def _can_view(request: HttpRequest, owner_id: int) -> bool:
    user = request.user
    return user.pk == owner_id or (user.is_staff and user.has_perm("videos.view_videotask"))


def _deleted_response() -> HttpResponse:
    return HttpResponse(_("This video was deleted."), content_type="text/plain; charset=utf-8", status=410)


def _serve(request: HttpRequest, stored: StoredObject, *, reference: str) -> HttpResponseBase:
    try:
        return serve(request, stored)
    except OSError as problem:
        # The row says that the file is stored, so the operator must learn that it cannot be opened.
        log.exception("a stored file of %s cannot be opened", reference)
        # `say` names sentences of `billing.alerts.messages`; `words` is quoted after them.
        facts = {"say": ["unreadable"], "words": type(problem).__name__}
        alerts.raise_alert(alerts.Kind.STORAGE, cause="missing", facts=facts, reference=reference)
        raise Http404 from problem

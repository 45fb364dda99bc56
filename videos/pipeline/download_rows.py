"""The rows of files that are being downloaded: which worker has claimed one, when it is retried, when it is given up.

A claim lasts until `lease_until` by the database's clock and raises the row's `fence` number. Every later write requires
that number (`owned_row`), so a worker whose claim was taken over changes nothing.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet

from accounts.seams import clock, randomness
from billing.alerts import grouping as alert_grouping
from billing.alerts import services as alerts
from videos.lifecycle import alerts as task_alerts
from videos.lifecycle import deadlines
from videos.lifecycle import status_changes as lifecycle
from videos.models import VideoFile, VideoTask
from videos.pipeline import result_links
from videos.pipeline.video_probe import InvalidVideo
from videos.providers.http.download_errors import FetchError, ForbiddenAddress, Interrupted, LinkExpired, Missing
from videos.storage import media_store, partial_downloads

log = logging.getLogger(__name__)

State = VideoFile.State

LEASE = timedelta(minutes=5)
BACKOFF_S = (30, 60, 120, 300, 600, 1800)
LONG_WAIT_S = 3600
ALERT_AFTER_ATTEMPTS = 5


def list_due_ids(*, limit: int) -> list[int]:
    """The ids of the files to be downloaded now; the file that has been due longest comes first."""
    at = clock.database_now()
    due = VideoFile.objects.filter(_is_free(at), state=State.PENDING, due_at__lte=at).order_by("due_at")
    return list(due.values_list("pk", flat=True)[:limit])


def claim(file_id: int) -> VideoFile | None:
    """Claim a pending file for the time LEASE, even if it is not due; None if another worker has claimed it."""
    file = VideoFile.objects.select_related("task__account").filter(pk=file_id, state=State.PENDING).first()
    if file is None:
        return None
    at = clock.database_now()
    has_dead_worker = file.lease_until is not None
    claimed = VideoFile.objects.filter(_is_free(at), pk=file_id, state=State.PENDING, fence=file.fence).update(
        fence=F("fence") + 1, attempts=F("attempts") + 1, lease_until=at + LEASE, due_at=at + LEASE
    )
    if not claimed:
        return None
    file.fence, file.attempts = file.fence + 1, file.attempts + 1
    if has_dead_worker and file.attempts > ALERT_AFTER_ATTEMPTS:
        _alert_download_problem(file, "download_died")
    return file


def owned_row(file: VideoFile) -> QuerySet[VideoFile]:
    """The file's row, or no row if this attempt no longer holds it."""
    return VideoFile.objects.filter(pk=file.pk, fence=file.fence, state=State.PENDING)


def postpone(file: VideoFile, error: str, *, wait_s: float) -> None:
    """End this attempt at the download; the next attempt begins after about `wait_s` seconds."""
    due_at = clock.database_now() + timedelta(seconds=randomness.jitter(wait_s))
    # A fresh link works for 20 minutes only, so it is requested when needed and not kept.
    owned_row(file).update(
        due_at=due_at, lease_until=None, last_error=error[:300], source_url=file.source_url, fetch_url=""
    )


def reschedule(file: VideoFile, problem: Exception) -> None:
    """Schedule the next attempt at a file that could not be fetched, or give it up after the deadline.

    Bytes already fetched are kept if the download can be resumed.
    """
    wait_s: float = BACKOFF_S[file.attempts - 1] if file.attempts <= len(BACKOFF_S) else LONG_WAIT_S
    if isinstance(problem, ForbiddenAddress):
        alert_forbidden(file, problem)
    if isinstance(problem, FetchError) and not problem.transient:
        wait_s = LONG_WAIT_S
    if isinstance(problem, Missing | LinkExpired):
        file.source_url = result_links.find_new_url(file) or file.source_url
    part = partial_downloads.PartialFile()
    if isinstance(problem, Interrupted):
        part = partial_downloads.PartialFile(problem.got_bytes, problem.etag)
    try:
        with media_store.storage_errors("keeping a partial download"):
            partial_downloads.close(file, part=part)
    except media_store.StorageError as error:
        log.warning("the partial download of %s cannot be resumed: %s", file, error)
    if _is_past_deadline(file):
        _mark_lost(file, problem)
        return
    postpone(file, _describe(problem), wait_s=wait_s)
    if file.attempts >= ALERT_AFTER_ATTEMPTS:
        _alert_download_problem(file, "download_failed", _describe(problem))


def alert_forbidden(file: VideoFile, problem: ForbiddenAddress) -> None:
    """Alert operators that a result's URL is not allowed, so it is not fetched."""
    alert_grouping.raise_job_alert(alerts.Kind.FORBIDDEN_ADDRESS, reference=file.task.reference, detail=problem.detail)


def _is_free(at: datetime) -> Q:
    return Q(lease_until=None) | Q(lease_until__lte=at)


def _is_past_deadline(file: VideoFile) -> bool:
    return clock.database_now() >= (file.task.provider_done_at or file.created_at) + deadlines.DOWNLOAD_GIVE_UP_AFTER


def _mark_lost(file: VideoFile, problem: Exception) -> None:
    with transaction.atomic():
        VideoTask.objects.select_for_update().get(pk=file.task_id)
        is_lost = owned_row(file).update(
            state=State.LOST, lease_until=None, last_error=_describe(problem)[:300], fetch_url=""
        )
        if is_lost:
            lifecycle.give_up(
                task_id=file.task_id, from_=VideoTask.Status.DOWNLOADING, code="no_file", detail=_describe(problem)
            )
    if is_lost:
        file.task.refresh_from_db()
        _alert_download_problem(file, "download_lost", _describe(problem))


def _alert_download_problem(file: VideoFile, say: str, error: str = "") -> None:
    facts = {"say": [say], "attempts": file.attempts, "words": error}
    task_alerts.raise_alert(file.task, alerts.Kind.DOWNLOAD_FAILED, facts=facts)


def _describe(problem: Exception) -> str:
    """What went wrong, without URLs, because URLs contain signatures."""
    if isinstance(problem, FetchError):
        return f"{problem.code}: {problem.detail}"
    return str(problem) if isinstance(problem, InvalidVideo) else type(problem).__name__

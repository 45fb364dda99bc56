"""Downloads results: from the provider's URL to a checked video in our storage. Any step may run twice.

    claimed -> fetched -> checked -> intended -> moved -> committed

The new name and the video's properties are written to the VideoFile row (*intended*) before the file moves into the
storage (*moved*). After a crash the next attempt finds the complete file under that name and keeps it, or fetches the
video again. *Committed* means that the row says "stored". A task with several results becomes ready once all of them
are stored.
"""

import logging
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts.seams import clock, failpoints
from billing.alerts import services as alerts
from videos.lifecycle import status_changes as lifecycle
from videos.lifecycle import verdicts
from videos.models import TaskEvent, VideoFile, VideoTask
from videos.pipeline import concurrency, download_rows, result_links, video_probe
from videos.pipeline.download_rows import LEASE, owned_row
from videos.pipeline.video_probe import InvalidVideo, VideoFacts, probe
from videos.providers.http.download import AllowList, FetchLimits, fetch
from videos.providers.http.download_errors import FetchError, ForbiddenAddress, LinkExpired, Missing
from videos.storage import media_store, partial_downloads

log = logging.getLogger(__name__)

State = VideoFile.State

# Shorter than the time limit of a job, and than the time for which a worker claims a file (`download_rows.LEASE`).
ATTEMPT_S = 240.0
MAX_BYTES = 2 << 30
# A download slower than this over SPEED_WINDOW_S is aborted.
MIN_BYTES_PER_S = 20 << 10
SPEED_WINDOW_S = 20.0
STORAGE_WAIT_S = 60

HEIGHTS = {"720p": 720, "1080p": 1080, "4k": 2160}


class Overtaken(Exception):
    """Another worker has taken over the file, or its owner has deleted it: this attempt must write nothing."""


def download_due(*, limit: int = 4) -> int:
    """Try to download at most `limit` due files, in parallel; returns how many were tried."""
    # More than needed, because other workers may claim some of them first.
    file_ids = download_rows.list_due_ids(limit=limit * 4)
    claimed = filter(None, map(download_rows.claim, file_ids))
    return concurrency.run_each(_run_attempt, islice(claimed, limit))


def download(file_id: int) -> bool:
    """Try once to download one file, even if it is not due; False if another worker is downloading it."""
    file = download_rows.claim(file_id)
    if file is None:
        return False
    _run_attempt(file)
    return True


def retry(*, task_id: UUID) -> int:
    """Make the missing files of a task due now, even files that were given up; returns how many. For operators."""
    at = clock.database_now()
    missing = VideoFile.objects.filter(task_id=task_id, state__in=[State.PENDING, State.LOST])
    return missing.update(state=State.PENDING, due_at=at)


def _run_attempt(file: VideoFile) -> None:
    failpoints.reach("download.claimed")
    try:
        _attempt(file)
    except Overtaken:
        _discard_attempt(file)
        log.info("download of %s was overtaken", file)
    except media_store.StorageError as problem:
        _discard_attempt(file)
        alerts.raise_alert(alerts.Kind.STORAGE, cause="media", detail=str(problem), facts=problem.facts)
        download_rows.postpone(file, str(problem), wait_s=STORAGE_WAIT_S)
    except (FetchError, InvalidVideo) as problem:
        download_rows.reschedule(file, problem)
    except Exception as problem:
        log.exception("download of %s failed unexpectedly", file)
        _discard_attempt(file)
        download_rows.reschedule(file, problem)


def _attempt(file: VideoFile) -> None:
    if file.name and _is_already_stored(file):
        _commit(file)
        return
    if not media_store.has_free_space():
        raise media_store.DiskFull("less than the reserve is free on the disk")
    path, video = _fetch_and_probe(file)
    failpoints.reach("download.checked")
    poster = video_probe.draw_poster(path, duration_s=video.duration_s)
    _record_intent(file, path, video)
    failpoints.reach("download.intended")
    # The poster is stored first, so that a stored video always has one.
    media_store.store_bytes(poster, file.poster_name, mime_type=video_probe.POSTER_MIME_TYPE)
    media_store.store_file(path, file.name, mime_type="video/mp4")
    failpoints.reach("download.moved")
    _commit(file)
    failpoints.reach("download.committed")


def _is_already_stored(file: VideoFile) -> bool:
    """Whether an earlier attempt stored the file and its poster, but ended before it recorded this in the row."""
    return media_store.exists(file.poster_name) and media_store.matches(
        file.name, size_bytes=file.size_bytes or 0, sha256=file.sha256
    )


def _fetch_and_probe(file: VideoFile) -> tuple[Path, VideoFacts]:
    """Fetch and check the video; if its URL fails, try once more with a fresh link. Raises FetchError, InvalidVideo."""
    started_at = clock.now()
    try:
        return _fetch(file, file.fetch_url or file.source_url, ATTEMPT_S)
    except (LinkExpired, Missing, ForbiddenAddress, InvalidVideo) as problem:
        if isinstance(problem, ForbiddenAddress):
            download_rows.alert_forbidden(file, problem)
        remaining_s = ATTEMPT_S - (clock.now() - started_at).total_seconds()
        file.fetch_url = result_links.request_fresh_url(file) if remaining_s > SPEED_WINDOW_S else ""
        if not file.fetch_url:
            raise
        log.info("download of %s uses a fresh link: %s", file, problem)
    return _fetch(file, file.fetch_url, remaining_s)


def _fetch(file: VideoFile, url: str, timeout_s: float) -> tuple[Path, VideoFacts]:
    limits = FetchLimits(
        max_bytes=MAX_BYTES,
        total_s=timeout_s,
        min_bytes_per_s=MIN_BYTES_PER_S,
        speed_window_s=SPEED_WINDOW_S,
        read_s=SPEED_WINDOW_S,
    )
    with media_store.storage_errors("writing a download"):
        part = partial_downloads.open_file(file)
        path = partial_downloads.path_of(file)
        with path.open("r+b") as target:
            fetch(
                url,
                into=target,
                offset=part.bytes,
                etag=part.etag,
                limits=limits,
                allow=AllowList.parse(",".join(settings.RESULT_HOSTS_ALLOWED)),
            )
    failpoints.reach("download.fetched")
    return path, probe(path, ordered_s=file.task.duration_s)


def _record_intent(file: VideoFile, path: Path, video: VideoFacts) -> None:
    """Write the names and properties of the file about to be stored to its row, and renew the lease. Raises Overtaken."""
    previous_names = (file.name, file.poster_name)
    with media_store.storage_errors("reading a download"):
        fields = asdict(video) | {"sha256": media_store.sha256_of(path), "size_bytes": path.stat().st_size}
    fields["name"] = media_store.new_name(media_store.VIDEOS, ".mp4")
    fields["poster_name"] = media_store.new_name(media_store.POSTERS, ".webp")
    until = clock.database_now() + LEASE
    if not owned_row(file).update(**fields, lease_until=until, due_at=until):
        raise Overtaken
    for field, value in fields.items():
        setattr(file, field, value)
    for name in previous_names:
        media_store.delete(name)


def _commit(file: VideoFile) -> None:
    """Mark the file as stored, and the task as ready if no other file of it is missing. Raises Overtaken."""
    at = clock.database_now()
    with transaction.atomic():
        # Lock the task first: if its last two files are stored at the same time, one of the workers must see both.
        task = VideoTask.objects.select_for_update().get(pk=file.task_id)
        is_stored = owned_row(file).update(
            state=State.STORED, stored_at=at, lease_until=None, last_error="", fetch_url=""
        )
        if is_stored:
            lifecycle.add_note(task_id=task.pk, kind=TaskEvent.Kind.STORED, detail=f"{file.width} x {file.height}")
            ordered_height = HEIGHTS.get(task.resolution)
            if ordered_height and ordered_height != min(file.width or 0, file.height or 0):
                detail = f"{file.width} x {file.height} where {task.resolution} was ordered"
                lifecycle.add_note(task_id=task.pk, code="resolution", detail=detail)
            verdicts.complete_if_stored(task_id=task.pk)
    if not is_stored:
        raise Overtaken
    alerts.resolve_alerts(alerts.Kind.STORAGE, cause="media")


def _discard_attempt(file: VideoFile) -> None:
    """Remove what this attempt wrote, except an object that the row names.

    If another attempt has taken over, it may have found that object complete and be about to keep it.
    """
    try:
        with media_store.storage_errors("cleaning up"):
            partial_downloads.discard(file)
        if file.name and not VideoFile.objects.filter(name=file.name).exists():
            media_store.delete(file.name)
            media_store.delete(file.poster_name)
    except media_store.StorageError as problem:
        log.warning("leftover files of %s remain until the sweep: %s", file, problem)

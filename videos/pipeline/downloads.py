"""From a result's address to a checked film in our storage. Acts on VideoFile rows; any of them may run twice.

    claimed -> fetched -> checked -> intended -> moved -> committed

A claim is a lease by the database's clock and a new fence; every later write checks the fence. The row learns the film's
name and facts (*intended*) before the film moves, so whoever comes after a crash either finds it whole under that name
and keeps it, or fetches anew. A task with several results becomes ready when all are stored: all, or retry.
"""

import logging
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from accounts.seams import clock, failpoints, randomness
from billing.alerts import grouping as alert_grouping
from billing.alerts import services as alerts
from videos.lifecycle import acts as lifecycle
from videos.lifecycle import alerts as task_alerts
from videos.lifecycle import verdicts
from videos.models import TaskEvent, VideoFile, VideoTask
from videos.pipeline import concurrency, result_links, video_probe
from videos.pipeline.video_probe import Film, NotAFilm, examine
from videos.providers.http.download import AllowList, FetchLimits, fetch
from videos.providers.http.download_errors import FetchError, ForbiddenAddress, Interrupted, LinkExpired, Missing
from videos.storage import media_store, partial_downloads

log = logging.getLogger(__name__)

State = VideoFile.State

LEASE = timedelta(minutes=5)
# An attempt ends well within the queue's time limit and its own lease.
ATTEMPT_S = 240.0
MAX_BYTES = 2 << 30
LEAST_BYTES_PER_S = 20 << 10
PACE_S = 20.0

BACKOFF_S = (30, 60, 120, 300, 600, 1800)
PATIENT_S = 3600
STORAGE_S = 60
# The provider keeps results for 14 days.
GIVE_UP_AFTER = timedelta(days=13)
ALERT_AFTER = 5

LINES = {"720p": 720, "1080p": 1080, "4k": 2160}


class Overtaken(Exception):
    """Another worker has the file by now, or its owner deleted it: nothing of ours may be written."""


def download_due(*, limit: int = 4) -> int:
    """Work on at most `limit` files that are due, all at once; returns how many."""
    at = clock.database_now()
    due = VideoFile.objects.filter(_is_free(at), state=State.PENDING, due_at__lte=at).order_by("due_at")
    # Some more than needed, for others may be claiming the same ones.
    file_ids = list(due.values_list("pk", flat=True)[: limit * 4])
    claimed = filter(None, map(_claim, file_ids))
    return concurrency.each(_work, islice(claimed, limit))


def download(file_id: int) -> bool:
    """One attempt at one file, due or not; False when it is not ours to work on."""
    file = _claim(file_id)
    if file is None:
        return False
    _work(file)
    return True


def retry(*, task_id: UUID) -> int:
    """Look for this task's missing files now, also for those given up; returns how many. For operators."""
    at = clock.database_now()
    missing = VideoFile.objects.filter(task_id=task_id, state__in=[State.PENDING, State.LOST])
    return missing.update(state=State.PENDING, due_at=at)


def _claim(file_id: int) -> VideoFile | None:
    file = VideoFile.objects.select_related("task__account").filter(pk=file_id, state=State.PENDING).first()
    if file is None:
        return None
    at = clock.database_now()
    died = file.lease_until is not None
    won = VideoFile.objects.filter(_is_free(at), pk=file_id, state=State.PENDING, fence=file.fence).update(
        fence=F("fence") + 1, attempts=F("attempts") + 1, lease_until=at + LEASE, due_at=at + LEASE
    )
    if not won:
        return None
    file.fence, file.attempts = file.fence + 1, file.attempts + 1
    if died and file.attempts > ALERT_AFTER:
        _tell_undownloaded(file, "download_died")
    return file


def _work(file: VideoFile) -> None:
    """One attempt, whatever comes of it."""
    failpoints.reach("download.claimed")
    try:
        _attempt(file)
    except Overtaken:
        _clear(file)
        log.info("download of %s was overtaken", file)
    except media_store.StorageTrouble as problem:
        _clear(file)
        alerts.raise_alert(alerts.Kind.STORAGE, cause="media", detail=str(problem), facts=problem.facts)
        _postpone(file, str(problem), wait_s=STORAGE_S)
    except (FetchError, NotAFilm) as problem:
        _missed(file, problem)
    except Exception as problem:
        log.exception("download of %s failed in a way nobody foresaw", file)
        _clear(file)
        _missed(file, problem)


def _is_free(at: datetime) -> Q:
    return Q(lease_until=None) | Q(lease_until__lte=at)


def _attempt(file: VideoFile) -> None:
    if file.name and _is_moved(file):
        _commit(file)
        return
    if not media_store.has_room():
        raise media_store.DiskFull("less than the reserve is free on the disk")
    path, film = _bring(file)
    failpoints.reach("download.checked")
    poster = video_probe.draw(path, duration_s=film.duration_s)
    _intend(file, path, film)
    failpoints.reach("download.intended")
    # The poster first: where the film is, there the poster is too.
    media_store.keep_bytes(poster, file.poster_name, mime_type=video_probe.MIME_TYPE)
    media_store.move_in(path, file.name, mime_type="video/mp4")
    failpoints.reach("download.moved")
    _commit(file)
    failpoints.reach("download.committed")


def _is_moved(file: VideoFile) -> bool:
    """Whether an earlier attempt died between moving and committing: then the film is there, and is kept."""
    return media_store.is_there(file.poster_name) and media_store.holds(
        file.name, size_bytes=file.size_bytes or 0, sha256=file.sha256
    )


def _bring(file: VideoFile) -> tuple[Path, Film]:
    """Fetch and check; when the address brings no film, once more from a fresh link. Raises FetchError, NotAFilm."""
    began_at = clock.now()
    try:
        return _fetch(file, file.fetch_url or file.source_url, ATTEMPT_S)
    except (LinkExpired, Missing, ForbiddenAddress, NotAFilm) as problem:
        if isinstance(problem, ForbiddenAddress):
            _tell_forbidden(file, problem)
        left_s = ATTEMPT_S - (clock.now() - began_at).total_seconds()
        file.fetch_url = result_links.fresh(file) if left_s > PACE_S else ""
        if not file.fetch_url:
            raise
        log.info("download of %s takes a fresh link: %s", file, problem)
    return _fetch(file, file.fetch_url, left_s)


def _fetch(file: VideoFile, url: str, within_s: float) -> tuple[Path, Film]:
    limits = FetchLimits(
        max_bytes=MAX_BYTES, total_s=within_s, least_bytes_per_s=LEAST_BYTES_PER_S, pace_s=PACE_S, read_s=PACE_S
    )
    with media_store.trouble("writing an arriving file"):
        arrived = partial_downloads.open_for(file)
        path = partial_downloads.path_of(file)
        with path.open("r+b") as into:
            fetch(
                url,
                into=into,
                offset=arrived.bytes,
                etag=arrived.etag,
                limits=limits,
                allow=AllowList.parse(",".join(settings.RESULT_HOSTS_ALLOWED)),
            )
    failpoints.reach("download.fetched")
    return path, examine(path, asked_s=file.task.duration_s)


def _intend(file: VideoFile, path: Path, film: Film) -> None:
    """Write down what is about to be stored, and under which name, while the lease is made anew. Raises Overtaken."""
    former = (file.name, file.poster_name)
    with media_store.trouble("reading an arrived file"):
        facts = asdict(film) | {"sha256": media_store.sha256_of(path), "size_bytes": path.stat().st_size}
    facts["name"] = media_store.new_name(media_store.VIDEOS, ".mp4")
    facts["poster_name"] = media_store.new_name(media_store.POSTERS, ".webp")
    until = clock.database_now() + LEASE
    if not _mine(file).update(**facts, lease_until=until, due_at=until):
        raise Overtaken
    for field, value in facts.items():
        setattr(file, field, value)
    for name in former:
        media_store.delete(name)


def _commit(file: VideoFile) -> None:
    """The file is stored, and the task perhaps ready. Raises Overtaken when it is no longer ours to say."""
    at = clock.database_now()
    with transaction.atomic():
        # The task first: of two files that end together, the later must see the earlier.
        task = VideoTask.objects.select_for_update().get(pk=file.task_id)
        won = _mine(file).update(state=State.STORED, stored_at=at, lease_until=None, last_error="", fetch_url="")
        if won:
            lifecycle.note(task_id=task.pk, kind=TaskEvent.Kind.STORED, detail=f"{file.width} x {file.height}")
            asked = LINES.get(task.resolution)
            if asked and asked != min(file.width or 0, file.height or 0):
                detail = f"{file.width} x {file.height} where {task.resolution} was ordered"
                lifecycle.note(task_id=task.pk, code="resolution", detail=detail)
            verdicts.file_stored(task_id=task.pk)
    if not won:
        raise Overtaken
    alerts.resolve_alerts(alerts.Kind.STORAGE, cause="media")


def _clear(file: VideoFile) -> None:
    """Remove what this attempt made, unless the row speaks of it: then whoever has the row now may be keeping it."""
    try:
        with media_store.trouble("clearing up"):
            partial_downloads.discard(file)
        if file.name and not VideoFile.objects.filter(name=file.name).exists():
            media_store.delete(file.name)
            media_store.delete(file.poster_name)
    except media_store.StorageTrouble as problem:
        log.warning("leftovers of %s stay for the sweep: %s", file, problem)


def _missed(file: VideoFile, problem: Exception) -> None:
    """The address brought no film this time: leave what may be resumed, and come again, or give up at the end of patience."""
    wait_s: float = BACKOFF_S[file.attempts - 1] if file.attempts <= len(BACKOFF_S) else PATIENT_S
    if isinstance(problem, ForbiddenAddress):
        _tell_forbidden(file, problem)
    if isinstance(problem, FetchError) and not problem.transient:
        wait_s = PATIENT_S
    if isinstance(problem, Missing | LinkExpired):
        file.source_url = result_links.moved_to(file) or file.source_url
    arrived = partial_downloads.Arrived()
    if isinstance(problem, Interrupted):
        arrived = partial_downloads.Arrived(problem.got_bytes, problem.etag)
    try:
        with media_store.trouble("leaving a part"):
            partial_downloads.leave(file, arrived=arrived)
    except media_store.StorageTrouble as trouble:
        log.warning("the part of %s cannot be resumed: %s", file, trouble)
    if _is_over(file):
        _lose(file, problem)
        return
    _postpone(file, _words(problem), wait_s=wait_s)
    if file.attempts >= ALERT_AFTER:
        _tell_undownloaded(file, "download_failed", _words(problem))


def _postpone(file: VideoFile, words: str, *, wait_s: float) -> None:
    due_at = clock.database_now() + timedelta(seconds=randomness.jitter(wait_s))
    # A fresh link dies in 20 minutes, so it is asked for when needed and never kept.
    _mine(file).update(
        due_at=due_at, lease_until=None, last_error=words[:300], source_url=file.source_url, fetch_url=""
    )


def _is_over(file: VideoFile) -> bool:
    return clock.database_now() >= (file.task.provider_done_at or file.created_at) + GIVE_UP_AFTER


def _lose(file: VideoFile, problem: Exception) -> None:
    with transaction.atomic():
        VideoTask.objects.select_for_update().get(pk=file.task_id)
        lost = _mine(file).update(state=State.LOST, lease_until=None, last_error=_words(problem)[:300], fetch_url="")
        if lost:
            lifecycle.given_up(
                task_id=file.task_id, from_=VideoTask.Status.DOWNLOADING, code="no_file", detail=_words(problem)
            )
    if lost:
        file.task.refresh_from_db()
        _tell_undownloaded(file, "download_lost", _words(problem))


def _mine(file: VideoFile) -> QuerySet[VideoFile]:
    """The row, as long as it is ours."""
    return VideoFile.objects.filter(pk=file.pk, fence=file.fence, state=State.PENDING)


def _tell_forbidden(file: VideoFile, problem: ForbiddenAddress) -> None:
    alert_grouping.raise_job_alert(alerts.Kind.FORBIDDEN_ADDRESS, reference=file.task.reference, detail=problem.detail)


def _tell_undownloaded(file: VideoFile, say: str, words: str = "") -> None:
    facts = {"say": [say], "attempts": file.attempts, "words": words}
    task_alerts.tell(file.task, alerts.Kind.UNDOWNLOADED, facts=facts)


def _words(problem: Exception) -> str:
    """What went wrong, without any address: those hold signatures."""
    if isinstance(problem, FetchError):
        return f"{problem.code}: {problem.detail}"
    return str(problem) if isinstance(problem, NotAFilm) else type(problem).__name__

"""Creates videos in every state with the product's own functions, but without a provider."""

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

from django.conf import settings
from django.db import transaction

from accounts.models import User
from accounts.seams import clock
from billing.guard.checks import Wait
from billing.provider import accounts as provider_accounts
from tests.people import give_credits
from videos.lifecycle import status_changes as lifecycle
from videos.lifecycle import verdicts
from videos.models import VideoFile, VideoTask
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
from videos.pipeline import dispatch
from videos.providers.base import Report, ReportState
from videos.storage import media_store

VIDEO_BYTES, POSTER_BYTES = b"a film", b"a poster"


def make_waiting(user: User) -> VideoTask:
    """Give the user the price of a video and order it: it is charged and queued."""
    give_credits(user, 60)
    return orders.create(user=user, order=VideoOrder(prompt="a kite"), idempotency_key=str(uuid4()))


def make_submitting(user: User) -> VideoTask:
    """Claimed by a worker that is sending the paid request."""
    make_waiting(user)
    account = provider_accounts.get_current_account()
    provider_accounts.record_balance(account_id=account.pk, balance=Decimal(5000))
    claim = dispatch.claim_next(account.pk)
    assert isinstance(claim, dispatch.Claim)
    return claim.task


def make_unconfirmed(user: User) -> VideoTask:
    task = make_submitting(user)
    assert lifecycle.mark_unconfirmed(task_id=task.pk, fence=task.fence, detail="no answer")
    return task


def make_generating(user: User) -> VideoTask:
    task = make_submitting(user)
    assert lifecycle.accept(task_id=task.pk, fence=task.fence, provider_task_id=uuid4().hex, due_in_s=60)
    task.refresh_from_db()
    return task


def make_downloading(user: User) -> VideoTask:
    task = make_generating(user)
    assert verdicts.record_success(task_id=task.pk, report=make_report(task, ReportState.SUCCEEDED), source="poll")
    return task


def make_ready(user: User) -> VideoTask:
    """Finished, with stored files that match their rows but are no real videos."""
    task = make_downloading(user)
    file = VideoFile.objects.get(task=task)
    file.name, file.poster_name = (
        media_store.new_name(media_store.VIDEOS, ".mp4"),
        media_store.new_name(media_store.POSTERS, ".webp"),
    )
    media_store.store_bytes(VIDEO_BYTES, file.name, mime_type="video/mp4")
    media_store.store_bytes(POSTER_BYTES, file.poster_name, mime_type="image/webp")
    file.size_bytes = len(VIDEO_BYTES)
    file.sha256 = media_store.sha256_of(settings.MEDIA_ROOT / file.name)
    file.state, file.stored_at = VideoFile.State.STORED, clock.database_now()
    with transaction.atomic():
        file.save()
        assert verdicts.complete_if_stored(task_id=task.pk)
    return task


def make_failed(user: User) -> VideoTask:
    """Failed at the provider and refunded."""
    task = make_generating(user)
    assert verdicts.record_failure(task_id=task.pk, report=make_report(task, ReportState.FAILED), source="poll")
    return task


def make_cancelled(user: User) -> VideoTask:
    task = make_waiting(user)
    assert lifecycle.cancel(task_id=task.pk, code="user", actor=user)
    return task


def make_requeued(user: User) -> VideoTask:
    """Put back into the queue because it was not sent."""
    task = make_submitting(user)
    wait = Wait("not_sent", clock.database_now() + timedelta(seconds=5))
    assert lifecycle.requeue(task_id=task.pk, fence=task.fence, wait=wait)
    return task


def make_report(task: VideoTask, state: ReportState) -> Report:
    return Report(
        provider_task_id=task.provider_task_id or "",
        state=state,
        result_urls=("https://files.example/film.mp4",) if state == ReportState.SUCCEEDED else (),
    )

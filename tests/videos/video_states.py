"""Makes videos in any status, for tests of pages, by calling the product's status changes without a provider."""

import io
import itertools
from typing import Any

from django.db import transaction
from PIL import Image

from accounts.models import User
from billing.models import ProviderAccount
from billing.provider import accounts as provider_accounts
from tests.people import give_credits
from videos.lifecycle import status_changes as lifecycle
from videos.lifecycle import verdicts
from videos.models import TaskEvent, VideoFile, VideoTask
from videos.ordering import orders
from videos.ordering.orders import VideoOrder
from videos.providers.base import RefusalReason, Report, ReportState
from videos.storage import media_store

PROMPT = "A lighthouse at dusk, long waves rolling in"

_numbers = itertools.count(1)


def make_queued(user: User, prompt: str = PROMPT, **fields: Any) -> VideoTask:
    """A charged, waiting video; its user gets the credits for it first."""
    order = VideoOrder(prompt=prompt, **fields)
    give_credits(user, order.quote().user_credits)
    return orders.create(user=user, order=order, idempotency_key=f"video-{next(_numbers)}")


def make_submitting(user: User, prompt: str = PROMPT, **fields: Any) -> VideoTask:
    task = make_queued(user, prompt, **fields)
    with transaction.atomic():
        lifecycle.claim(task_id=task.pk, account_id=_account().pk, token_hash="0" * 64)
    return _reload(task)


def make_unconfirmed(user: User, prompt: str = PROMPT, **fields: Any) -> VideoTask:
    task = make_submitting(user, prompt, **fields)
    lifecycle.mark_unconfirmed(task_id=task.pk, fence=task.fence, detail="read timeout")
    return _reload(task)


def make_generating(user: User, prompt: str = PROMPT, **fields: Any) -> VideoTask:
    task = make_submitting(user, prompt, **fields)
    lifecycle.accept(task_id=task.pk, fence=task.fence, provider_task_id=task.pk.hex, due_in_s=60)
    return _reload(task)


def finish(task: VideoTask, content: bytes = b"not a real video") -> VideoTask:
    """Deliver a generating or given up video, with a poster and a file of these bytes."""
    report = Report(
        provider_task_id=task.pk.hex, state=ReportState.SUCCEEDED, result_urls=["https://files.example/v.mp4"]
    )
    verdicts.record_success(task_id=task.pk, report=report, source="callback")
    name, poster = media_store.new_name("videos", ".mp4"), media_store.new_name("posters", ".webp")
    media_store.store_bytes(content, name, mime_type="video/mp4")
    media_store.store_bytes(_make_poster(), poster, mime_type="image/webp")
    fields = {
        "state": VideoFile.State.STORED,
        "name": name,
        "poster_name": poster,
        "sha256": "a" * 64,
        "size_bytes": len(content),
    }
    VideoFile.objects.filter(task=task).update(
        **fields, duration_s=8.0, width=1280, height=720, audio_codec="aac", stored_at=task.created_at
    )
    lifecycle.add_note(task_id=task.pk, kind=TaskEvent.Kind.STORED)
    verdicts.complete_if_stored(task_id=task.pk)
    return _reload(task)


def make_ready(user: User, prompt: str = PROMPT, **fields: Any) -> VideoTask:
    return finish(make_generating(user, prompt, **fields))


def make_refused(user: User, prompt: str = PROMPT, reason: RefusalReason = RefusalReason.PROMINENT_PERSON) -> VideoTask:
    """A video that the provider reported as failed; its user is refunded."""
    task = make_generating(user, prompt)
    report = Report(
        provider_task_id=task.pk.hex, state=ReportState.FAILED, reason=reason, error_message="the vendor's own words"
    )
    verdicts.record_failure(task_id=task.pk, report=report, source="callback")
    return _reload(task)


def make_late(user: User, prompt: str = PROMPT) -> VideoTask:
    """A video that was given up and refunded, then delivered late."""
    task = make_generating(user, prompt)
    lifecycle.give_up(task_id=task.pk, from_=task.status, code="deadline")
    return finish(_reload(task))


def make_cancelled(user: User, prompt: str = PROMPT) -> VideoTask:
    task = make_queued(user, prompt)
    lifecycle.cancel(task_id=task.pk, code="user", actor=user)
    return _reload(task)


def _account() -> ProviderAccount:
    return provider_accounts.get_current_account()


def _reload(task: VideoTask) -> VideoTask:
    return VideoTask.objects.get(pk=task.pk)


def _make_poster() -> bytes:
    output = io.BytesIO()
    Image.new("RGB", (32, 18), "#884400").save(output, "WEBP")
    return output.getvalue()


def make_png(colour: str = "#336699") -> bytes:
    """A small real image, as a user would upload."""
    output = io.BytesIO()
    Image.new("RGB", (640, 360), colour).save(output, "PNG")
    return output.getvalue()

"""Receives the provider's callbacks: verifies the URL, stores the body, responds fast and requests a poll.

A callback is not trusted: only the poll it causes changes the task. Responses: 200 for a callback that is used or not
needed, 400 for a malformed body, 401 for a wrong signature, 404 for a wrong URL, 413 for a large body, 429 for a client
that guesses URLs, 503 while the database is unavailable or too many callbacks are stored (the provider then calls again,
and polling continues meanwhile).
"""

import hashlib
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.rate_limits import WRONG_CALLBACK_TOKENS, client_address
from accounts.seams import clock
from billing.alerts import services as alerts
from videos import job_queue
from videos.models import CallbackReceipt, VideoTask
from videos.pipeline.callback_tokens import is_valid_token, mask_tokens
from videos.providers.base import CallbackHint
from videos.providers.kie.client import parse_callback, verify_signature

log = logging.getLogger(__name__)

Verdict = CallbackReceipt.Verdict

MAX_BODY_BYTES = 64 * 1024
BODY_TIMEOUT_S = 5.0
STORED_BODY_CHARS = 8 * 1024
# Maximum number of different bodies stored for one task.
MAX_PER_TASK = 20
# Maximum number of stored callbacks that belong to no task.
MAX_ORPHANS = 1000


@csrf_exempt
@require_POST
def callback(request: HttpRequest, task_id: UUID, token: str) -> HttpResponse:
    """Receive a callback to a task's secret URL."""
    client = client_address(request)
    try:
        if WRONG_CALLBACK_TOKENS.retry_after_s(client):
            return JsonResponse({"error": "too many wrong addresses"}, status=429)
        body = _read_body(request)
        if body is None:
            return JsonResponse({"error": "body too large"}, status=413)
        # A wrong token and an unknown task cause the same work, so that the time taken does not reveal which it was.
        task = VideoTask.objects.filter(pk=task_id).first()
        stored_hash = task.callback_token_hash if task is not None else ""
        if not is_valid_token(token, stored_hash=stored_hash or "") or task is None:
            WRONG_CALLBACK_TOKENS.record_failure(client)
            return JsonResponse({"error": "not found"}, status=404)
        return _receive(request, body, task)
    except DatabaseError:
        log.exception("a callback came while the database was unavailable")
        return JsonResponse({"error": "try again later"}, status=503)


@csrf_exempt
@require_POST
def common_callback(request: HttpRequest) -> HttpResponse:
    """Receive a callback to the URL without a token, which we never send; the task it names is polled."""
    body = _read_body(request)
    if body is None:
        return JsonResponse({"error": "body too large"}, status=413)
    try:
        hint = parse_callback(body, request.content_type or "")
        task = VideoTask.objects.filter(provider_task_id=hint.provider_task_id or "-").first()
        return _receive(request, body, task)
    except DatabaseError:
        log.exception("a callback came while the database was unavailable")
        return JsonResponse({"error": "try again later"}, status=503)


def _receive(request: HttpRequest, body: bytes, task: VideoTask | None) -> HttpResponse:
    hint = parse_callback(body, request.headers.get("Content-Type", ""))
    signed = _is_signed(request, hint)
    verdict = _classify(task, hint, signed)
    is_stored = _store_receipt(task, hint, body, request, verdict, signed=bool(signed))
    if verdict == Verdict.BAD_SIGNATURE:
        alerts.raise_alert(alerts.Kind.BAD_SIGNATURE, cause="callback", reference=task.reference if task else "")
        return JsonResponse({"error": "wrong signature"}, status=401)
    if task is None:
        alerts.raise_alert(alerts.Kind.ORPHAN_CALLBACK, cause="callback", detail=hint.provider_task_id)
    elif verdict in (Verdict.PENDING, Verdict.USED, Verdict.MALFORMED):
        _request_poll(task)
    if verdict == Verdict.PENDING and not is_stored:
        # The callback may be the only way to find an unconfirmed task, so the response is 200 only once it is stored.
        return JsonResponse({"error": "try again later"}, status=503)
    if not hint.well_formed:
        return JsonResponse({"error": hint.problem}, status=400)
    return JsonResponse({"status": "ok"})


def _read_body(request: HttpRequest) -> bytes | None:
    """The body, or None if it exceeds MAX_BODY_BYTES.

    If the body is not complete after BODY_TIMEOUT_S, only the part that has arrived by then is returned.
    """
    try:
        if int(request.headers.get("Content-Length") or 0) > MAX_BODY_BYTES:
            return None
    except ValueError:
        return None
    # Django treats a chunked body as empty, because it has no length; `wsgi.input_terminated` says that it can be read.
    is_chunked = "Content-Length" not in request.headers and request.META.get("wsgi.input_terminated")
    with _abort_slow_body(request):
        try:
            body: bytes = (request.META["wsgi.input"] if is_chunked else request).read(MAX_BODY_BYTES + 1)
        except Exception:  # disconnected, or sent an invalid chunk; each server raises its own errors
            body = b""
    return None if len(body) > MAX_BODY_BYTES else body


@contextmanager
def _abort_slow_body(request: HttpRequest) -> Iterator[None]:
    """Abort a slow request body: a client that sends one byte a minute would hold a thread of the web server for weeks.

    Works with gunicorn's socket only; other servers and buffering proxies have their own limits.
    """
    connection: socket.socket | None = request.META.get("gunicorn.socket")
    if connection is None:
        yield
        return

    def stop_reading() -> None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RD)

    timer = Timer(BODY_TIMEOUT_S, stop_reading)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _is_signed(request: HttpRequest, hint: CallbackHint) -> bool | None:
    """Whether the signature is valid, or None if no key is configured to verify it."""
    if not settings.KIE_AI_WEBHOOK_HMAC_KEY:
        return None
    return verify_signature(
        settings.KIE_AI_WEBHOOK_HMAC_KEY,
        hint.provider_task_id,
        request.headers.get("X-Webhook-Timestamp", ""),
        request.headers.get("X-Webhook-Signature", ""),
        now=clock.now(),
    )


def _classify(task: VideoTask | None, hint: CallbackHint, signed: bool | None) -> CallbackReceipt.Verdict:
    if signed is False:
        return Verdict.BAD_SIGNATURE
    if task is None:
        return Verdict.ORPHAN
    if not hint.well_formed and not hint.provider_task_id:
        return Verdict.MALFORMED
    if task.provider_task_id is None:
        return Verdict.PENDING
    if hint.provider_task_id not in ("", task.provider_task_id):
        return Verdict.REJECTED
    if task.status == VideoTask.Status.GENERATING or _may_be_delivered_late(task):
        return Verdict.USED
    return Verdict.UNWANTED


def _may_be_delivered_late(task: VideoTask) -> bool:
    return task.status == VideoTask.Status.FAILED and task.late_at is None


def _store_receipt(
    task: VideoTask | None,
    hint: CallbackHint,
    body: bytes,
    request: HttpRequest,
    verdict: CallbackReceipt.Verdict,
    *,
    signed: bool,
) -> bool:
    """Store one row for each different body of a task and count repetitions; False if too many are stored already."""
    digest = hashlib.sha256(body).hexdigest()
    at = clock.now()
    same = CallbackReceipt.objects.filter(task=task, body_sha256=digest)
    if same.update(times=F("times") + 1, last_at=at):
        return True
    limit = MAX_PER_TASK if task is not None else MAX_ORPHANS
    stored = CallbackReceipt.objects.filter(task=task)
    if stored.count() >= limit:
        # If too many are stored, a callback that may name an unconfirmed task replaces one that led to nothing.
        replaceable = (
            stored.exclude(verdict__in=[Verdict.PENDING, Verdict.USED]) if verdict == Verdict.PENDING else stored.none()
        )
        if (oldest := replaceable.order_by("id").first()) is None:
            log.warning("callbacks beyond the first %d are not stored", limit)
            return False
        oldest.delete()
    fields: dict[str, Any] = {
        "provider_task_id": hint.provider_task_id,
        "body": to_printable(body),
        "content_type": request.headers.get("Content-Type", "")[:100],
        "verdict": verdict,
        "problem": hint.problem[:200],
        "signed": signed,
        "received_at": at,
        "last_at": at,
    }
    try:
        with transaction.atomic():
            CallbackReceipt.objects.create(task=task, body_sha256=digest, **fields)
    except IntegrityError:
        same.update(times=F("times") + 1, last_at=at)
    return True


def to_printable(body: bytes) -> str:
    """The body as text that any database can store: shortened, without callback tokens and NUL characters."""
    # The provider repeats our request in its callback, including the secret callback URL.
    text = mask_tokens(body.replace(b"\\/", b"/").decode("utf-8", "replace"))
    return text[:STORED_BODY_CHARS].replace("\x00", "\ufffd")


def _request_poll(task: VideoTask) -> None:
    """Make the task due for polling now."""
    at = clock.database_now()
    due = VideoTask.objects.filter(pk=task.pk, due_at__gt=at).exclude(status=VideoTask.Status.QUEUED)
    # A task that is being sent is not polled yet; this callback is used once the response to the submission arrives or
    # the lease (the time for which a worker has reserved the task) ends.
    if due.exclude(status=VideoTask.Status.SUBMITTING).update(due_at=at):
        job_queue.enqueue("poll")

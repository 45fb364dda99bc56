"""The provider's calls: verify the address, keep the words, answer fast, and ask record-info. A callback decides nothing.

Answers: 200 for anything understood or unwanted, 400 for garbage, 401 for a wrong signature, 404 for a wrong address,
413 for a large body, 429 for who guesses, 503 while the database is away or the inbox full (the provider calls again;
polling goes on).
"""

import hashlib
import hmac
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

from accounts.rate_limits import FailureLimit, client_address
from accounts.seams import clock
from billing.alerts import services as alerts
from videos import job_queue
from videos.models import CallbackReceipt, VideoTask
from videos.pipeline.callback_tokens import hidden
from videos.pipeline.dispatch import token_hash
from videos.providers.base import CallbackHint
from videos.providers.kie.client import parse_callback, verify_signature

log = logging.getLogger(__name__)

Verdict = CallbackReceipt.Verdict

BODY_LIMIT = 64 * 1024
BODY_WITHIN_S = 5.0
KEPT_BODY = 8 * 1024
# So many different bodies are kept for one task; a flood of others is only counted.
KEPT_PER_TASK = 20
KEPT_ORPHANS = 1000

WRONG_TOKENS_BY_CLIENT = FailureLimit("callback_token", amount=30, window_s=60)


@csrf_exempt
@require_POST
def callback(request: HttpRequest, task_id: UUID, token: str) -> HttpResponse:
    """A call on a task's own secret address."""
    client = client_address(request)
    try:
        if WRONG_TOKENS_BY_CLIENT.retry_after_s(client):
            return JsonResponse({"error": "too many wrong addresses"}, status=429)
        body = _body(request)
        if body is None:
            return JsonResponse({"error": "body too large"}, status=413)
        # The same work for a wrong token and an unknown task: neither tells which it was.
        task = VideoTask.objects.filter(pk=task_id).first()
        known = task.callback_token_hash if task is not None else ""
        if not hmac.compare_digest(token_hash(token), known or "-" * 64) or task is None:
            WRONG_TOKENS_BY_CLIENT.record_failure(client)
            return JsonResponse({"error": "not found"}, status=404)
        return _receive(request, body, task)
    except DatabaseError:
        log.exception("a callback came while the database was away")
        return JsonResponse({"error": "try again later"}, status=503)


@csrf_exempt
@require_POST
def common_callback(request: HttpRequest) -> HttpResponse:
    """A call on the common address, which no task of ours gives out: kept, and a look at the task it names, nothing more."""
    body = _body(request)
    if body is None:
        return JsonResponse({"error": "body too large"}, status=413)
    try:
        hint = parse_callback(body, request.content_type or "")
        task = VideoTask.objects.filter(provider_task_id=hint.provider_task_id or "-").first()
        return _receive(request, body, task)
    except DatabaseError:
        log.exception("a callback came while the database was away")
        return JsonResponse({"error": "try again later"}, status=503)


def _receive(request: HttpRequest, body: bytes, task: VideoTask | None) -> HttpResponse:
    hint = parse_callback(body, request.headers.get("Content-Type", ""))
    signed = _is_signed(request, hint)
    verdict = _verdict(task, hint, signed)
    kept = _keep(task, hint, body, request, verdict, signed=bool(signed))
    if verdict == Verdict.BAD_SIGNATURE:
        alerts.raise_alert(alerts.Kind.BAD_SIGNATURE, cause="callback", reference=task.reference if task else "")
        return JsonResponse({"error": "wrong signature"}, status=401)
    if task is None:
        alerts.raise_alert(alerts.Kind.ORPHAN_CALLBACK, cause="callback", detail=hint.provider_task_id)
    elif verdict in (Verdict.PENDING, Verdict.USED, Verdict.MALFORMED):
        _look_now(task)
    if verdict == Verdict.PENDING and not kept:
        # Only what we keep may be answered with 200: it may name a lost task.
        return JsonResponse({"error": "try again later"}, status=503)
    if not hint.well_formed:
        return JsonResponse({"error": hint.problem}, status=400)
    return JsonResponse({"status": "ok"})


def _body(request: HttpRequest) -> bytes | None:
    """The body, read up to the limit and for BODY_WITHIN_S at most (then what came so far); None when it is larger."""
    try:
        if int(request.headers.get("Content-Length") or 0) > BODY_LIMIT:
            return None
    except ValueError:
        return None
    # A chunked body has no length, and Django takes it for empty; a server that finds its end says so.
    chunked = "Content-Length" not in request.headers and request.META.get("wsgi.input_terminated")
    with _cut_off(request):
        try:
            body: bytes = (request.META["wsgi.input"] if chunked else request).read(BODY_LIMIT + 1)
        except Exception:  # the caller is gone, or sends what is no chunk: each server has errors of its own
            body = b""
    return None if len(body) > BODY_LIMIT else body


@contextmanager
def _cut_off(request: HttpRequest) -> Iterator[None]:
    """Hear no more from a caller who dawdles: one byte a minute would hold a thread of the web server for weeks.

    gunicorn lends its socket; behind another server, or a proxy that buffers, that one sees to it.
    """
    line: socket.socket | None = request.META.get("gunicorn.socket")
    if line is None:
        yield
        return

    def hang_up() -> None:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RD)

    timer = Timer(BODY_WITHIN_S, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _is_signed(request: HttpRequest, hint: CallbackHint) -> bool | None:
    """True or False when a key is set, None when there is nothing to verify with."""
    if not settings.KIE_AI_WEBHOOK_HMAC_KEY:
        return None
    return verify_signature(
        settings.KIE_AI_WEBHOOK_HMAC_KEY,
        hint.provider_task_id,
        request.headers.get("X-Webhook-Timestamp", ""),
        request.headers.get("X-Webhook-Signature", ""),
        now=clock.now(),
    )


def _verdict(task: VideoTask | None, hint: CallbackHint, signed: bool | None) -> CallbackReceipt.Verdict:
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
    if task.status == VideoTask.Status.GENERATING or _may_come_late(task):
        return Verdict.USED
    return Verdict.UNWANTED


def _may_come_late(task: VideoTask) -> bool:
    return task.status == VideoTask.Status.FAILED and task.late_at is None


def _keep(
    task: VideoTask | None,
    hint: CallbackHint,
    body: bytes,
    request: HttpRequest,
    verdict: CallbackReceipt.Verdict,
    *,
    signed: bool,
) -> bool:
    """One row for each different body of a task; the same again is counted; a flood stops being kept: False."""
    digest = hashlib.sha256(body).hexdigest()
    at = clock.now()
    same = CallbackReceipt.objects.filter(task=task, body_sha256=digest)
    if same.update(times=F("times") + 1, last_at=at):
        return True
    limit = KEPT_PER_TASK if task is not None else KEPT_ORPHANS
    kept = CallbackReceipt.objects.filter(task=task)
    if kept.count() >= limit:
        # What may name a lost task takes the place of what was found worthless.
        worthless = (
            kept.exclude(verdict__in=[Verdict.PENDING, Verdict.USED]) if verdict == Verdict.PENDING else kept.none()
        )
        if (oldest := worthless.order_by("id").first()) is None:
            log.warning("callbacks beyond the first %d are not kept", limit)
            return False
        oldest.delete()
    facts: dict[str, Any] = {
        "provider_task_id": hint.provider_task_id,
        "body": printable(body),
        "content_type": request.headers.get("Content-Type", "")[:100],
        "verdict": verdict,
        "problem": hint.problem[:200],
        "signed": signed,
        "received_at": at,
        "last_at": at,
    }
    try:
        with transaction.atomic():
            CallbackReceipt.objects.create(task=task, body_sha256=digest, **facts)
    except IntegrityError:
        same.update(times=F("times") + 1, last_at=at)
    return True


def printable(body: bytes) -> str:
    """The body as text that any database keeps: bounded, without our secret and without NUL."""
    # Our own address comes back inside the echo of the request.
    text = hidden(body.replace(b"\\/", b"/").decode("utf-8", "replace"))
    return text[:KEPT_BODY].replace("\x00", "\ufffd")


def _look_now(task: VideoTask) -> None:
    """Make the task due at once; one bell serves many callbacks."""
    at = clock.database_now()
    due = VideoTask.objects.filter(pk=task.pk, due_at__gt=at).exclude(status=VideoTask.Status.QUEUED)
    # A task being sent keeps its lease; its answer, or the lease's end, comes first and then finds this callback.
    if due.exclude(status=VideoTask.Status.SUBMITTING).update(due_at=at):
        job_queue.enqueue("poll")
